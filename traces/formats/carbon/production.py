"""Generation by fuel in one row per time: SMARD, ENTSO-E's tables, Let's wait awhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...records import CarbonSeries
from ..parsing import Table, brief, header_cells, local_times, read_table
from .fuels import Generation, check_kind, factor_of

if TYPE_CHECKING:
    import pandas as pd

# SMARD's two languages: names of the time columns, how times are written, the decimal sign.
_SMARD = {
    ("datum", "uhrzeit"): ("%d.%m.%Y %H:%M", ","),
    ("datum", "anfang"): ("%d.%m.%Y %H:%M", ","),
    ("datum von", "datum bis"): ("%d.%m.%Y %H:%M", ","),
    ("start date", "end date"): ("%b %d, %Y %I:%M %p", "."),
}
_LOAD = ("netzlast", "residuallast", "gesamt", "grid load", "residual load", "total")
# The clocks that ENTSO-E's portal offers, as its cells and headers name them.
_CLOCKS = {
    "UTC": "UTC",
    "CET/CEST": "Europe/Brussels",
    "WET/WEST": "Europe/Lisbon",
    "EET/EEST": "Europe/Helsinki",
}


def recognises_smard(head: str) -> bool:
    """Whether the header is SMARD's, of generation or of consumption."""
    names = header_cells(head)
    return tuple(names[:2]) in _SMARD and any("[mwh]" in name for name in names)


def recognises_entsoe(head: str) -> bool:
    """Whether the header is that of ENTSO-E's generation per type, or of its portal of 2025."""
    names = header_cells(head)
    wide = any(name.startswith("mtu") for name in names) and any("actual aggregated" in n for n in names)
    return wide or (names[:2] == ["mtu (cet/cest)", "area"] or names[:2] == ["mtu (utc)", "area"])


def recognises_lwa(head: str) -> bool:
    """Whether the header is Let's wait awhile's: an unnamed column of times, then fuels."""
    names = header_cells(head)
    return names[:1] == [""] and "fossil gas" in names


def read_smard(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read SMARD's realised generation (https://www.smard.de/en/downloadcenter): MWh, `-` for missing.

    Headers of 2020 (`Datum;Uhrzeit`), 2022 (`Datum;Anfang;Ende`) and since 2023 (`Datum von;Datum bis`,
    English `Start date;End date`) are known. Times are on the German clock: the hour that it repeats in
    autumn comes twice, the one it skips in spring not at all.
    """
    check_kind(path, kind)
    table = read_table(path)
    columns = table.columns
    style = _SMARD.get((columns[0].lower(), columns[1].lower() if len(columns) > 1 else ""))
    if style is None:
        raise ValueError(
            f"{path}:{table.header_line}: columns {brief(', '.join(columns[:2]))}, expected SMARD's "
            "Datum von;Datum bis or Start date;End date"
        )
    form, decimal = style
    energies = [name for name in columns[2:] if "[MWh]" in name]
    fuels = [name for name in energies if not any(word in name.lower() for word in _LOAD)]
    if not any(factor_of(_bare(name)) for name in fuels):
        raise ValueError(
            f"{path}: {brief(', '.join(energies))}: consumption, not generation; no intensity follows from it"
        )
    stamps, step_s = table.cells(columns[0]), None
    if columns[1].lower() in ("uhrzeit", "anfang"):
        stamps = stamps + " " + table.cells(columns[1])
    else:
        step_s = _length(table, form, stamps, table.cells(columns[1]))
    times = local_times(path, stamps, form, "Europe/Berlin", table.lines)
    power = {_bare(name): table.numbers(name, decimal) for name in fuels}
    notes = [*table.notes, "the file does not name its area: DE is assumed"]
    return [
        Generation(
            path,
            "DE",
            power,
            times,
            table.lines,
            header_line=table.header_line,
            step_s=step_s,
            clock="Europe/Berlin",
            unit="MWh by fuel",
            notes=notes,
        ).intensity()
    ]


def read_entsoe(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read ENTSO-E's actual generation per type (https://transparency.entsoe.eu), a column for each fuel.

    `MTU` holds from - to with its clock in brackets, values are MW. `n/e` (not expected) is none, `N/A` and
    `-` are missing. Columns of what storage takes (`Actual Consumption`) are left out.
    """
    check_kind(path, kind)
    table = read_table(path)
    fuels = [name for name in table.columns if "actual aggregated" in name.lower()]
    if not fuels:
        raise ValueError(
            f"{path}:{table.header_line}: the portal's table of {brief(', '.join(table.columns[2:]))}, "
            "expected a column per fuel; take AggregatedGenerationPerType from its File Library "
            "(format entsoe-library)"
        )
    mtu = next(name for name in table.columns if name.lower().startswith("mtu"))
    cells = table.cells(mtu)
    clock = _clock(table, mtu)
    spans = cells.str.replace(r"\s*\([^)]*\)", "", regex=True).str.split(" - ")
    begins, ends = spans.str[0].str.strip(), spans.str[-1].str.strip()
    form = "%d.%m.%Y %H:%M"
    step_s = _length(table, form, begins, ends) if cells.str.contains(" - ", regex=False).all() else None
    times = local_times(path, begins, form, _CLOCKS[clock], table.lines)
    areas = table.cells(table.named("Area")) if table.find("area") else None
    if areas is not None and areas.nunique() > 1:
        row = int(np.argmax((areas != areas.iloc[0]).to_numpy()))
        raise ValueError(
            f"{path}:{table.lines[row]}: area {brief(areas.iloc[row])} after {brief(areas.iloc[0])}, "
            "expected one area; split the file"
        )
    power = {}
    for name in fuels:
        values = table.numbers(name)
        values[(table.cells(name).str.lower() == "n/e").to_numpy()] = 0.0
        power[re.sub(r"\s*-\s*Actual Aggregated.*", "", name)] = values
    zone = str(areas.iloc[0]) if areas is not None and areas.iloc[0] else Path(path).stem
    return [
        Generation(
            path,
            zone,
            power,
            times,
            table.lines,
            header_line=table.header_line,
            step_s=step_s,
            clock=_CLOCKS[clock],
            notes=table.notes,
        ).intensity()
    ]


def read_lwa(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Let's wait awhile's production: MW by fuel in UTC, then imports by neighbour (left out)."""
    check_kind(path, kind)
    table = read_table(path)
    fuels = [name for name in table.columns[1:] if not (len(name) == 2 and name.isupper())]
    power = {name: table.numbers(name) for name in fuels}
    times = table.utc_times(table.columns[0])
    zone = Path(path).name.split("_")[0].upper()
    return [
        Generation(
            path, zone, power, times, table.lines, header_line=table.header_line, notes=table.notes
        ).intensity()
    ]


def _bare(name: str) -> str:
    """The fuel in one of SMARD's column names, which also hold the unit and the resolution."""
    return name.split("[", 1)[0].strip()


def _length(table: Table, form: str, begins: pd.Series, ends: pd.Series) -> float | None:
    """How long most rows last on the clock; None if the times do not say."""
    import pandas as pd

    first, last = (pd.to_datetime(cells, format=form, errors="coerce") for cells in (begins, ends))
    seconds = np.asarray((last - first).dt.total_seconds(), dtype=np.float64)
    seconds = seconds[np.isfinite(seconds) & (seconds > 0)]
    return float(np.median(seconds)) if seconds.size else None


def _clock(table: Table, mtu: str) -> str:
    """The one clock that the cells or the header name; Central European if none does."""
    named = table.cells(mtu).str.extract(r"\(([^)]*)\)", expand=False).fillna("")
    stated = mtu.partition("(")[2].rstrip(")")
    clocks = {str(name) for name in named.unique()} or {""}
    if len(clocks) > 1:
        row = int(np.argmax((named != named.iloc[0]).to_numpy()))
        raise ValueError(
            f"{table.path}:{table.lines[row]}: clock {brief(named.iloc[row])} after {brief(named.iloc[0])}, "
            "expected one"
        )
    clock = clocks.pop() or stated or "CET/CEST"
    if clock not in _CLOCKS:
        raise ValueError(
            f"{table.path}:{table.lines[0]}: clock {brief(clock)}, expected {', '.join(_CLOCKS)}"
        )
    return clock
