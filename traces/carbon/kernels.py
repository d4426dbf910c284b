"""Compiled look-ups in piecewise-constant carbon intensity, its exact integral, and its drawing."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def values_ahead(table, time_s, leads_s, first_s, step_s, last):  # type: ignore[no-untyped-def]
    """Values of `table` `[E, Z, T]` at `time_s + leads_s`, `[E, Z, H]`; held beyond both ends."""
    e, zones = table.shape[0], table.shape[1]
    out = np.empty((e, zones, leads_s.size))
    for i in range(e):
        for lead in range(leads_s.size):
            since_s = time_s[i] + leads_s[lead] - first_s[i]
            piece = min(max(int(np.floor(since_s / step_s[i])), 0), last[i])
            for z in range(zones):
                out[i, z, lead] = table[i, z, piece]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def enter(g, expected, upto, drawn, usual, step_s):  # type: ignore[no-untyped-def]
    """Write one episode's series `[Z, T]` into an environment's tables `[Z, >= T]`, held to their ends."""
    zones, length = drawn.shape
    for z in range(zones):
        total = 0.0
        for t in range(g.shape[1]):
            upto[z, t] = total
            g[z, t], expected[z, t] = drawn[z, min(t, length - 1)], usual[z, min(t, length - 1)]
            total += g[z, t] * step_s


@njit(cache=True, nogil=True, error_model="numpy")
def integrals(zone, t0_s, t1_s, g, upto, first_s, step_s, last):  # type: ignore[no-untyped-def]
    """Integral of each client's zone from `t0_s` to `t1_s`, `[E, N]`, in (g/kWh) s.

    `upto` is the integral from the first sample to the beginning of each piece of `g`, both `[E, Z, T]`.
    """
    e, n = zone.shape
    out = np.zeros((e, n))
    for i in range(e):
        for k in range(n):
            if t0_s[i, k] == t1_s[i, k]:
                continue
            z, until = zone[i, k], 0.0
            for t_s in (t1_s[i, k], t0_s[i, k]):
                since_s = t_s - first_s[i]
                piece = min(max(int(np.floor(since_s / step_s[i])), 0), last[i])
                total = upto[i, z, piece] + (since_s - piece * step_s[i]) * g[i, z, piece]
                out[i, k] = until - total
                until = total
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _month(day):  # type: ignore[no-untyped-def]
    """Month, 0 = January, of a day since 1970-01-01 in the Gregorian calendar (Hinnant's civil_from_days)."""
    # Counted from 1 March of year 0, so that leap days end the year.
    of_era = (day + 719468) % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return ((5 * of_year + 2) // 153 + 2) % 12


@njit(cache=True, nogil=True, error_model="numpy")
def usual_intensity(hour_utc_s, offset_h, mean, month_factor, hour_factor, weekend_factor):  # type: ignore
    """Mean x month x local hour x weekend, `[Z, T]`, at Unix times `[T]` that begin an hour."""
    zones, hours = offset_h.size, hour_utc_s.size
    out = np.empty((zones, hours))
    for z in range(zones):
        # The level is the mean over the week, so weekdays lie above it as much as weekends below.
        weekday = 7.0 / (5.0 + 2.0 * weekend_factor[z])
        weekend = weekend_factor[z] * weekday
        today, month = np.int64(-(2**62)), np.int64(0)
        for t in range(hours):
            # The middle of the hour decides, so that half-hour zones fall on the right hour.
            local_s = hour_utc_s[t] + 1800.0 + offset_h[z] * 3600.0
            day = np.int64(np.floor(local_s / 86400.0))
            if day != today:
                today, month = day, _month(day)
            hour = np.int64((local_s - day * 86400.0) / 3600.0)
            season = (month + 1) % 12 // 3
            # 1970-01-01 was a Thursday.
            factor = month_factor[z, month] * hour_factor[z, season, hour]
            out[z, t] = mean[z] * (factor * (weekend if (day + 3) % 7 >= 5 else weekday))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def within_limits(g_per_kwh, low, high, shift):  # type: ignore[no-untyped-def]
    """Series `[Z, T]` clipped between the zones' `low` and `high` `[Z]`, then moved by `shift` `[Z]`."""
    zones, hours = g_per_kwh.shape
    out = np.empty((zones, hours))
    for z in range(zones):
        for t in range(hours):
            out[z, t] = min(max(g_per_kwh[z, t], low[z]), high[z]) + shift[z]
    return out
