"""The UK's national carbon intensity API: JSON of half-hours with forecast and actual."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...records import CarbonSeries, regular_series
from ..parsing import lines_of, read_json
from .json_rows import number, rows_of, unix_time


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys."""
    return '"intensity"' in head and '"forecast"' in head and '"from"' in head


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read `{"data": [{"from", "to", "intensity": {"forecast", "actual"}}]}`, g/kWh by half-hours in UTC.

    Actual values are taken where there are any; otherwise the file is a forecast and says so. The API counts
    emissions of generation, which is direct intensity.

    Raises:
        ValueError: naming the line and the entry.
    """
    if kind not in (None, "direct"):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected direct")
    rows = rows_of(path, read_json(path), "data")
    lines = lines_of(path, len(rows), "data")
    times, actual, forecast = [], [], []
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        intensity = row.get("intensity")
        if not isinstance(intensity, dict):
            raise ValueError(f"{path}:{line}: data[{index}]: expected from and intensity")
        times.append(unix_time(path, line, f"data[{index}].from", row.get("from")))
        actual.append(number(path, line, f"data[{index}].actual", intensity.get("actual")))
        forecast.append(number(path, line, f"data[{index}].forecast", intensity.get("forecast")))
    seen = np.array(actual)
    notes = []
    if not np.isfinite(seen).any():
        seen = np.array(forecast)
        notes.append("the values are the provider's forecast; no actual ones are in the file")
    return [regular_series(path, "GB", "direct", np.array(times), seen, lines, notes=notes)]
