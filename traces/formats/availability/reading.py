"""Reading availability files, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ....common.settings import suggest
from ...records import AvailabilityTrace
from ..parsing import is_pickle, read_bytes, read_head
from . import bamboo, fedscale, flash, fta, skypilot, stunner
from . import own_csv as own_availability

Paths = Sequence[str | Path]


def _single(read: Callable[[str | Path], AvailabilityTrace]) -> Callable[[Paths], AvailabilityTrace]:
    """A reader of one file as one of many, which refuses more."""

    def reader(paths: Paths) -> AvailabilityTrace:
        if len(paths) != 1:
            raise ValueError(f"{paths[1]}: files of this format are read one by one, expected a single file")
        return read(paths[0])

    return reader


_READERS: dict[str, Callable[[Paths], AvailabilityTrace]] = {
    "csv": _single(own_availability.read),
    "stunner": _single(stunner.read),
    "flash": _single(flash.read),
    "fedscale": _single(fedscale.read),
    "skypilot": skypilot.read,
    "skypilot-inverted": partial(skypilot.read, inverted=True),
    "bamboo-events": _single(bamboo.read_events),
    "bamboo-counts": _single(bamboo.read_counts),
    "fta": _single(fta.read),
}
_SIGNS: dict[str, Callable[[str], bool]] = {
    "csv": own_availability.recognises,
    "stunner": stunner.recognises,
    "flash": flash.recognises,
    "skypilot": skypilot.recognises,
    "bamboo-events": bamboo.recognises_events,
    "bamboo-counts": bamboo.recognises_counts,
    "fta": fta.recognises,
}
AVAILABILITY_FORMATS: tuple[str, ...] = tuple(_READERS)


def read_availability(paths: str | Path | Paths, format: str | None = None) -> AvailabilityTrace:
    """The trace of an availability file, or of several SkyPilot zones that were watched together.

    Args:
        paths: the file or files, gzip or not.
        format: one of `AVAILABILITY_FORMATS`; recognised by the first file's content if missing.

    Raises:
        ValueError: with path and line number, if a file cannot be read by the rules of its format.
    """
    files = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not files:
        raise ValueError("availability: no file, expected at least one")
    if format is not None and format not in _READERS:
        raise ValueError(f"format: {format!r} is not an availability format; {suggest(format, _READERS)}")
    return _READERS[format or sniff_availability(files[0])](files)


def sniff_availability(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    if is_pickle(read_bytes(path, limit=16)):
        return "fedscale"
    head = read_head(path)
    for name, recognises in _SIGNS.items():
        if recognises(head):
            return name
    raise ValueError(
        f"{path}: not an availability file that is known; name its format, one of {', '.join(_READERS)}"
    )
