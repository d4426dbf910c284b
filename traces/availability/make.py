"""Availability for the worlds: from the name of a generator, a file, or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ...common.settings import Settings, parse_settings, suggest
from ..formats import is_generator_file, load_generator
from ..formats.availability import read_availability
from ..records import DEBOUNCE_S, AvailabilityTrace
from .episode import AvailabilityModel
from .forecasts import AvailabilityForecastField, MarkovForecast
from .generators import PATTERNS, PhoneAvailability, SpotAvailability, VolunteerAvailability
from .recorded import RecordedAvailability

__all__ = [
    "GENERATORS",
    "AvailabilityModel",
    "AvailabilityTrace",
    "PhoneAvailability",
    "RecordedAvailability",
    "SpotAvailability",
    "VolunteerAvailability",
    "make_availability",
    "read_availability",
]

GENERATORS: dict[str, type[Settings]] = {
    "phones": PhoneAvailability,
    "volunteers": VolunteerAvailability,
    "spot": SpotAvailability,
    **PATTERNS,
}


class FileSettings(Settings):
    """What `make_availability` accepts as a mapping with `kind: file`.

    Attributes:
        path: the file, or several of one format that were recorded together.
        format: how to read it; by its content if missing.
        debounce_s: gaps shorter than this are closed, then sessions shorter than this are dropped.
        announced_share: share of session ends announced ahead.
        notice_s: how long ahead; from the session's start if missing.
        honesty: share of announcements that are true; the others name an end two hours later on average.
        repeat: whether one recorded user may play several clients at once.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    path: str | tuple[str, ...]
    format: str | None = None
    debounce_s: Annotated[float, Field(ge=0)] = DEBOUNCE_S
    announced_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    notice_s: Annotated[float, Field(ge=0)] | None = None
    honesty: Annotated[float, Field(ge=0, le=1)] = 1.0
    repeat: bool = False
    forecast: AvailabilityForecastField = MarkovForecast()


def make_availability(spec: str | Path | Mapping[str, Any]) -> AvailabilityModel:
    """The availability model that a specification describes.

    Args:
        spec: the name of a generator, the path of a trace file, or a mapping with the name under `kind` (or
            `kind: file` and `path`) and the settings beside it.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if isinstance(spec, (str, Path)):
        name = str(spec)
        if name not in GENERATORS and is_generator_file(name):
            return make_availability(load_generator(name, "availability"))
        values: dict[str, Any] = {"kind": name} if name in GENERATORS else {"kind": "file", "path": name}
        if values["kind"] == "file" and not Path(name).suffix and not Path(name).exists():
            raise ValueError(
                f"availability: {name!r} is no generator and no file; {suggest(name, GENERATORS)}"
            )
    else:
        values = dict(spec)
    kind = values.pop("kind", "file" if "path" in values else None)
    if kind == "file":
        return _recorded(parse_settings(FileSettings, values, "availability (file)"))
    if not isinstance(kind, str) or kind not in GENERATORS:
        raise ValueError(
            f"availability: kind={kind!r} is unknown; {suggest(str(kind), [*GENERATORS, 'file'])}"
        )
    model: Any = parse_settings(GENERATORS[kind], values, f"availability ({kind})")
    return model


def _recorded(settings: FileSettings) -> AvailabilityModel:
    paths: Sequence[str] = [settings.path] if isinstance(settings.path, str) else settings.path
    return RecordedAvailability(
        read_availability(paths, settings.format).debounced(settings.debounce_s),
        announced_share=settings.announced_share,
        notice_s=float("inf") if settings.notice_s is None else settings.notice_s,
        repeat=settings.repeat,
        honesty=settings.honesty,
        forecast=settings.forecast,
    )
