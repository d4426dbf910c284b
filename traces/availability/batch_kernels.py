"""Compiled loops over the sessions of E environments with N clients: one pass instead of many arrays.

Every number comes from the operations of the plain formula in their order; only exponentials are left to
numpy, whose last bit is not that of the compiler's library.
"""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.compiled import inner, kernel


@kernel(nogil=True, error_model="numpy")
def visible_sessions(
    starts: Floats,
    ends: Floats,
    announced_ends: Floats,
    announced: Bools,
    pointer: Ints,
    time_s: Floats,
    notice_s: Floats,
) -> tuple[Bools, Floats, Floats, Floats, Floats]:
    """Move the pointers `[E, N]` to the sessions at `time_s` `[E]` and describe them; notice is `[E, N]`.

    Returns:
        Who is available; start and end of the running sessions, the present where there is none; announced
        ends, `+inf` where none is known; the next starts. Each `[E, N]`.
    """
    e, n = pointer.shape
    available = np.empty((e, n), dtype=np.bool_)
    start_s, end_s = np.empty((e, n)), np.empty((e, n))
    announced_end_s, next_s = np.empty((e, n)), np.empty((e, n))
    for i in range(e):
        now = time_s[i]
        for k in range(n):
            # The last column is never a session, so every pointer stops at it at the latest.
            p = pointer[i, k]
            while ends[i, k, p] <= now:
                p += 1
            pointer[i, k] = p
            runs = starts[i, k, p] <= now
            available[i, k] = runs
            start_s[i, k] = starts[i, k, p] if runs else now
            end_s[i, k] = ends[i, k, p] if runs else now
            known = runs and announced[i, k, p] and announced_ends[i, k, p] <= now + notice_s[i, k]
            announced_end_s[i, k] = announced_ends[i, k, p] if known else np.inf
            next_s[i, k] = starts[i, k, p + 1] if runs else starts[i, k, p]
    return available, start_s, end_s, announced_end_s, next_s


@inner(nogil=True, error_model="numpy")
def _hour_of_day(utc_s: float) -> float:
    hour = utc_s / 3600.0 - 0.5
    # Whole days are exact multiples of the spacing of numbers of this size, hence so is what is left.
    rest = hour - 24.0 * np.floor(hour / 24.0)
    if rest < 0.0:
        rest += 24.0
    elif rest >= 24.0:
        rest -= 24.0
    return float(rest)


@kernel(nogil=True, error_model="numpy")
def hour_of_day(utc_s: float) -> float:
    """Hours since the centre of the first hour of the UTC day: `(utc_s / 3600 - 0.5) % 24`, exactly."""
    return float(_hour_of_day(utc_s))


@inner(nogil=True, error_model="numpy")
def _between_hours(profile: Floats, hour: float) -> float:
    before = min(int(hour), 23)
    low = profile[before]
    return float(low + (profile[(before + 1) % 24] - low) * (hour - before))


@kernel(nogil=True, error_model="numpy")
def expected_share(climatology: Floats, start_utc_s: Floats, time_s: Floats) -> Floats:
    """Climatology `[E, N, L]` at `time_s` `[E, N, L]`, linear between the centres of the hours."""
    e, n, leads = time_s.shape
    out = np.empty((e, n, leads))
    for i in range(e):
        for k in range(n):
            for lead in range(leads):
                hour = _hour_of_day(start_utc_s[i] + time_s[i, k, lead])
                out[i, k, lead] = _between_hours(climatology[i, k], hour)
    return out


@kernel(nogil=True, error_model="numpy")
def markov_exponents(
    time_s: Floats, leads_s: Floats, announced_end_s: Floats, relaxation_s: Floats, use_announced: bool
) -> Floats:
    """`[E, N, L]`, how far each deviation from the climatology has died out, as a (negative) exponent."""
    e, n = announced_end_s.shape
    out = np.empty((e, n, leads_s.size))
    for i in range(e):
        for k in range(n):
            known = use_announced and np.isfinite(announced_end_s[i, k])
            anchor_s = announced_end_s[i, k] if known else time_s[i]
            for lead in range(leads_s.size):
                out[i, k, lead] = -max(time_s[i] + leads_s[lead] - anchor_s, 0.0) / relaxation_s[i, k]
    return out


@kernel(nogil=True, error_model="numpy")
def markov_chance(
    time_s: Floats,
    leads_s: Floats,
    available: Bools,
    announced_end_s: Floats,
    use_announced: bool,
    climatology: Floats,
    start_utc_s: Floats,
    decay: Floats,
) -> Floats32:
    """P(available) `[E, N, L]` of `MarkovForecast`, given the exponentials of `markov_exponents`."""
    e, n = available.shape
    out = np.empty((e, n, leads_s.size), dtype=np.float32)
    then = np.empty(leads_s.size)
    for i in range(e):
        for lead in range(leads_s.size):
            then[lead] = _hour_of_day(start_utc_s[i] + (time_s[i] + leads_s[lead]))
        now = _hour_of_day(start_utc_s[i] + time_s[i])
        for k in range(n):
            end_s = announced_end_s[i, k]
            known = use_announced and np.isfinite(end_s)
            hour = _hour_of_day(start_utc_s[i] + end_s) if known else now
            value = 1.0 if available[i, k] and not known else 0.0
            deviation = value - _between_hours(climatology[i, k], hour)
            for lead in range(leads_s.size):
                usual = _between_hours(climatology[i, k], then[lead])
                chance = min(max(usual + deviation * decay[i, k, lead], 0.0), 1.0)
                if known and time_s[i] + leads_s[lead] < end_s:
                    chance = 1.0
                out[i, k, lead] = chance
    return out


@kernel(nogil=True)
def running_at(starts: Floats, ends: Floats, env: Ints, client: Ints, time_s: Floats) -> Bools:
    """Bool `[K]`, whose sessions run at some times.

    Args:
        starts: `[E, N, S]`, in order.
        ends: `[E, N, S]`.
        env: `[K]`.
        client: `[K]`.
        time_s: `[K]`.
    """
    found = np.zeros(env.size, dtype=np.bool_)
    for k in range(env.size):
        i, j, time = env[k], client[k], time_s[k]
        low, high = 0, starts.shape[2]
        while low < high:  # the first session that begins later
            middle = (low + high) // 2
            if starts[i, j, middle] <= time:
                low = middle + 1
            else:
                high = middle
        found[k] = low > 0 and ends[i, j, low - 1] > time
    return found
