"""Generation by fuel (ENTSO-E, SMARD, Let's wait awhile) turned into life-cycle carbon intensity.

Each fuel counts with the median of the IPCC's special report on renewables (SRREN 2011, annex II), the
factors that Let's wait awhile (Wiesner et al., Middleware 2021) uses. Imports and pumped storage
are left out: their own intensity is not in such files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....common.arrays import Floats
from ...records import CarbonSeries, regular_series
from ..parsing import MISSING, Table, brief, header_cells, read_table

if TYPE_CHECKING:
    import pandas as pd


# g/kWh; the first word found in a column's name decides.
_FACTORS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("pumped", "pumpspeicher"), 0.0),
    (("lignite", "braunkohle", "brown coal"), 1001.0),
    (("coal", "steinkohle", "peat"), 1001.0),
    (("gas", "erdgas"), 469.0),
    (("oil",), 840.0),
    (("nuclear", "kernenergie"), 16.0),
    (("wind",), 12.0),
    (("solar", "photovoltaik"), 46.0),
    (("hydro", "wasserkraft"), 4.0),
    (("biomass", "biomasse"), 18.0),
    (("geothermal",), 45.0),
    (("marine",), 8.0),
    (("waste", "sonstige konventionelle", "other"), 700.0),
    (("sonstige erneuerbare", "other renewable"), 18.0),
)


def recognises_smard(head: str) -> bool:
    """Whether the header is SMARD's, of generation or of consumption."""
    names = header_cells(head)
    return names[:1] == ["datum"] and any("[mwh]" in name for name in names)


def recognises_entsoe(head: str) -> bool:
    """Whether the header is that of ENTSO-E's generation per type."""
    names = header_cells(head)
    return "mtu" in names and any("actual aggregated" in name for name in names)


def recognises_lwa(head: str) -> bool:
    """Whether the header is Let's wait awhile's: an unnamed column of times, then fuels."""
    names = header_cells(head)
    return names[:1] == [""] and "fossil gas" in names


def read_smard(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read SMARD: quarter hours on the local clock, MWh, `.` between thousands, `-` for missing.

    The hour that the clock repeats in autumn comes twice, the one it skips in spring not at all.
    """
    table = read_table(path)
    fuels = [name for name in table.columns[2:] if "[MWh]" in name]
    if not any("Braunkohle" in name for name in fuels):
        raise ValueError(
            f"{path}: {', '.join(fuels)[:80]}: consumption, not generation; no intensity follows from it"
        )
    stamps = table.cells(table.columns[0]) + " " + table.cells(table.columns[1])
    times = _local_times(table, stamps, "%d.%m.%Y %H:%M", "Europe/Berlin")
    return _intensity(table, "DE", fuels, times, kind, decimal=",")


def read_entsoe(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read ENTSO-E's table: `MTU` from - to with its clock in brackets, MW, `n/e` and `N/A` for missing."""
    table = read_table(path)
    mtu = table.named("MTU")
    cells = table.cells(mtu)
    clock = "UTC" if "UTC" in mtu or cells.str.contains("(UTC)", regex=False).any() else "Europe/Brussels"
    begins = cells.str.split(" - ").str[0].str.replace(r"\s*\(.*\)", "", regex=True).str.strip()
    times = _local_times(table, begins, "%d.%m.%Y %H:%M", clock)
    fuels = [name for name in table.columns if "Actual Aggregated" in name]
    area = str(table.cells("Area").iloc[0]) if table.find("area") else ""
    return _intensity(table, area or Path(path).stem, fuels, times, kind)


def read_lwa(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Let's wait awhile's production: MW by fuel in UTC, then imports by neighbour (left out)."""
    table = read_table(path)
    fuels = [name for name in table.columns[1:] if not (len(name) == 2 and name.isupper())]
    times = table.utc_times(table.columns[0])
    return _intensity(table, Path(path).name.split("_")[0].upper(), fuels, times, kind)


def _intensity(
    table: Table,
    zone: str,
    fuels: list[str],
    times: Floats,
    kind: str | None,
    decimal: str | None = None,
) -> list[CarbonSeries]:
    path, size = table.path, len(table.lines)
    if kind not in (None, "life-cycle"):
        raise ValueError(f"{path}: kind {kind!r} cannot be had from generation by fuel, expected life-cycle")
    total, grams = np.zeros(size), np.zeros(size)
    empty = np.ones(size, dtype=bool)
    for name in fuels:
        factor = _factor(path, name)
        if factor is None:
            continue
        power = table.numbers(name, decimal)
        empty &= ~np.isfinite(power)
        # Missing counts as none produced; a fuel that takes power from the grid makes none.
        power = np.maximum(np.nan_to_num(power), 0.0)
        total += power
        grams += power * factor
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(empty | (total <= 0), np.nan, grams / total)
    lines = table.lines
    keep = np.isfinite(times)
    notes = ["computed from generation with IPCC 2011 medians; imports and storage left out"]
    if not keep.all():
        notes.append(f"{int((~keep).sum())} rows in the hour that daylight saving skips left out")
    return [regular_series(path, zone, "life-cycle", times[keep], values[keep], lines[keep], notes=notes)]


def _factor(path: str | Path, name: str) -> float | None:
    """Grams per kWh of a column, or None for storage."""
    low = name.lower()
    if "sonstige erneuerbare" in low or "other renewable" in low:
        return 18.0
    for words, factor in _FACTORS:
        if any(word in low for word in words):
            return factor or None
    raise ValueError(f"{path}:1: fuel {brief(name)} is unknown; no intensity follows from it")


def _local_times(table: Table, stamps: pd.Series, form: str, clock: str) -> Floats:
    """Unix seconds of local times in file order; NaN for the hour that daylight saving skips."""
    import pandas as pd

    path = table.path
    naive = pd.to_datetime(stamps, format=form, errors="coerce")
    bad = naive.isna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        line, stamp = table.lines[row], str(stamps.iloc[row]).strip()
        if stamp.lower() in MISSING:
            raise ValueError(f"{path}:{line}: the time is missing")
        raise ValueError(f"{path}:{line}: time is {brief(stamp)}, expected DD.MM.YYYY HH:MM")
    try:
        aware = naive.dt.tz_localize(clock, ambiguous="infer", nonexistent="NaT")
    except ValueError as error:
        raise ValueError(
            f"{path}: the hour that daylight saving repeats comes not exactly twice "
            f"({' '.join(str(error).split())})"
        ) from None
    utc = aware.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray((utc - pd.Timestamp("1970-01-01")).dt.total_seconds(), dtype=np.float64)
