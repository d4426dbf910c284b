"""Reading carbon intensity files, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..carbon_series import CarbonSeries
from ..settings import suggest
from . import electricitymaps
from .text import read_head

Reader = Callable[[str | Path, str | None], list[CarbonSeries]]


def _electricitymaps(path: str | Path, kind: str | None) -> list[CarbonSeries]:
    return electricitymaps.read_csv(path, kind or "direct")


CARBON_FORMATS: dict[str, tuple[Callable[[str], bool], Reader]] = {
    "electricitymaps": (electricitymaps.is_csv, _electricitymaps),
}


def read_carbon(path: str | Path, format: str | None = None, kind: str | None = None) -> list[CarbonSeries]:
    """The series of a carbon intensity file, one per zone.

    Args:
        path: the file, gzip or not.
        format: one of `CARBON_FORMATS`; recognised by its content if missing.
        kind: which of the file's intensities to read, where it has several; otherwise a check.

    Raises:
        ValueError: with path and line number, if the file cannot be read by the rules of its format.
    """
    if format is not None and format not in CARBON_FORMATS:
        raise ValueError(f"format: {format!r} is not a carbon format; {suggest(format, CARBON_FORMATS)}")
    name = format or sniff_carbon(path)
    return CARBON_FORMATS[name][1](path, kind)


def sniff_carbon(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    head = read_head(path)
    for name, (recognises, _) in CARBON_FORMATS.items():
        if recognises(head):
            return name
    raise ValueError(
        f"{path}: not a carbon intensity file that is known; name its format, one of "
        f"{', '.join(CARBON_FORMATS)}"
    )
