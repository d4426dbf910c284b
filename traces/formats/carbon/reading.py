"""Reading carbon intensity files, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ....common.settings import suggest
from ...records import CarbonSeries
from ..parsing import read_head
from . import carbon_json, electricitymaps, production, simple_carbon, uk_api, watttime

Reader = Callable[[str | Path, str | None], list[CarbonSeries]]


def _electricitymaps(path: str | Path, kind: str | None) -> list[CarbonSeries]:
    """Files with two kinds of intensity: direct, unless another is asked for."""
    return electricitymaps.read_csv(path, kind or "direct")


_READERS: dict[str, tuple[Callable[[str], bool], Reader]] = {
    "csv": (simple_carbon.recognises_own, simple_carbon.read_own),
    "electricitymaps": (electricitymaps.is_csv, _electricitymaps),
    "electricitymaps-json": (carbon_json.recognises_em, carbon_json.read_em),
    "electricitymaps-dump": (simple_carbon.recognises_dump, simple_carbon.read_dump),
    "uk-api": (uk_api.recognises, uk_api.read),
    "watttime": (watttime.recognises, watttime.read),
    "watttime-vessim": (watttime.recognises_csv, watttime.read_vessim),
    "moer": (simple_carbon.recognises_moer, simple_carbon.read_moer),
    "smard": (production.recognises_smard, production.read_smard),
    "entsoe": (production.recognises_entsoe, production.read_entsoe),
    "lwa-production": (production.recognises_lwa, production.read_lwa),
    "lwa": (simple_carbon.recognises_lwa, simple_carbon.read_lwa),
    "carbon-aware-sdk": (carbon_json.recognises_sdk, carbon_json.read_sdk),
    "citylearn": (simple_carbon.recognises_citylearn, simple_carbon.read_citylearn),
}
CARBON_FORMATS: tuple[str, ...] = tuple(_READERS)


def read_carbon(path: str | Path, format: str | None = None, kind: str | None = None) -> list[CarbonSeries]:
    """The series of a carbon intensity file, one per zone.

    Args:
        path: the file, gzip or not.
        format: one of `CARBON_FORMATS`; recognised by its content if missing.
        kind: which of the file's intensities to read, where it has several; otherwise a check.

    Raises:
        ValueError: with path and line number, if the file cannot be read by the rules of its format.
    """
    if format is not None and format not in _READERS:
        raise ValueError(f"format: {format!r} is not a carbon format; {suggest(format, _READERS)}")
    name = format or sniff_carbon(path)
    try:
        series = _READERS[name][1](path, kind)
    except (KeyError, StopIteration, IndexError) as error:
        # A file forced into a format whose columns it does not have.
        raise ValueError(f"{path}: not in format {name!r}, no column {error}") from None
    return [replace(one, source=f"{path} ({name})") for one in series]


def sniff_carbon(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    head = read_head(path)
    for name, (recognises, _) in _READERS.items():
        if recognises(head):
            return name
    raise ValueError(
        f"{path}: not a carbon intensity file that is known; name its format, one of {', '.join(_READERS)}"
    )
