"""Generation by fuel turned into life-cycle carbon intensity.

Each fuel counts with the median of the IPCC's special report on renewables (SRREN 2011, annex II), the
factors that Let's wait awhile (Wiesner et al., Middleware 2021) uses. Imports and storage are left out: their
own intensity is not in such files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ...records import CarbonSeries, regular_series
from ..parsing import brief

NOTE = "computed from generation with IPCC 2011 medians; imports and storage left out"

_STORAGE = ("pumped", "pumpspeicher", "storage", "battery", "pumping")
# g/kWh; the first word found in a fuel's name decides.
_FACTORS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("sonstige erneuerbare", "other renewable"), 18.0),
    (("lignite", "braunkohle", "brown coal"), 1001.0),
    (("coal", "steinkohle", "peat"), 1001.0),
    (("gas", "erdgas"), 469.0),
    (("oil", "petroleum"), 840.0),
    (("nuclear", "kernenergie"), 16.0),
    (("wind",), 12.0),
    (("solar", "photovoltaik", "photovoltaics"), 46.0),
    (("hydro", "wasserkraft"), 4.0),
    (("biomass", "biomasse"), 18.0),
    (("geothermal",), 45.0),
    (("marine",), 8.0),
    (("waste", "sonstige konventionelle", "other", "unknown"), 700.0),
)
# What EIA-930 says of plants that also store, or of hydropower with and without it.
_ASIDE = re.compile(r"\b(?:with\w*) integrated battery storage|\b(?:and|excluding) pumped storage")


def factor_of(fuel: str) -> float | None:
    """Grams of CO2 equivalent per kWh of a fuel, 0 for storage, None if the fuel is not known."""
    low = _ASIDE.sub("", fuel.lower())
    if any(word in low for word in _STORAGE):
        return 0.0
    return next((factor for words, factor in _FACTORS if any(word in low for word in words)), None)


def intensity(
    path: str | Path,
    zone: str,
    power: Mapping[str, Floats],
    times: Floats,
    lines: Ints,
    *,
    header_line: int = 1,
    step_s: float | None = None,
    clock: str = "UTC",
    unit: str = "MW by fuel",
    notes: Sequence[str] = (),
) -> CarbonSeries:
    """The intensity of what is generated.

    A fuel that lacks a value where others have one makes the row a missing one: without it, the rest would
    look cleaner or dirtier than the grid was. A fuel without any value is taken as not produced, and noted.

    Args:
        path: for messages.
        zone: the zone's identifier.
        power: by fuel, `[K]`, any unit of power or of energy per row; NaN where it is missing.
        times: `[K]`, Unix time at which each row begins; NaN for hours that do not exist.
        lines: `[K]`, the line of each row.
        header_line: where the fuels' names stand.
        step_s: how long a row holds, if the file says so.
        clock: the clock of the file's times.
        unit: the unit of `power`, for tables.
        notes: repairs made before.

    Raises:
        ValueError: with path and line number.
    """
    counted = {}
    absent = []
    for fuel, values in power.items():
        factor = factor_of(fuel)
        if factor is None:
            raise ValueError(
                f"{path}:{header_line}: fuel {brief(fuel)} is unknown; no intensity follows from it"
            )
        if factor and np.isfinite(values).any():
            counted[fuel] = (factor, values)
        elif factor:
            absent.append(fuel)
    if not counted:
        raise ValueError(f"{path}:{header_line}: no fuel has a value, expected generation by fuel")
    total, grams = np.zeros(times.size), np.zeros(times.size)
    lacks = {}
    known = np.ones(times.size, dtype=bool)
    some = np.zeros(times.size, dtype=bool)
    for factor, values in counted.values():
        # A fuel that takes power from the grid, for the plants' own needs, makes none.
        made = np.maximum(values, 0.0)
        total, grams = total + made, grams + made * factor
        known &= np.isfinite(values)
        some |= np.isfinite(values)
    for fuel, (_, values) in counted.items():
        lacking = int((some & ~np.isfinite(values)).sum())
        if lacking:
            lacks[fuel] = lacking
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(known & (total > 0), grams / total, np.nan)
    exists = np.isfinite(times)
    if step_s is None and exists.sum() > 1:
        moved = np.diff(times[exists])
        # Rows without a value say how long a row holds, too.
        step_s = float(moved.min()) if moved.min() > 0 else None
    remarks = [NOTE, *notes]
    remarks += [f"no value of {', '.join(absent)} in the whole file: taken as not produced"] if absent else []
    if not exists.all():
        remarks.append(f"{int((~exists).sum())} rows in the hour that daylight saving skips left out")
    missing = ", ".join(f"{fuel} in {count} rows" for fuel, count in lacks.items())
    if missing:
        remarks.append(f"rows that lack a fuel count as missing: {missing}")
    try:
        return regular_series(
            path,
            zone,
            "life-cycle",
            times[exists],
            values[exists],
            lines[exists],
            step_s=step_s,
            notes=remarks,
            clock=clock,
            unit=unit,
        )
    except ValueError as error:
        if not missing:
            raise
        raise ValueError(f"{error} (a fuel lacks: {missing})") from None


def sound_zones(makers: Mapping[str, Callable[[], CarbonSeries]]) -> list[CarbonSeries]:
    """The zones of a file of many whose rows make a series; the others are left out, and noted.

    Raises:
        ValueError: what is wrong with the first one, if something is with all.
    """
    series, wrong = [], {}
    for zone, make in makers.items():
        try:
            series.append(make())
        except ValueError as error:
            wrong[zone] = str(error)
    if not series:
        raise ValueError(next(iter(wrong.values()), "no zone in the file"))
    if not wrong:
        return series
    name, why = next(iter(wrong.items()))
    note = f"{len(wrong)} of {len(makers)} zones left out: {brief(', '.join(wrong), 200)} ({name}: {why})"
    return [replace(one, notes=(*one.notes, note)) for one in series]


def check_kind(path: str | Path, kind: str | None, found: str = "life-cycle") -> None:
    """Refuse another kind of intensity than the one that a file has."""
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")
