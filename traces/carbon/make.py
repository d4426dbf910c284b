"""Carbon intensity for the worlds: from the names of zones, files, fitted profiles, or a source by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import Field, field_validator, model_validator

from ...common.registry import Registry, is_dotted
from ...common.settings import Settings
from ..calibration import calibration
from ..formats import is_generator_file, load_generator
from ..formats.carbon import CARBON_FORMATS, read_carbon
from ..records import CarbonSeries, Kind, joined_series
from .episode import CarbonModel
from .forecasts import DEFAULT_FORECAST, CarbonForecastField, ProviderForecast
from .generator import GeneratedCarbon, ZoneProfile, zone_profile
from .recorded import RecordedCarbon

CarbonSpec: TypeAlias = str | Path | Sequence[str] | Mapping[str, object] | CarbonModel

CARBON_SOURCES: Registry[CarbonModel] = Registry("carbon", CarbonModel)
"""Sources of carbon intensity by name, for specifications with the key `kind`; "zones" without it."""


class CarbonSettings(Settings):
    """Zones or files, and what is to be made of them; all that can be checked without reading the files.

    Attributes:
        zones: names of measured zones, or files (several of one zone are joined in time).
        profiles: fitted profiles, as `frugalfl traces fit` writes them.
        kind_of_intensity: which of the source's intensities to use.
        format: how to read the files; by their content if missing.
        tz: IANA name of the local time of zones that are not among the measured ones.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    zones: tuple[str, ...] = ()
    profiles: tuple[ZoneProfile, ...] = ()
    kind_of_intensity: Kind | None = None
    format: str | None = None
    tz: dict[str, str] = Field(default_factory=dict)
    forecast: CarbonForecastField = DEFAULT_FORECAST

    @property
    def replayed(self) -> bool:
        """Whether files are replayed, and not profiles drawn from."""
        known = calibration()["carbon_zones"]
        named = any(zone in known for zone in self.zones)
        return not named and not self.profiles and any(map(_is_path, self.zones))

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str | None) -> str | None:
        if name is not None:
            CARBON_FORMATS.find(name)
        return name

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> CarbonSettings:
        if not self.zones and not self.profiles:
            raise ValueError("zones: (), expected at least one zone, file or profile")
        if self.replayed:
            return self
        known = calibration()["carbon_zones"]
        files = [zone for zone in self.zones if _is_path(zone) and zone not in known]
        if files:
            raise ValueError(f"zones: {files[0]!r} is a file among names of zones, expected one of both")
        if isinstance(self.forecast, ProviderForecast):
            raise ValueError("forecast: 'provider' needs files that hold one, expected another forecast")
        for zone in self.zones:
            zone_profile(zone, self.kind_of_intensity or "direct")
        return self


@CARBON_SOURCES.register("zones", CarbonSettings)
def carbon_of_zones(**fields: object) -> CarbonModel:
    """The model of measured zones, fitted profiles or files; from the fields of `CarbonSettings`."""
    settings = CarbonSettings.model_construct(None, **fields)
    forecast = settings.forecast
    if not settings.replayed:
        kind = settings.kind_of_intensity or "direct"
        profiles = [zone_profile(zone, kind) for zone in settings.zones]
        return GeneratedCarbon([*profiles, *settings.profiles], forecast)
    series: list[CarbonSeries] = []
    for path in settings.zones:
        series += read_carbon(path, settings.format, settings.kind_of_intensity)
    if isinstance(forecast, ProviderForecast) and any(s.provider_g_per_kwh is None for s in series):
        raise ValueError(
            "carbon: forecast: 'provider', expected files that all have their provider's forecast; "
            "take another"
        )
    return RecordedCarbon(joined_series(series), settings.tz, forecast)


def make_carbon(spec: CarbonSpec, num_zones: int | None = None) -> CarbonModel:
    """The carbon model that a specification describes.

    Args:
        spec: a zone name or a file; a list of either; a mapping of `CarbonSettings`; one with the name of
            another source under `kind`; a dotted name `package.module:Class`; or a model. Measured zones are
            drawn from their profiles, files are replayed. Names and files cannot be mixed.
        num_zones: how many zones the world has.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if isinstance(spec, (str, Path)) and is_generator_file(spec):
        spec = load_generator(spec, "carbon")
    model = CARBON_SOURCES.make(_named(spec))
    if num_zones is not None and len(model.zones) != num_zones:
        raise ValueError(
            f"carbon: {len(model.zones)} zones ({', '.join(model.zones)}), expected {num_zones}, "
            "one for each zone of the world"
        )
    return model


def check_carbon(spec: CarbonSpec) -> None:
    """Refuse what `make_carbon` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    CARBON_SOURCES.check(_named(spec))


def _named(spec: CarbonSpec) -> str | Mapping[str, object] | CarbonModel:
    """A specification with the kind written out, where it is not."""
    if isinstance(spec, Mapping):
        return spec if "kind" in spec else {"kind": "zones", **spec}
    if isinstance(spec, (str, Path)):
        return str(spec) if is_dotted(str(spec)) else {"kind": "zones", "zones": (str(spec),)}
    return {"kind": "zones", "zones": tuple(map(str, spec))} if isinstance(spec, Sequence) else spec


def _is_path(text: str) -> bool:
    return Path(text).suffix.lower() in {".csv", ".json", ".gz", ".txt", ".tab"} or Path(text).is_file()
