"""Energy-Charts (Fraunhofer ISE): JSON of public power by fuel, and of carbon intensity."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ....common.arrays import Floats
from ...records import CarbonSeries, regular_series
from ..parsing import brief, check_time, line_of, read_json
from .fuels import Generation, check_kind
from .json_rows import number

# Series of `public_power` that are no generation.
_OTHER = re.compile(r"load|share|cross border|consumption|residual|trading|import|export", re.IGNORECASE)


def recognises(head: str) -> bool:
    """Whether the beginning shows the keys of `public_power` or `co2eq`."""
    return '"unix_seconds"' in head and head.lstrip().startswith("{")


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read answers of https://api.energy-charts.info: `public_power` (MW) or `co2eq` (g/kWh).

    Both have `unix_seconds`. Power stands under `production_types` as name and data; load, shares, trade and
    what storage takes are left out. Intensity stands under `co2eq`; `co2eq_forecast` is read only where there
    is nothing else. The answers do not name their country: the zone is the file's name.

    Raises:
        ValueError: naming the line and the entry.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("unix_seconds"), list):
        raise ValueError(f"{path}:1: expected a JSON object with unix_seconds")
    line = line_of(path, "unix_seconds")
    seconds = document["unix_seconds"]
    times = np.array([number(path, line, f"unix_seconds[{i}]", at) for i, at in enumerate(seconds)])
    for at in times[:1].tolist() + times[-1:].tolist():
        check_time(path, at, line)
    zone = Path(path).name.split(".")[0]
    lines = np.full(times.size, line)
    if "production_types" in document:
        check_kind(path, kind)
        power = _power(path, document["production_types"], times.size)
        return [Generation(path, zone, power, times, lines, notes=(_ZONE_NOTE,)).intensity()]
    if "co2eq" not in document:
        raise ValueError(f"{path}:1: expected production_types or co2eq beside unix_seconds")
    values = _column(path, "co2eq", document["co2eq"], times.size)
    notes = [_ZONE_NOTE]
    if not np.isfinite(values).any() and "co2eq_forecast" in document:
        values = _column(path, "co2eq_forecast", document["co2eq_forecast"], times.size)
        notes.append("the values are the provider's forecast; no actual ones are in the file")
    found = kind or "life-cycle"
    notes.append(f"the kind is not in the file: {found} is {'as asked' if kind else 'assumed'}")
    return [regular_series(path, zone, found, times, values, lines, notes=notes)]


_ZONE_NOTE = "the file does not name its country: the zone is the file's name"


def _power(path: str | Path, entries: object, size: int) -> dict[str, Floats]:
    line = line_of(path, "production_types")
    if not isinstance(entries, list):
        raise ValueError(f"{path}:{line}: production_types is {brief(entries)}, expected a list of series")
    power = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ValueError(f"{path}:{line}: {brief(entry)}, expected name and data")
        if not _OTHER.search(entry["name"]):
            power[entry["name"]] = _column(path, "production_types", entry.get("data"), size)
    return power


def _column(path: str | Path, key: str, values: object, size: int) -> Floats:
    line = line_of(path, key)
    if not isinstance(values, list) or len(values) != size:
        found = len(values) if isinstance(values, list) else brief(values)
        raise ValueError(f"{path}:{line}: {key} has {found} values, expected {size}, one per time")
    return np.array([number(path, line, f"{key}[{i}]", value) for i, value in enumerate(values)])
