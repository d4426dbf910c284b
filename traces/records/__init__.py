"""What a trace file holds, whatever its format: sessions, carbon series, their statistics."""

from __future__ import annotations

from .availability_trace import DEBOUNCE_S, AvailabilityTrace, flat_trace
from .carbon_rows import regular_series
from .carbon_series import KINDS, CarbonSeries, Kind, joined_series
from .changes import ChangedSessions, sessions_of_changes
from .plausibility import are_unix_times
from .statistics import (
    hour_profile,
    hourly_shares,
    mean_stays_h,
    starts_per_day,
    stays_h,
    thinned,
    user_means,
    week_profile,
    weekday_shares,
)

__all__ = [
    "DEBOUNCE_S",
    "KINDS",
    "AvailabilityTrace",
    "CarbonSeries",
    "ChangedSessions",
    "Kind",
    "are_unix_times",
    "flat_trace",
    "hour_profile",
    "hourly_shares",
    "joined_series",
    "mean_stays_h",
    "regular_series",
    "sessions_of_changes",
    "starts_per_day",
    "stays_h",
    "thinned",
    "user_means",
    "week_profile",
    "weekday_shares",
]
