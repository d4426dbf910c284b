"""What the world offers over time: availability, carbon intensity, requests, devices, forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.doors import lazy_door

if TYPE_CHECKING:
    from .analysis import fit_availability
    from .arrivals import ARRIVALS, make_arrivals
    from .availability import AVAILABILITY_FORECASTS, GENERATORS, make_availability
    from .carbon import CARBON_FORECASTS, CARBON_SOURCES, make_carbon
    from .devices import DEVICES, sample_devices
    from .formats.availability import AVAILABILITY_FORMATS, read_availability
    from .formats.carbon import CARBON_FORMATS, read_carbon

__all__ = [
    "ARRIVALS",
    "AVAILABILITY_FORECASTS",
    "AVAILABILITY_FORMATS",
    "CARBON_FORECASTS",
    "CARBON_FORMATS",
    "CARBON_SOURCES",
    "DEVICES",
    "GENERATORS",
    "fit_availability",
    "make_arrivals",
    "make_availability",
    "make_carbon",
    "read_availability",
    "read_carbon",
    "sample_devices",
]

# Loaded when asked for: a world needs no plots and no fits.
__getattr__, __dir__ = lazy_door(
    __name__,
    {
        "ARRIVALS": ".arrivals",
        "AVAILABILITY_FORECASTS": ".availability",
        "AVAILABILITY_FORMATS": ".formats.availability",
        "CARBON_FORECASTS": ".carbon",
        "CARBON_FORMATS": ".formats.carbon",
        "CARBON_SOURCES": ".carbon",
        "DEVICES": ".devices",
        "GENERATORS": ".availability",
        "fit_availability": ".analysis",
        "make_arrivals": ".arrivals",
        "make_availability": ".availability",
        "make_carbon": ".carbon",
        "read_availability": ".formats.availability",
        "read_carbon": ".formats.carbon",
        "sample_devices": ".devices",
    },
)
