"""Compiled loops over the sessions of E environments with N clients: one pass instead of many arrays.

Every number comes from the operations of the plain formula in their order; only exponentials are left to
numpy, whose last bit is not that of the compiler's library.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def look_around(starts, ends, told, announced, pointer, time_s, notice_s):  # type: ignore[no-untyped-def]
    """Move the pointers `[E, N]` to the sessions at `time_s` `[E]` and describe them.

    Returns:
        Who is available; start and end of the running sessions, the present where there is none; announced
        ends, `+inf` where none is known; the next starts. Each `[E, N]`.
    """
    e, n = pointer.shape
    available = np.empty((e, n), dtype=np.bool_)
    start_s, end_s = np.empty((e, n)), np.empty((e, n))
    told_s, next_s = np.empty((e, n)), np.empty((e, n))
    for i in range(e):
        now = time_s[i]
        for k in range(n):
            # The last column is never a session, so every pointer stops there at the latest.
            p = pointer[i, k]
            while ends[i, k, p] <= now:
                p += 1
            pointer[i, k] = p
            here = starts[i, k, p] <= now
            available[i, k] = here
            start_s[i, k] = starts[i, k, p] if here else now
            end_s[i, k] = ends[i, k, p] if here else now
            known = here and announced[i, k, p] and told[i, k, p] <= now + notice_s[i]
            told_s[i, k] = told[i, k, p] if known else np.inf
            next_s[i, k] = starts[i, k, p + 1] if here else starts[i, k, p]
    return available, start_s, end_s, told_s, next_s


@njit(cache=True, nogil=True, error_model="numpy")
def hour_of_day(utc_s):  # type: ignore[no-untyped-def]
    """Hours since the centre of the first hour of the UTC day: `(utc_s / 3600 - 0.5) % 24`, exactly."""
    hour = utc_s / 3600.0 - 0.5
    # Whole days are exact multiples of the spacing of numbers of this size, hence so is what is left.
    rest = hour - 24.0 * np.floor(hour / 24.0)
    if rest < 0.0:
        return rest + 24.0
    return rest - 24.0 if rest >= 24.0 else rest


@njit(cache=True, nogil=True, error_model="numpy")
def _between_hours(profile, hour):  # type: ignore[no-untyped-def]
    before = min(int(hour), 23)
    low = profile[before]
    return low + (profile[(before + 1) % 24] - low) * (hour - before)


@njit(cache=True, nogil=True, error_model="numpy")
def expected_share(climatology, start_utc_s, time_s):  # type: ignore[no-untyped-def]
    """Climatology `[E, N, L]` at `time_s` `[E, N, L]`, linear between the centres of the hours."""
    e, n, leads = time_s.shape
    out = np.empty((e, n, leads))
    for i in range(e):
        for k in range(n):
            for lead in range(leads):
                hour = hour_of_day(start_utc_s[i] + time_s[i, k, lead])
                out[i, k, lead] = _between_hours(climatology[i, k], hour)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def markov_exponents(time_s, leads_s, announced_end_s, relaxation_s, use_announced):  # type: ignore
    """`[E, N, L]`, how far each deviation from the climatology has died out, as a (negative) exponent."""
    e, n = announced_end_s.shape
    out = np.empty((e, n, leads_s.size))
    for i in range(e):
        for k in range(n):
            told = use_announced and np.isfinite(announced_end_s[i, k])
            anchor_s = announced_end_s[i, k] if told else time_s[i]
            for lead in range(leads_s.size):
                out[i, k, lead] = -max(time_s[i] + leads_s[lead] - anchor_s, 0.0) / relaxation_s[i, k]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def markov_chance(  # type: ignore[no-untyped-def]
    time_s, leads_s, available, announced_end_s, use_announced, climatology, start_utc_s, decay
):
    """P(available) `[E, N, L]` of `MarkovForecast`, given the exponentials of `markov_exponents`."""
    e, n = available.shape
    out = np.empty((e, n, leads_s.size), dtype=np.float32)
    then = np.empty(leads_s.size)
    for i in range(e):
        for lead in range(leads_s.size):
            then[lead] = hour_of_day(start_utc_s[i] + (time_s[i] + leads_s[lead]))
        now = hour_of_day(start_utc_s[i] + time_s[i])
        for k in range(n):
            end_s = announced_end_s[i, k]
            told = use_announced and np.isfinite(end_s)
            hour = hour_of_day(start_utc_s[i] + end_s) if told else now
            value = 1.0 if available[i, k] and not told else 0.0
            deviation = value - _between_hours(climatology[i, k], hour)
            for lead in range(leads_s.size):
                usual = _between_hours(climatology[i, k], then[lead])
                chance = min(max(usual + deviation * decay[i, k, lead], 0.0), 1.0)
                if told and time_s[i] + leads_s[lead] < end_s:
                    chance = 1.0
                out[i, k, lead] = chance
    return out
