"""The UK's carbon intensity API, national and regional: JSON of half-hours with forecast and actual."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ....common.arrays import Ints
from ...records import CarbonSeries, regular_series
from ..parsing import line_of, lines_of, read_json
from .json_rows import number, rows_of, unix_time

Rows = list[dict[str, object]]


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys."""
    return '"intensity"' in head and '"forecast"' in head and '"from"' in head


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read `{"data": [{"from", "to", "intensity": {"forecast", "actual"}}]}`, g/kWh by half-hours in UTC.

    Actual values are taken where there are any; otherwise the file is a forecast and says so. The API counts
    emissions of generation, which is direct intensity. Regional answers (`/regional/...`) hold forecasts
    only, of regions by number: zones `GB-1` to `GB-18`.
    (https://carbon-intensity.github.io/api-definitions)

    Raises:
        ValueError: naming the line and the entry.
    """
    if kind not in (None, "direct"):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected direct")
    return [_series(path, zone, rows, lines) for zone, rows, lines in _zones(path)]


def _zones(path: str | Path) -> Iterator[tuple[str, Rows, Ints]]:
    """The zones of a file, each with its rows and their lines."""
    document = read_json(path)
    data = document.get("data") if isinstance(document, dict) else document
    if isinstance(data, dict):
        rows = rows_of(path, data, "data")
        yield _zone(data), rows, lines_of(path, len(rows), "data", "data")
        return
    rows = rows_of(path, document, "data")
    if "regions" in rows[0]:
        by_zone: dict[str, tuple[Rows, list[int]]] = {}
        for row, line in zip(rows, lines_of(path, len(rows), "data").tolist(), strict=True):
            for region in rows_of(path, row, "regions"):
                own, lines = by_zone.setdefault(_zone(region), ([], []))
                own.append({"from": row.get("from"), "to": row.get("to"), **region})
                lines.append(line)
        for zone, (own, lines) in by_zone.items():
            yield zone, own, np.array(lines, dtype=np.int64)
    elif "regionid" in rows[0]:
        for index, region in enumerate(rows):
            own = rows_of(path, region, "data")
            yield _zone(region), own, np.full(len(own), line_of(path, "data", index))
    else:
        yield "GB", rows, lines_of(path, len(rows), "data")


def _zone(region: dict[str, object]) -> str:
    return f"GB-{region.get('regionid')}"


def _series(path: str | Path, zone: str, rows: Rows, lines: Ints) -> CarbonSeries:
    times, actual, forecast, lasts = (np.full(len(rows), np.nan) for _ in range(4))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        intensity = row.get("intensity")
        if not isinstance(intensity, dict):
            raise ValueError(f"{path}:{line}: data[{index}]: expected from and intensity")
        times[index] = unix_time(path, line, f"data[{index}].from", row.get("from"))
        if row.get("to"):
            lasts[index] = unix_time(path, line, f"data[{index}].to", row.get("to")) - times[index]
        actual[index] = number(path, line, f"data[{index}].actual", intensity.get("actual"))
        forecast[index] = number(path, line, f"data[{index}].forecast", intensity.get("forecast"))
    seen, notes = actual, []
    if not np.isfinite(seen).any():
        seen = forecast
        notes.append("the values are the provider's forecast; no actual ones are in the file")
    step_s = float(lasts[0]) if (lasts == lasts[0]).all() else None
    return regular_series(path, zone, "direct", times, seen, lines, step_s=step_s, notes=notes)
