"""Carbon intensity for the worlds: from the name of a zone, a file, or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...common.settings import Settings, parse_settings
from ..calibration import calibration
from ..formats import is_generator_file, load_generator
from ..formats.carbon import read_carbon
from ..records import KINDS, CarbonSeries, joined_series
from .batch import CarbonBatch
from .episode import CarbonEpisode, CarbonModel
from .forecasts import CarbonForecastField, ProfileForecast, ProviderForecast
from .generator import GeneratedCarbon, ZoneProfile, parse_profile, zone_names, zone_profile
from .recorded import RecordedCarbon

__all__ = [
    "KINDS",
    "CarbonBatch",
    "CarbonEpisode",
    "CarbonModel",
    "CarbonSeries",
    "GeneratedCarbon",
    "RecordedCarbon",
    "ZoneProfile",
    "make_carbon",
    "read_carbon",
    "zone_names",
    "zone_profile",
]


class CarbonSettings(Settings):
    """What `make_carbon` accepts as a mapping.

    Attributes:
        zones: names of measured zones, or files (several of one zone are joined in time).
        profiles: fitted profiles, as `frugalfl traces fit` writes them.
        kind_of_intensity: which of the source's intensities to use.
        format: how to read the files; by their content if missing.
        tz: IANA name of the local time of zones that are not among the measured ones.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    zones: tuple[str, ...] = ()
    profiles: tuple[dict[str, Any], ...] = ()
    kind_of_intensity: Literal["direct", "life-cycle", "marginal"] | None = None
    format: str | None = None
    tz: dict[str, str] = Field(default_factory=dict)
    forecast: CarbonForecastField = ProfileForecast()


def make_carbon(
    spec: str | Path | Sequence[str] | Mapping[str, Any], num_zones: int | None = None
) -> CarbonModel:
    """The carbon model that a specification describes.

    Args:
        spec: a zone name or a file; a list of either; or a mapping of `CarbonSettings`. Measured zones are
            drawn from their profiles, files are replayed. Names and files cannot be mixed.
        num_zones: how many zones the world has.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if isinstance(spec, (str, Path)):
        spec = load_generator(spec, "carbon") if is_generator_file(spec) else {"zones": [str(spec)]}
    elif not isinstance(spec, Mapping):
        spec = {"zones": [str(item) for item in spec]}
    settings = parse_settings(CarbonSettings, spec, "carbon")
    if not settings.zones and not settings.profiles:
        raise ValueError("carbon: zones=(): expected at least one zone, file or profile")
    known = calibration()["carbon_zones"]
    names = [zone for zone in settings.zones if zone in known]
    drawn = bool(names or settings.profiles) or not any(map(_is_path, settings.zones))
    model: CarbonModel = _generated(settings) if drawn else _recorded(settings)
    if num_zones is not None and len(model.zones) != num_zones:
        raise ValueError(
            f"carbon: {len(model.zones)} zones ({', '.join(model.zones)}), expected {num_zones}, "
            "one for each zone of the world"
        )
    return model


def _generated(settings: CarbonSettings) -> GeneratedCarbon:
    files = [zone for zone in settings.zones if _is_path(zone) and zone not in calibration()["carbon_zones"]]
    if files:
        raise ValueError(
            f"carbon: zones={files[0]!r} is a file among names of zones, expected only one of both"
        )
    if isinstance(settings.forecast, ProviderForecast):
        raise ValueError("carbon: forecast='provider' needs files that hold one, expected another forecast")
    kind = settings.kind_of_intensity or "direct"
    profiles = [zone_profile(zone, kind) for zone in settings.zones]
    return GeneratedCarbon([*profiles, *map(parse_profile, settings.profiles)], settings.forecast)


def _recorded(settings: CarbonSettings) -> RecordedCarbon:
    series: list[CarbonSeries] = []
    for path in settings.zones:
        series += read_carbon(path, settings.format, settings.kind_of_intensity)
    if isinstance(settings.forecast, ProviderForecast) and any(s.provider_g_per_kwh is None for s in series):
        raise ValueError(
            "carbon: forecast='provider': not every file has its provider's forecast; take another"
        )
    return RecordedCarbon(joined_series(series), settings.tz, settings.forecast)


def _is_path(text: str) -> bool:
    return Path(text).suffix.lower() in {".csv", ".json", ".gz", ".txt", ".tab"} or Path(text).is_file()
