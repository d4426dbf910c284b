"""The rules by which rows of a file become a regular series of carbon intensity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.sizes import check_values
from .carbon_series import MAX_GAP_S, CarbonSeries

# More than any grid on earth: a sign that the unit is another one.
MAX_G_PER_KWH = 3000.0
# Rows that are further apart are months or years, and no signal to schedule by; closer ones are no grid data.
MAX_STEP_S, MIN_STEP_S = 86400.0, 60.0
# Below this everywhere, values may be kg/kWh.
_DOUBTFUL_G_PER_KWH = 2.0


def regular_series(
    path: str | Path,
    zone: str,
    kind: str,
    utc_s: Floats,
    g_per_kwh: Floats,
    lines: Sequence[int] | Ints,
    *,
    any_order: bool = False,
    repeats_differ: bool = False,
    provider: Floats | None = None,
    step_s: float | None = None,
    notes: Sequence[str] = (),
    unit: str = "g/kWh",
    clock: str = "UTC",
    estimated: float = math.nan,
) -> CarbonSeries:
    """Turn rows into a regular series by fixed rules; it takes the rules' exceptions, one argument each.

    Missing values count as missing rows. A repeated time with the same value is dropped, with another value
    refused. Rows out of order are refused unless the format is known to be unordered. The step is what the
    file says or else the smallest distance of two rows, a minute to a day, and must divide all others; a
    value holds until the next row, through holes of up to three hours (noted); longer holes are refused.

    Args:
        path: for messages.
        zone: the zone's identifier.
        kind: what the intensity counts, one of `KINDS`.
        utc_s: `[K]`, Unix time of each row.
        g_per_kwh: `[K]`.
        lines: `[K]`, line number of each row in the file.
        any_order: sort first; for formats that are newest first by design.
        repeats_differ: keep the first of repeated times even if the values differ; for formats whose files
            overlap by design.
        provider: `[K, leads]`, forecasts of each row.
        step_s: how long a row holds, if the file says so.
        notes: repairs made before.
        unit: of the values in the file, for tables.
        clock: of the times in the file, for tables.
        estimated: share of rows that the source calls estimates.

    Raises:
        ValueError: with path and line number.
    """
    rows = np.argsort(utc_s, kind="stable") if any_order else np.arange(utc_s.size)
    remarks = list(notes)
    keep = np.isfinite(g_per_kwh[rows])
    if not keep.any():
        raise ValueError(f"{path}: no row has a value, expected carbon intensities")
    if not keep.all():
        remarks.append(f"{int((~keep).sum())} rows without a value left out")
    rows, numbers = rows[keep], np.asarray(lines)
    _check_values(path, g_per_kwh[rows], numbers[rows])
    if provider is not None:
        provider = _checked_forecasts(path, provider, g_per_kwh, rows, numbers, remarks)
    fresh = _check_order(path, utc_s[rows], g_per_kwh[rows], numbers[rows], repeats_differ)
    if not fresh.all():
        remarks.append(f"{int((~fresh).sum())} repeated rows left out")
    rows = rows[fresh]
    stated = step_s is not None
    step_s, repeat = _steps(path, utc_s[rows], numbers[rows], step_s)
    remarks += _doubts(g_per_kwh[rows], step_s)
    usual = int(np.bincount(repeat).argmax()) if repeat.size and not stated else 1
    if (repeat != usual).any():
        remarks.append(f"{int((repeat != usual).sum())} rows held over {step_s:g} s steps of another length")
    counts = np.append(repeat, usual)
    if provider is not None:
        check_values(f"{path}: its forecasts", counts.sum(), provider.shape[1], do="split the file")
    return CarbonSeries(
        zone=zone,
        kind=kind,
        first_utc_s=float(utc_s[rows[0]]),
        step_s=step_s,
        g_per_kwh=np.repeat(g_per_kwh[rows], counts),
        source=str(path),
        notes=tuple(remarks),
        held=int(np.maximum(repeat - usual, 0).sum()),
        provider_g_per_kwh=None if provider is None else np.repeat(provider[rows], counts, axis=0),
        unit=unit,
        clock=clock,
        estimated=estimated,
    ).validate()


def _doubts(values: Floats, step_s: float) -> list[str]:
    """What may be wrong with values that are possible."""
    doubts = []
    if 0 < values.max() < _DOUBTFUL_G_PER_KWH:
        doubts.append(f"all values are below {_DOUBTFUL_G_PER_KWH:g} g/kWh: is the unit kg/kWh?")
    if values.size >= 48 and values.min() == values.max():
        doubts.append(f"all values are {values[0]:g} g/kWh")
    if step_s > MAX_GAP_S:
        doubts.append(f"a value for every {step_s / 3600.0:g} h: no hours of the day are known")
    return doubts


def _checked_forecasts(
    path: str | Path, provider: Floats, values: Floats, rows: Ints, lines: Ints, remarks: list[str]
) -> Floats:
    """A provider's forecasts: possible ones, and where one is missing the value of its row."""
    known = np.isfinite(provider)
    for lead in range(provider.shape[1]):
        asked = rows[known[rows, lead]]
        _check_values(path, provider[asked, lead], lines[asked], "forecast")
    if known[rows].all():
        return provider
    remarks.append(f"{int((~known[rows]).sum())} missing forecasts count as the value of their row")
    return np.where(known, provider, values[:, None])


def _check_values(path: str | Path, values: Floats, lines: Ints, what: str = "intensity") -> None:
    bad = (values < 0) | (values > MAX_G_PER_KWH)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{path}:{lines[row]}: {what} {values[row]:g}, expected 0 to {MAX_G_PER_KWH:g} gCO2/kWh; "
            "is the unit another one?"
        )


def _check_order(path: str | Path, utc_s: Floats, values: Floats, lines: Ints, repeats_differ: bool) -> Bools:
    """Which rows bring a new time; refuses rows that go back, and repeats that contradict."""
    moved = np.diff(utc_s)
    if (moved < 0).any():
        row = int(np.argmax(moved < 0)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: time goes back by {-moved[row - 1]:g} s, expected rows in order"
        )
    again = moved == 0
    conflict = again & (values[1:] != values[:-1])
    if conflict.any() and not repeats_differ:
        row = int(np.argmax(conflict)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: the time repeats with {values[row]:g} after {values[row - 1]:g}, "
            "expected one value per time"
        )
    return np.concatenate([[True], ~again])


def _steps(path: str | Path, utc_s: Floats, lines: Ints, stated_s: float | None) -> tuple[float, Ints]:
    """The step, and how many of it lie between each row and the next."""
    if utc_s.size == 1 and stated_s is None:
        raise ValueError(
            f"{path}:{lines[0]}: one row, and the file does not say for how long it holds, "
            "expected two or more"
        )
    moved = np.diff(utc_s)
    step_s = float(moved.min()) if stated_s is None else stated_s
    if not MIN_STEP_S <= step_s <= MAX_STEP_S:
        row = 1 + int(np.argmin(moved)) if moved.size else 0
        raise ValueError(
            f"{path}:{lines[row]}: {_span(step_s)}, expected a minute to a day; get hours from the provider"
        )
    if moved.size and moved.min() < step_s - 1.0:
        row = 1 + int(np.argmin(moved))
        raise ValueError(
            f"{path}:{lines[row]}: {moved[row - 1]:g} s after the row before, which holds for {step_s:g} s"
        )
    long = moved > max(MAX_GAP_S, step_s)
    if long.any():
        row = int(np.argmax(long)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: a gap of {moved[row - 1] / 3600.0:g} h before this row, expected at most "
            f"{MAX_GAP_S / 3600.0:g} h; fill it or split the file there"
        )
    repeat = np.rint(moved / step_s).astype(np.int64)
    ragged = np.abs(moved - repeat * step_s) > 1.0
    if ragged.any():
        row = int(np.argmax(ragged)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: {moved[row - 1]:g} s after the row before, expected a multiple of "
            f"the smallest step {step_s:g} s"
        )
    return step_s, repeat


def _span(step_s: float) -> str:
    """How far rows are apart, in words."""
    days = step_s / 86400.0
    for name, low, high in (
        ("weeks", 6.5, 7.5),
        ("months", 27.0, 32.0),
        ("quarters", 89.0, 93.0),
        ("years", 364.0, 367.0),
    ):
        if low < days < high:
            return f"values are of {name}"
    return f"rows are {step_s:.4g} s apart" if days < 1 else f"rows are {days:,.6g} days apart"
