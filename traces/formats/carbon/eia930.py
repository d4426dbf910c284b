"""EIA-930: hourly generation by fuel of every balancing authority of the United States."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ....common.arrays import Bools, Floats
from ...records import CarbonSeries
from ..parsing import Table, brief, header_cells, local_times, read_table
from .fuels import Generation, check_kind, sound_zones

_ZONE, _TIME = "Balancing Authority", "UTC Time at End of Hour"
_FUEL = re.compile(r"Net Generation \(MW\) from (.*?)\s*(\(Adjusted\)|\(Imputed\))?$", re.IGNORECASE)
_HOUR_S = 3600.0


def recognises(head: str) -> bool:
    """Whether the header is that of EIA-930's balance files."""
    names = header_cells(head)
    return _ZONE.lower() in names and _TIME.lower() in names and any(map(_FUEL.match, names))


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read the six-month balance files (https://www.eia.gov/electricity/gridmonitor, EIA930_BALANCE).

    Adjusted values are taken where the file has a column of them, otherwise those reported; imputed ones
    alone are not. Times name the end of the hour, in UTC. A balancing authority whose rows break the rules is
    left out and noted.

    Raises:
        ValueError: with path and line number, if none is left.
    """
    check_kind(path, kind)
    table = read_table(path, [_ZONE, _TIME])
    columns: dict[str, str] = {}
    for name in table.columns:
        found = _FUEL.match(name)
        if found and (found[2] or "").lower() != "(imputed)":
            fuel = found[1].strip()
            if fuel not in columns or found[2]:
                columns[fuel] = name
    if not columns:
        raise ValueError(f"{path}:{table.header_line}: no column 'Net Generation (MW) from ...'")
    power = {fuel: table.numbers(name, ".") for fuel, name in columns.items()}
    times = _times(table) - _HOUR_S
    zones = table.cells(_ZONE).to_numpy()
    makers: dict[str, Callable[[], CarbonSeries]] = {}
    for zone in dict.fromkeys(zones):
        makers[str(zone)] = partial(_series, table, str(zone), zones == zone, power, times)
    return sound_zones(makers)


def _series(table: Table, zone: str, rows: Bools, power: dict[str, Floats], times: Floats) -> CarbonSeries:
    if not zone:
        raise ValueError(f"{table.path}:{table.lines[rows][0]}: {_ZONE} is {brief(zone)}, expected its code")
    return Generation(
        table.path,
        zone,
        {fuel: values[rows] for fuel, values in power.items()},
        times[rows],
        table.lines[rows],
        header_line=table.header_line,
        step_s=_HOUR_S,
        notes=table.notes,
    ).intensity()


def _times(table: Table) -> Floats:
    """Unix seconds of `01/31/2024 1:00:00 PM`, month first, as the files have them."""
    cells = table.cells(_TIME)
    if not cells.str.contains("/", regex=False).any():
        return table.utc_times(_TIME)
    half = cells.str.contains("[AP]M", regex=True).any()
    form = "%m/%d/%Y %I:%M:%S %p" if half else "%m/%d/%Y %H:%M"
    return np.asarray(local_times(table.path, cells, form, "UTC", table.lines))
