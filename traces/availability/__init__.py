"""Who is available when: sessions, forecasts, models of availability."""

from __future__ import annotations

from .batch import SessionBatch
from .climatology import by_utc_hour, odds_multiplied, odds_shifted, personal_shares
from .episode import SPLITS, AvailabilityEpisode, AvailabilityModel, AvailabilityRequest, Sessions
from .forecasts import AVAILABILITY_FORECASTS, AvailabilityView, MarkovForecast
from .make import GENERATORS, make_availability
from .recorded import RecordedAvailability
from .session_kernels import hour_of_day

__all__ = [
    "AVAILABILITY_FORECASTS",
    "GENERATORS",
    "SPLITS",
    "AvailabilityEpisode",
    "AvailabilityModel",
    "AvailabilityRequest",
    "AvailabilityView",
    "MarkovForecast",
    "RecordedAvailability",
    "SessionBatch",
    "Sessions",
    "by_utc_hour",
    "hour_of_day",
    "make_availability",
    "odds_multiplied",
    "odds_shifted",
    "personal_shares",
]
