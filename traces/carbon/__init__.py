"""Carbon intensity over time: recorded or generated, with forecasts."""

from __future__ import annotations

from .batch import CarbonBatch
from .episode import CarbonEpisode
from .forecasts import CARBON_FORECASTS
from .generator import GeneratedCarbon, ZoneProfile, zone_names, zone_profile
from .kernels import usual_intensity
from .make import make_carbon
from .recorded import RecordedCarbon

__all__ = [
    "CARBON_FORECASTS",
    "CarbonBatch",
    "CarbonEpisode",
    "GeneratedCarbon",
    "RecordedCarbon",
    "ZoneProfile",
    "make_carbon",
    "usual_intensity",
    "zone_names",
    "zone_profile",
]
