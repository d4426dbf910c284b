"""Reading availability files, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...records import AvailabilityTrace
from ..base import Format, Formats
from . import (
    acn,
    alibaba_spot,
    avt,
    bamboo,
    fedscale,
    flash,
    fta,
    google_machines,
    home_assistant,
    own_csv,
    skypilot,
    stunner,
)

AVAILABILITY_FORMATS: Formats[AvailabilityTrace] = Formats(
    "availability",
    Format("fedscale", fedscale.recognises, fedscale.read, binary=True),
    Format("csv", own_csv.recognises, own_csv.read),
    Format("stunner", stunner.recognises, stunner.read),
    Format("flash", flash.recognises, flash.read),
    Format("skypilot", skypilot.recognises, skypilot.read, together=True),
    Format("skypilot-inverted", None, partial(skypilot.read, inverted=True), together=True),
    Format("bamboo-events", bamboo.recognises_events, bamboo.read_events),
    Format("bamboo-counts", bamboo.recognises_counts, bamboo.read_counts),
    Format("fta", fta.recognises, fta.read),
    Format("avt", avt.recognises, avt.read),
    Format("google-machines", google_machines.recognises, google_machines.read),
    Format("alibaba-spot", alibaba_spot.recognises, alibaba_spot.read),
    Format("acn", acn.recognises, acn.read),
    Format("acn-users", None, partial(acn.read, users=True)),
    Format("home-assistant", home_assistant.recognises, home_assistant.read),
)
"""Formats of recorded availability; one of your own joins with `AVAILABILITY_FORMATS.add(Format(...))`."""


def read_availability(
    paths: str | Path | Sequence[str | Path], format: str | None = None
) -> AvailabilityTrace:
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
    found = AVAILABILITY_FORMATS.find(format or sniff_availability(files[0]))
    if found.together:
        return found.read(files)
    if len(files) != 1:
        raise ValueError(f"{files[1]}: files of this format are read one by one, expected a single file")
    return found.read(files[0])


def sniff_availability(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    found = AVAILABILITY_FORMATS.of_file(path)
    if found is None:
        known = ", ".join(AVAILABILITY_FORMATS)
        raise ValueError(f"{path}: not an availability file that is known; name its format, one of {known}")
    return found.name
