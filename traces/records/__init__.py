"""What a trace file holds, whatever its format: sessions, carbon series, requests, their statistics."""

from __future__ import annotations

from .availability_trace import DEBOUNCE_S, AvailabilityTrace, flat_trace
from .carbon_rows import regular_series
from .carbon_series import KINDS, CarbonSeries, Kind, joined_series
from .changes import ChangedSessions, sessions_of_changes
from .plausibility import are_unix_times
from .request_statistics import RequestSummary, dispersion, knows_day, summarise_requests
from .request_trace import MINUTE_S, Clock, RequestTrace, dense_counts, joined_requests, minute_rates
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
    "MINUTE_S",
    "AvailabilityTrace",
    "CarbonSeries",
    "ChangedSessions",
    "Clock",
    "Kind",
    "RequestSummary",
    "RequestTrace",
    "are_unix_times",
    "dense_counts",
    "dispersion",
    "flat_trace",
    "hour_profile",
    "hourly_shares",
    "joined_requests",
    "joined_series",
    "knows_day",
    "mean_stays_h",
    "minute_rates",
    "regular_series",
    "sessions_of_changes",
    "starts_per_day",
    "stays_h",
    "summarise_requests",
    "thinned",
    "user_means",
    "week_profile",
    "weekday_shares",
]
