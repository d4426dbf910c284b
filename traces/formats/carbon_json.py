"""Carbon intensity JSON of the carbon-aware SDK and of Electricity Maps' API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..carbon_series import CarbonSeries, regular_series
from .json_rows import number, rows_of, unix_time
from .text import read_json


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
    times = np.array([unix_time(path, f"[{i}].Time", row.get("Time")) for i, row in enumerate(rows)])
    values = np.array([number(path, f"[{i}].Rating", row.get("Rating")) for i, row in enumerate(rows)])
    note = f"the kind is not in the file: {kind or 'direct'} is {'as asked' if kind else 'assumed'}"
    return [
        regular_series(
            path, zone, kind or "direct", times[index], values[index], np.array(index), notes=(note,)
        )
        for zone, index in zones.items()
    ]


def read_em(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Electricity Maps' API v3: one value ("latest"), or `history` or `forecast` of one zone."""
    document: Any = read_json(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected a JSON object with zone and carbonIntensity")
    rows = document.get("history") or document.get("forecast") or [document]
    rows = rows_of(path, rows, "history")
    times = np.array([unix_time(path, f"[{i}].datetime", row.get("datetime")) for i, row in enumerate(rows)])
    values = np.array(
        [number(path, f"[{i}].carbonIntensity", r.get("carbonIntensity")) for i, r in enumerate(rows)]
    )
    factor = str(rows[0].get("emissionFactorType", "lifecycle")).lower()
    found = "direct" if factor == "direct" else "life-cycle"
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")
    zone = str(document.get("zone") or rows[0].get("zone"))
    estimated = sum(bool(row.get("isEstimated")) for row in rows)
    notes = [f"{estimated} of {len(rows)} values are the provider's estimates"] if estimated else []
    return [regular_series(path, zone, found, times, values, np.arange(len(rows)), notes=notes)]
