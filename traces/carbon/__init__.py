"""Carbon intensity over time: recorded or generated, with forecasts."""

from __future__ import annotations

from .batch import CarbonBatch
from .episode import CarbonEpisode, CarbonModel
from .forecasts import CARBON_FORECASTS, CarbonForecaster, CarbonView
from .generator import GeneratedCarbon, ZoneProfile, zone_names, zone_profile
from .make import CARBON_SOURCES, check_carbon, make_carbon
from .recorded import RecordedCarbon

__all__ = [
    "CARBON_FORECASTS",
    "CARBON_SOURCES",
    "CarbonBatch",
    "CarbonEpisode",
    "CarbonForecaster",
    "CarbonModel",
    "CarbonView",
    "GeneratedCarbon",
    "RecordedCarbon",
    "ZoneProfile",
    "check_carbon",
    "make_carbon",
    "zone_names",
    "zone_profile",
]
