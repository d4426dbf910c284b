"""Who is available when: sessions, forecasts, models of availability."""

from __future__ import annotations

from .batch import SessionBatch
from .climatology import by_utc_hour, odds_shifted
from .episode import AvailabilityEpisode, AvailabilityModel, AvailabilityRequest, Sessions
from .forecasts import AVAILABILITY_FORECASTS, AvailabilityForecaster, AvailabilityView, MarkovForecast
from .generators import GENERATORS
from .make import check_availability, make_availability
from .recorded import RecordedAvailability

__all__ = [
    "AVAILABILITY_FORECASTS",
    "GENERATORS",
    "AvailabilityEpisode",
    "AvailabilityForecaster",
    "AvailabilityModel",
    "AvailabilityRequest",
    "AvailabilityView",
    "MarkovForecast",
    "RecordedAvailability",
    "SessionBatch",
    "Sessions",
    "by_utc_hour",
    "check_availability",
    "make_availability",
    "odds_shifted",
]
