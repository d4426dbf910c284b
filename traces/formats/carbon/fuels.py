"""Generation by fuel turned into life-cycle carbon intensity.

Each fuel counts with the median of the IPCC's special report on renewables (SRREN 2011, annex II), the
factors that Let's wait awhile (Wiesner et al., Middleware 2021) uses. Imports and storage are left out: their
own intensity is not in such files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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


_MOST_POWER = 1e12  # the world's power stations have less, in kW


@dataclass(frozen=True)
class Generation:
    """What a zone generated over time, by fuel."""

    path: str | Path  # for messages
    zone: str  # the zone's identifier
    power: Mapping[str, Floats]  # by fuel, [K]: any unit of power, or of energy per row; NaN where missing
    times: Floats  # [K] Unix time at which each row begins; NaN for hours that do not exist
    lines: Ints  # [K] the line of each row
    header_line: int = 1  # where the fuels' names stand
    step_s: float | None = None  # how long a row holds, if the file says so
    clock: str = "UTC"  # of the times in the file
    unit: str = "MW by fuel"  # of `power`
    notes: Sequence[str] = ()  # repairs made before

    def intensity(self) -> CarbonSeries:
        """The life-cycle intensity of what is generated.

        A fuel that lacks a value where others have one makes the row a missing one: without it, the rest
        would look cleaner or dirtier than the grid was. A fuel without any value is taken as not produced,
        and noted.

        Raises:
            ValueError: with path and line number.
        """
        counted, absent = self._counted()
        powers = np.stack([values for _, values in counted.values()])
        factors = np.array([factor for factor, _ in counted.values()])
        finite = np.isfinite(powers)
        # A fuel that takes power from the grid, for the plants' own needs, makes none.
        made = np.where(finite, np.maximum(powers, 0.0), 0.0)
        total = made.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(finite.all(axis=0) & (total > 0), factors @ made / total, np.nan)
        lacking = (finite.any(axis=0) & ~finite).sum(axis=1)
        missing = ", ".join(
            f"{fuel[:60]} in {count} rows" for fuel, count in zip(counted, lacking, strict=True) if count
        )
        exists = np.isfinite(self.times)
        try:
            return regular_series(
                self.path,
                self.zone,
                "life-cycle",
                self.times[exists],
                values[exists],
                self.lines[exists],
                step_s=self._row_s(),
                notes=[NOTE, *self.notes, *_remarks(absent, int((~exists).sum()), missing)],
                clock=self.clock,
                unit=self.unit,
            )
        except ValueError as error:
            if not missing:
                raise
            raise ValueError(f"{error} (a fuel lacks: {missing})") from None

    def _counted(self) -> tuple[dict[str, tuple[float, Floats]], list[str]]:
        """Factor and power of the fuels that count, and those without a value; storage is neither."""
        counted, absent = {}, []
        for fuel, values in self.power.items():
            factor = factor_of(fuel)
            if factor is None:
                raise ValueError(
                    f"{self.path}:{self.header_line}: fuel {brief(fuel)} is unknown; no intensity follows "
                    "from it"
                )
            if (np.abs(values) > _MOST_POWER).any():
                row = int(np.argmax(np.abs(values) > _MOST_POWER))
                raise ValueError(
                    f"{self.path}:{self.lines[row]}: {brief(fuel)} makes {values[row]:g}, expected MW"
                )
            if factor and np.isfinite(values).any():
                counted[fuel] = (factor, values)
            elif factor:
                absent.append(fuel)
        if not counted:
            raise ValueError(
                f"{self.path}:{self.header_line}: no fuel has a value, expected generation by fuel"
            )
        return counted, absent

    def _row_s(self) -> float | None:
        """How long a row holds; rows without a value tell it, too."""
        times = self.times[np.isfinite(self.times)]
        if self.step_s is not None or times.size < 2:
            return self.step_s
        shortest = float(np.diff(times).min())
        return shortest if shortest > 0 else None


def _remarks(absent: Sequence[str], skipped: int, missing: str) -> list[str]:
    """What was left out, in words."""
    remarks = [f"no value of {', '.join(absent)} in the whole file: taken as not produced"] if absent else []
    if skipped:
        remarks.append(f"{skipped} rows in the hour that daylight saving skips left out")
    if missing:
        remarks.append(f"rows that lack a fuel count as missing: {missing}")
    return remarks


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
