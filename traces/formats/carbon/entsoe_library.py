"""ENTSO-E's File Library: generation by fuel in one row per time, area and fuel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....common.arrays import Bools, Floats
from ...records import CarbonSeries
from ..parsing import Table, brief, header_cells, read_table
from .fuels import Generation, check_kind, sound_zones

if TYPE_CHECKING:
    import pandas as pd

_FUEL = "ProductionType"
_RESOLUTIONS_S = {"PT15M": 900.0, "PT30M": 1800.0, "PT60M": 3600.0}
# An area may be there as several things; the first of these counts.
_AREA_TYPES = ("BZN", "CTY", "CTA")


def recognises(head: str) -> bool:
    """Whether the header is that of AggregatedGenerationPerType."""
    names = header_cells(head)
    value = any(name.startswith("actualgenerationoutput") for name in names)
    return value and {"productiontype", "resolutioncode"} <= set(names)


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read AggregatedGenerationPerType (16.1.B&C) of https://transparency.entsoe.eu, one series per area.

    Columns are those of its extract of 2025: `DateTime(UTC)`, `ResolutionCode`, `AreaTypeCode`,
    `AreaMapCode`, `ProductionType`, `ActualGenerationOutput[MW]`. A fuel without a row at a time is missing
    there. What storage takes (`ActualConsumption`) is left out. An area whose rows break the rules is left
    out and noted.

    Raises:
        ValueError: with path and line number, if none is left.
    """
    check_kind(path, kind)
    table = read_table(path, [_FUEL, "ResolutionCode"])
    area = next((name for name in ("AreaMapCode", "MapCode", "AreaCode") if _has(table, name)), "AreaMapCode")
    value = _need(table, "actualgenerationoutput")
    times = table.utc_times(_need(table, "datetime", "utc"))
    values = table.numbers(value, ".")
    areas = table.cells(area).to_numpy()
    types = table.cells("AreaTypeCode") if _has(table, "AreaTypeCode") else None
    makers: dict[str, Callable[[], CarbonSeries]] = {}
    for zone in dict.fromkeys(areas):
        rows = areas == zone
        if types is not None:
            rows &= types.str.contains(_chosen(types[rows]), regex=False).to_numpy(dtype=bool)
        makers[str(zone)] = partial(_series, table, str(zone), rows, times, values)
    return sound_zones(makers)


def _series(table: Table, zone: str, rows: Bools, times: Floats, values: Floats) -> CarbonSeries:
    lines = table.lines[rows]
    codes = table.cells("ResolutionCode")[rows]
    if codes.nunique() != 1 or codes.iloc[0] not in _RESOLUTIONS_S:
        row = int(np.argmax((codes != codes.iloc[0]).to_numpy() | ~codes.isin(_RESOLUTIONS_S).to_numpy()))
        raise ValueError(
            f"{table.path}:{lines[row]}: ResolutionCode is {brief(codes.iloc[row])}, expected one of "
            f"{', '.join(_RESOLUTIONS_S)} for all of an area"
        )
    moments, place = np.unique(times[rows], return_inverse=True)
    first = np.full(moments.size, np.iinfo(np.int64).max)
    np.minimum.at(first, place, lines)
    fuels = table.cells(_FUEL)[rows].to_numpy()
    power = {}
    for fuel in dict.fromkeys(fuels):
        own = np.full(moments.size, np.nan)
        mine = fuels == fuel
        counts = np.bincount(place[mine], minlength=moments.size)
        if (counts > 1).any():
            line = lines[mine][int(np.flatnonzero(counts[place[mine]] > 1)[-1])]
            raise ValueError(f"{table.path}:{line}: {brief(fuel)} comes twice at this time, expected once")
        own[place[mine]] = values[rows][mine]
        power[str(fuel)] = own
    return Generation(
        table.path,
        zone,
        power,
        moments,
        first,
        header_line=table.header_line,
        step_s=_RESOLUTIONS_S[str(codes.iloc[0])],
        notes=table.notes,
    ).intensity()


def _chosen(types: pd.Series) -> str:
    return next((name for name in _AREA_TYPES if types.str.contains(name, regex=False).any()), "")


def _has(table: Table, name: str) -> bool:
    return name.lower() in {column.lower() for column in table.columns}


def _need(table: Table, *words: str) -> str:
    found = table.find(*words, without=("update",))
    return found if found is not None else table.named("".join(words))
