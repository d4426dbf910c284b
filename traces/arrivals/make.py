"""Request arrivals for the worlds: from the name of a model, settings, a file, or a fitted generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, field_validator

from ...common.settings import Settings
from ..formats import check_source, make_source
from ..formats.arrivals import ARRIVAL_FORMATS, read_arrivals
from .episode import ArrivalModel
from .generator import ARRIVALS
from .recorded import RecordedArrivals

ArrivalSpec: TypeAlias = str | Path | Mapping[str, object] | ArrivalModel


class FileSettings(Settings):
    """What is to be made of request traces, `kind: file`; reading them is left to `make_arrivals`.

    Attributes:
        path: the file, or several that share a clock, as the days of one recording.
        format: how to read them; by their content if missing.
        per_hour: requests per hour of a source, on average over the sources and the recorded time; as
            recorded if missing.
        repeat: whether a part of the recording that is shorter than the horizon is repeated, and a recording
            of less than an hour is taken at all.
        start_h: the local hour at which a recording without a clock begins.
        utc_offset_h: hours that the recorded people's clocks were ahead of UTC, where the file has dates.
    """

    path: str | tuple[str, ...]
    format: str | None = None
    per_hour: Annotated[float, Field(gt=0)] | None = None
    repeat: bool = False
    start_h: Annotated[float, Field(ge=0, lt=24)] | None = None
    utc_offset_h: Annotated[float, Field(ge=-14, le=14)] = 0.0

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str | None) -> str | None:
        if name is not None:
            ARRIVAL_FORMATS.find(name)
        return name


@ARRIVALS.register("file", FileSettings)
def recorded_arrivals(
    path: str | tuple[str, ...],
    format: str | None,
    per_hour: float | None,
    repeat: bool,
    start_h: float | None,
    utc_offset_h: float,
) -> RecordedArrivals:
    """Recorded requests replayed from files; see `FileSettings`."""
    trace = read_arrivals(path, format)
    return RecordedArrivals(
        trace if start_h is None else trace.starting_at(start_h), per_hour, repeat, utc_offset_h
    )


def make_arrivals(spec: ArrivalSpec) -> ArrivalModel:
    """The model of request arrivals that a specification describes.

    Args:
        spec: the name of a model; the path of a request trace or of a fitted generator; a mapping with the
            name under `kind` (or `kind: file` and `path`) and the settings beside it; a dotted name
            `package.module:Class`; or a model.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    return make_source(spec, ARRIVALS, "model")


def check_arrivals(spec: ArrivalSpec) -> None:
    """Refuse what `make_arrivals` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    check_source(spec, ARRIVALS, "model")
