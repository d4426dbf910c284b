"""Compiled loops over clients' profiles by hour of day."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Floats32
from ...common.compiled import kernel


@kernel(nogil=True, error_model="numpy")
def rows_by_utc_hour(profile: Floats, offset_h: Floats) -> Floats32:
    """Rows `[N, 24]` by local hour as rows by UTC hour; half hours of `offset_h` `[N]` are interpolated."""
    n = offset_h.size
    out = np.empty((n, 24), dtype=np.float32)
    for k in range(n):
        for hour in range(24):
            local = hour + offset_h[k]
            local -= 24.0 * np.floor(local / 24.0)
            before = int(local) % 24
            low = profile[k, before]
            out[k, hour] = low + (profile[k, (before + 1) % 24] - low) * (local - np.floor(local))
    return out


@kernel(nogil=True, error_model="numpy")
def odds_multiplied(profile: Floats, odds: Floats) -> Floats:
    """Profiles `[N, P]` of shares with the odds of each row multiplied by `odds` `[N]`, `[N, P]`."""
    out = np.empty(profile.shape)
    for k in range(odds.size):
        for hour in range(profile.shape[1]):
            raised = odds[k] * profile[k, hour] / (1.0 - profile[k, hour])
            out[k, hour] = raised / (1.0 + raised)
    return out


@kernel(nogil=True, error_model="numpy")
def personal_shares(
    push: Floats, hour_of_week: Floats, share_on: Floats, profile: Floats
) -> tuple[Floats, Floats]:
    """Each client's share now `[N]` and by local hour `[N, 24]`, its odds the square of `push` `[N]`.

    `share_on` `[168]` is the usual share by hour of the week, `profile` `[24]` by hour of the day.
    """
    n = push.size
    now, rows = np.empty(n), np.empty((n, profile.size))
    for k in range(n):
        odds = push[k] * push[k]
        usual = share_on[int(np.floor(hour_of_week[k])) % 168]
        now[k] = odds * usual / (1.0 - usual + odds * usual)
        for hour in range(profile.size):
            raised = odds * (profile[hour] / (1.0 - profile[hour]))
            rows[k, hour] = raised / (1.0 + raised)
    return now, rows
