"""Availability for the worlds: from the name of a generator, a file, or settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, field_validator

from ...common.ranges import Drawable, Drawn
from ..formats import check_source, make_source
from ..formats.availability import AVAILABILITY_FORMATS, read_availability
from ..records import DEBOUNCE_S
from .episode import AvailabilityModel
from .forecasts import DEFAULT_FORECAST, AvailabilityForecastField
from .generators import GENERATORS, DrawnShare
from .recorded import RecordedAvailability

AvailabilitySpec: TypeAlias = str | Path | Mapping[str, object] | AvailabilityModel


class FileSettings(Drawn):
    """What is to be made of trace files, `kind: file`; reading them is left to `make_availability`.

    Attributes:
        path: the file, or several of one format that were recorded together.
        format: how to read it; by its content if missing.
        debounce_s: gaps shorter than this are closed, then sessions shorter than this are dropped.
        announced_share: share of session ends announced ahead, or a range, drawn per episode.
        notice_s: how long ahead; from the session's start if missing.
        honesty: share of announcements that are true; the others name an end two hours later on average.
        repeat: whether one recorded user may play several clients at once.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    path: str | tuple[str, ...]
    format: str | None = None
    debounce_s: Annotated[float, Field(ge=0)] = DEBOUNCE_S
    announced_share: DrawnShare = 0.0
    notice_s: Annotated[float, Field(ge=0)] | None = None
    honesty: Annotated[float, Field(ge=0, le=1)] = 1.0
    repeat: bool = False
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str | None) -> str | None:
        if name is not None:
            AVAILABILITY_FORMATS.find(name)
        return name


@GENERATORS.register("file", FileSettings)
def recorded_availability(
    path: str | tuple[str, ...],
    format: str | None,
    debounce_s: float,
    announced_share: Drawable,
    notice_s: float | None,
    honesty: float,
    repeat: bool,
    forecast: AvailabilityForecastField,
) -> RecordedAvailability:
    """Recorded availability replayed from files; see `FileSettings`."""
    return RecordedAvailability(
        read_availability(path, format).debounced(debounce_s),
        announced_share=announced_share,
        notice_s=float("inf") if notice_s is None else notice_s,
        repeat=repeat,
        honesty=honesty,
        forecast=forecast,
    )


def make_availability(spec: AvailabilitySpec) -> AvailabilityModel:
    """The availability model that a specification describes.

    Args:
        spec: the name of a generator; the path of a trace file or of a fitted generator; a mapping with the
            name under `kind` (or `kind: file` and `path`) and the settings beside it; a dotted name
            `package.module:Class`; or a model.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    return make_source(spec, GENERATORS, "generator")


def check_availability(spec: AvailabilitySpec) -> None:
    """Refuse what `make_availability` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    check_source(spec, GENERATORS, "generator")
