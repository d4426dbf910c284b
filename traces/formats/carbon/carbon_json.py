"""Carbon intensity JSON of the carbon-aware SDK and of Electricity Maps' API."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...records import CarbonSeries, regular_series
from ..parsing import lines_of, read_json
from .json_rows import number, rows_of, unix_time


def recognises_sdk(head: str) -> bool:
    """Whether the beginning shows the SDK's keys."""
    return '"Location"' in head and '"Rating"' in head


def recognises_em(head: str) -> bool:
    """Whether the beginning shows Electricity Maps' keys."""
    return '"carbonIntensity"' in head and '"zone"' in head


def read_sdk(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read the carbon-aware SDK's emissions: `Location`, `Time`, `Rating` (g/kWh), one series per location.

    Both shapes are read: a bare list, and an object with `Emissions`, whose ratings are strings.
    """
    rows = rows_of(path, read_json(path), "Emissions")
    zones: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        zones.setdefault(str(row.get("Location")), []).append(index)
    lines = lines_of(path, len(rows), "Emissions")
    times, values = np.empty(len(rows)), np.empty(len(rows))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        times[index] = unix_time(path, line, f"[{index}].Time", row.get("Time"))
        values[index] = number(path, line, f"[{index}].Rating", row.get("Rating"))
    note = f"the kind is not in the file: {kind or 'direct'} is {'as asked' if kind else 'assumed'}"
    return [
        regular_series(path, zone, kind or "direct", times[index], values[index], lines[index], notes=(note,))
        for zone, index in zones.items()
    ]


def read_em(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Electricity Maps' API v3: one value ("latest"), or `history` or `forecast` of one zone."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected a JSON object with zone and carbonIntensity")
    key = next((name for name in ("history", "forecast") if document.get(name)), None)
    rows = rows_of(path, document, key) if key else [document]
    lines = lines_of(path, len(rows), *([key] if key else []))
    times, values = np.empty(len(rows)), np.empty(len(rows))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        times[index] = unix_time(path, line, f"[{index}].datetime", row.get("datetime"))
        values[index] = number(path, line, f"[{index}].carbonIntensity", row.get("carbonIntensity"))
    factor = str(rows[0].get("emissionFactorType", "lifecycle")).lower()
    found = "direct" if factor == "direct" else "life-cycle"
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")
    zone = str(document.get("zone") or rows[0].get("zone"))
    estimated = sum(bool(row.get("isEstimated")) for row in rows)
    notes = [f"{estimated} of {len(rows)} values are the provider's estimates"] if estimated else []
    return [regular_series(path, zone, found, times, values, lines, notes=notes)]
