"""Reading availability files, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..availability_trace import AvailabilityTrace
from ..settings import suggest
from . import stunner
from .text import read_head

AVAILABILITY_FORMATS: dict[str, tuple[Callable[[str], bool], Callable[[str | Path], AvailabilityTrace]]] = {
    "stunner": (stunner.recognises, stunner.read),
}


def read_availability(
    paths: str | Path | Sequence[str | Path], format: str | None = None
) -> AvailabilityTrace:
    """The trace of an availability file.

    Args:
        paths: the file, gzip or not.
        format: one of `AVAILABILITY_FORMATS`; recognised by its content if missing.

    Raises:
        ValueError: with path and line number, if the file cannot be read by the rules of its format.
    """
    path = paths if isinstance(paths, (str, Path)) else paths[0]
    if format is not None and format not in AVAILABILITY_FORMATS:
        raise ValueError(
            f"format: {format!r} is not an availability format; {suggest(format, AVAILABILITY_FORMATS)}"
        )
    return AVAILABILITY_FORMATS[format or sniff_availability(path)][1](path)


def sniff_availability(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    head = read_head(path)
    for name, (recognises, _) in AVAILABILITY_FORMATS.items():
        if recognises(head):
            return name
    raise ValueError(
        f"{path}: not an availability file that is known; name its format, one of {', '.join(AVAILABILITY_FORMATS)}"
    )
