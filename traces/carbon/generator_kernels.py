"""Compiled drawing of carbon intensity: the calendar's factors, and the zones' limits."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats
from ...common.compiled import inner, kernel


@inner(nogil=True, error_model="numpy")
def _month(day: int) -> int:
    """Month, 0 = January, of a day since 1970-01-01 in the Gregorian calendar (Hinnant's civil_from_days)."""
    # Counted from 1 March of year 0, so that leap days end the year.
    of_era = (day + 719468) % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return ((5 * of_year + 2) // 153 + 2) % 12


@kernel(nogil=True, error_model="numpy")
def usual_intensity(
    hour_utc_s: Floats,
    offset_h: Floats,
    mean: Floats,
    month_factor: Floats,
    hour_factor: Floats,
    weekend_factor: Floats,
) -> Floats:
    """Mean x month x local hour x weekend, `[Z, T]`, at Unix times `[T]` that begin an hour."""
    zones, hours = offset_h.size, hour_utc_s.size
    out = np.empty((zones, hours))
    for z in range(zones):
        # The level is the mean over the week, so weekdays lie above it as much as weekends below.
        weekday = 7.0 / (5.0 + 2.0 * weekend_factor[z])
        weekend = weekend_factor[z] * weekday
        today, month = -(2**62), 0
        for t in range(hours):
            # The middle of the hour decides, so that half-hour zones fall on the right hour.
            local_s = hour_utc_s[t] + 1800.0 + offset_h[z] * 3600.0
            day = int(np.floor(local_s / 86400.0))
            if day != today:
                today, month = day, _month(day)
            hour = int((local_s - day * 86400.0) / 3600.0)
            season = (month + 1) % 12 // 3
            # 1970-01-01 was a Thursday.
            factor = month_factor[z, month] * hour_factor[z, season, hour]
            out[z, t] = mean[z] * (factor * (weekend if (day + 3) % 7 >= 5 else weekday))
    return out


@kernel(nogil=True, error_model="numpy")
def within_limits(g_per_kwh: Floats, low: Floats, high: Floats, shift: Floats) -> Floats:
    """Series `[Z, T]` clipped between the zones' `low` and `high` `[Z]`, then moved by `shift` `[Z]`."""
    zones, hours = g_per_kwh.shape
    out = np.empty((zones, hours))
    for z in range(zones):
        for t in range(hours):
            out[z, t] = min(max(g_per_kwh[z, t], low[z]), high[z]) + shift[z]
    return out
