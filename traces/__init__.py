"""What the world offers over time: availability, carbon intensity, devices, forecasts."""

from __future__ import annotations

from .availability import make_availability, read_availability
from .availability_trace import AvailabilityTrace
from .carbon import make_carbon, read_carbon
from .carbon_batch import CarbonBatch
from .carbon_episode import CarbonEpisode, CarbonModel
from .carbon_series import CarbonSeries
from .devices import Devices, sample_devices
from .episode import AvailabilityEpisode, AvailabilityModel, AvailabilityRequest, Sessions
from .sessions import SessionBatch

__all__ = [
    "AvailabilityEpisode",
    "AvailabilityModel",
    "AvailabilityRequest",
    "AvailabilityTrace",
    "CarbonBatch",
    "CarbonEpisode",
    "CarbonModel",
    "CarbonSeries",
    "Devices",
    "SessionBatch",
    "Sessions",
    "make_availability",
    "make_carbon",
    "read_availability",
    "read_carbon",
    "sample_devices",
]
