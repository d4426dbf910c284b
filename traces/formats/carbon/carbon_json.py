"""Carbon intensity JSON of the carbon-aware SDK and of Electricity Maps' API."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ...records import CarbonSeries, regular_series
from ..parsing import brief, lines_of, read_json
from .json_rows import number, rows_of, unix_time

# Electricity Maps' `temporalGranularity`; months and years are refused by their length.
_GRANULARITIES = {
    "5_minutes": 300.0,
    "15_minutes": 900.0,
    "hourly": 3600.0,
    "daily": 86400.0,
    "monthly": 30.0 * 86400.0,
    "quarterly": 91.0 * 86400.0,
    "yearly": 365.0 * 86400.0,
}
# Where its rows stand: `past-range` answers with "data".
_LISTS = ("history", "data", "forecast")


def recognises_sdk(head: str) -> bool:
    """Whether the beginning shows the SDK's keys, of its data files or of its web API."""
    capitals = '"Location"' in head and '"Rating"' in head
    return capitals or ('"location"' in head and '"rating"' in head and '"time"' in head)


def recognises_em(head: str) -> bool:
    """Whether the beginning shows Electricity Maps' keys."""
    return '"carbonIntensity"' in head and '"zone"' in head


def read_sdk(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read the carbon-aware SDK's emissions: location, time, rating (g/kWh), one series per location.

    Three shapes are read: a bare list and an object with `Emissions` (its data files; keys begin with
    capitals, ratings are numbers or text), and the list of its web API (`emissions/bylocation`; keys as in
    its generated clients: location, time, rating, duration).
    """
    rows = [
        {name.lower(): value for name, value in row.items()}
        for row in rows_of(path, read_json(path), "Emissions")
    ]
    zones: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        zones.setdefault(str(row.get("location")), []).append(index)
    lines = lines_of(path, len(rows), "Emissions")
    times, values, lasts = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        times[index] = unix_time(path, line, f"[{index}].time", row.get("time"))
        values[index] = number(path, line, f"[{index}].rating", row.get("rating"))
        lasts[index] = _duration_s(row.get("duration"))
    note = f"the kind is not in the file: {kind or 'direct'} is {'as asked' if kind else 'assumed'}"
    return [
        regular_series(
            path,
            zone,
            kind or "direct",
            times[index],
            values[index],
            lines[index],
            step_s=float(lasts[index][0]) if (lasts[index] == lasts[index][0]).all() else None,
            notes=(note,),
        )
        for zone, index in zones.items()
    ]


def read_em(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Electricity Maps' API (https://app.electricitymaps.com/docs): one value, or a list of them.

    `latest` is one value; `history`, `past-range` and `forecast` are lists under "history", "data" and
    "forecast". `temporalGranularity` says how long a value holds, an hour if it is missing.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected a JSON object with zone and carbonIntensity")
    key = next((name for name in _LISTS if document.get(name)), None)
    rows = rows_of(path, document, key) if key else [document]
    lines = lines_of(path, len(rows), *([key] if key else []))
    times, values = np.empty(len(rows)), np.empty(len(rows))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        times[index] = unix_time(path, line, f"[{index}].datetime", row.get("datetime"))
        values[index] = number(path, line, f"[{index}].carbonIntensity", row.get("carbonIntensity"))
    factors = {str(row.get("emissionFactorType") or "lifecycle").lower() for row in rows}
    if len(factors) > 1:
        raise ValueError(
            f"{path}: emissionFactorType {' and '.join(sorted(factors))} are mixed, expected one"
        )
    found = "direct" if factors == {"direct"} else "life-cycle"
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")
    zones: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        zones.setdefault(str(row.get("zone") or document.get("zone")), []).append(index)
    granularity = document.get("temporalGranularity", rows[0].get("temporalGranularity"))
    notes = ["the values are the provider's forecast"] if key == "forecast" else []
    step_s = None
    if granularity is not None:
        if granularity not in _GRANULARITIES:
            expected = ", ".join(_GRANULARITIES)
            raise ValueError(f"{path}: temporalGranularity is {brief(granularity)}, expected {expected}")
        step_s = _GRANULARITIES[str(granularity)]
    elif len(rows) == 1:
        step_s = 3600.0
        notes.append("one value without a length: an hour is assumed")
    series = []
    for zone, own in zones.items():
        estimated = sum(bool(rows[row].get("isEstimated")) for row in own) / len(own)
        share = [f"{estimated:.0%} of the values are the provider's estimates"] if estimated else []
        series.append(
            regular_series(
                path,
                zone,
                found,
                times[own],
                values[own],
                lines[own],
                step_s=step_s,
                notes=[*notes, *share],
                estimated=estimated,
            )
        )
    return series


def _duration_s(value: object) -> float:
    """Seconds of a .NET time span such as 01:00:00 or 1.00:00:00; NaN if there is none, or it is zero."""
    found = re.fullmatch(r"(?:(\d{1,4})\.)?(\d\d):(\d\d):(\d\d)(?:\.\d+)?", str(value))
    if not found:
        return math.nan
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 86400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds or math.nan
