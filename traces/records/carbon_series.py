"""One zone's recorded carbon intensity, and the rules by which raw rows become a regular series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.sizes import check_values

Kind: TypeAlias = Literal["direct", "life-cycle", "marginal"]
"""What carbon intensity counts."""
KINDS: tuple[Kind, ...] = get_args(Kind)

# The longest hole through which the last value is held; longer ones are refused.
MAX_GAP_S = 3 * 3600.0
# More than any grid on earth: a sign that the unit is another one.
MAX_G_PER_KWH = 3000.0


@dataclass(frozen=True)
class CarbonSeries:
    """Recorded carbon intensity of one zone, regular in time."""

    zone: str  # the zone's identifier as the source names it
    kind: str  # what the intensity counts, one of `KINDS`
    first_utc_s: float  # Unix time at which the first sample begins
    step_s: float  # length of a sample
    g_per_kwh: Floats  # [T]
    source: str = ""  # file and format, for tables and messages
    notes: tuple[str, ...] = ()  # what was repaired while reading, one sentence each
    held: int = 0  # samples that repeat the one before because the file has none for them
    provider_g_per_kwh: Floats | None = None  # [T, K] forecasts issued at each sample for 1..K steps ahead

    @property
    def last_utc_s(self) -> float:
        """Unix time at which the last sample ends."""
        return self.first_utc_s + self.step_s * self.g_per_kwh.size

    def validate(self) -> CarbonSeries:
        """Check the promises of the class and return itself.

        Raises:
            ValueError: naming the source and what is wrong.
        """
        if self.kind not in KINDS:
            raise ValueError(f"{self.source}: kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        values = self.g_per_kwh
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(f"{self.source}: expected at least one finite intensity, none below zero")
        return self

    def resampled(self, step_s: float) -> CarbonSeries:
        """The same piecewise-constant signal at a step that divides this one's."""
        repeat = round(self.step_s / step_s)
        if repeat == 1:
            return self
        what = f"{self.source}: a step of {self.step_s:g} s made one of {step_s:g} s"
        check_values(what, self.g_per_kwh.size, repeat, do="take files of like steps")
        provider = None  # A provider's leads count its own steps.
        return replace(
            self, step_s=step_s, g_per_kwh=np.repeat(self.g_per_kwh, repeat), provider_g_per_kwh=provider
        )

    def between(self, first_utc_s: float, last_utc_s: float) -> CarbonSeries:
        """The samples that begin in `[first, last)`."""
        begin = max(int(np.ceil((first_utc_s - self.first_utc_s) / self.step_s - 1e-9)), 0)
        end = max(int(np.ceil((last_utc_s - self.first_utc_s) / self.step_s - 1e-9)), begin)
        provider = self.provider_g_per_kwh
        return replace(
            self,
            first_utc_s=self.first_utc_s + begin * self.step_s,
            g_per_kwh=self.g_per_kwh[begin:end],
            provider_g_per_kwh=None if provider is None else provider[begin:end],
        )


def joined_series(series: Sequence[CarbonSeries]) -> list[CarbonSeries]:
    """Series of one zone joined in time (months, years); where they overlap the earlier file holds.

    Raises:
        ValueError: if kinds or steps of a zone differ, or a hole of more than three hours is left.
    """
    zones: dict[str, list[CarbonSeries]] = {}
    for one in series:
        zones.setdefault(one.zone, []).append(one)
    return [_join(sorted(parts, key=lambda s: s.first_utc_s)) for parts in zones.values()]


def _join(parts: list[CarbonSeries]) -> CarbonSeries:
    whole = parts[0]
    for part in parts[1:]:
        if part.kind != whole.kind:
            raise ValueError(f"{part.source}: kinds {whole.kind} and {part.kind} are mixed for {part.zone!r}")
        step_s = min(whole.step_s, part.step_s)
        whole, part = whole.resampled(step_s), part.resampled(step_s)
        hole_s = part.first_utc_s - whole.last_utc_s
        if hole_s > MAX_GAP_S or (part.first_utc_s - whole.first_utc_s) % step_s:
            raise ValueError(
                f"{part.source}: begins {hole_s / 3600.0:g} h after {whole.source} ends, expected at most "
                f"{MAX_GAP_S / 3600.0:g} h and whole steps of {step_s:g} s"
            )
        fresh = part.between(whole.last_utc_s, part.last_utc_s)
        held = int(max(hole_s, 0.0) // step_s)
        values = np.concatenate([whole.g_per_kwh, np.repeat(whole.g_per_kwh[-1], held), fresh.g_per_kwh])
        provider = None
        if whole.provider_g_per_kwh is not None and fresh.provider_g_per_kwh is not None and not held:
            provider = np.concatenate([whole.provider_g_per_kwh, fresh.provider_g_per_kwh])
        whole = replace(
            whole,
            g_per_kwh=values,
            provider_g_per_kwh=provider,
            notes=whole.notes + part.notes,
            held=whole.held + held + part.held,
        )
    return whole


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
    notes: Sequence[str] = (),
) -> CarbonSeries:
    """Turn rows into a regular series by fixed rules; it takes the rules' exceptions, one argument each.

    Missing values count as missing rows. A repeated time with the same value is dropped, with another value
    refused. Rows out of order are refused unless the format is known to be unordered. The step is the
    smallest distance of two rows, and must divide all others; a value holds until the next row, through
    holes of up to three hours (noted); longer holes are refused.

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
        notes: repairs made before.

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
    fresh = _check_order(path, utc_s[rows], g_per_kwh[rows], numbers[rows], repeats_differ)
    if not fresh.all():
        remarks.append(f"{int((~fresh).sum())} repeated rows left out")
    rows = rows[fresh]
    step_s, repeat = _steps(path, utc_s[rows], numbers[rows])
    usual = int(np.bincount(repeat).argmax()) if repeat.size else 1
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
    ).validate()


def _check_values(path: str | Path, values: Floats, lines: Ints) -> None:
    bad = (values < 0) | (values > MAX_G_PER_KWH)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{path}:{lines[row]}: intensity {values[row]:g}, expected 0 to {MAX_G_PER_KWH:g} gCO2/kWh; "
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


def _steps(path: str | Path, utc_s: Floats, lines: Ints) -> tuple[float, Ints]:
    """The step, and how many of it lie between each row and the next."""
    if utc_s.size == 1:
        return 3600.0, np.empty(0, dtype=np.int64)
    moved = np.diff(utc_s)
    step_s = float(moved.min())
    long = moved > max(MAX_GAP_S, step_s)
    if long.any():
        row = int(np.argmax(long)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: a gap of {moved[row - 1] / 3600.0:g} h before this row, expected at most "
            f"{MAX_GAP_S / 3600.0:g} h; fill it or split the file there"
        )
    what = f"{path}: rows {step_s:g} s apart over {utc_s[-1] - utc_s[0]:g} s"
    check_values(what, (utc_s[-1] - utc_s[0]) / step_s, do="are two rows closer by mistake?")
    repeat = np.rint(moved / step_s).astype(np.int64)
    ragged = np.abs(moved - repeat * step_s) > 1.0
    if ragged.any():
        row = int(np.argmax(ragged)) + 1
        raise ValueError(
            f"{path}:{lines[row]}: {moved[row - 1]:g} s after the row before, expected a multiple of "
            f"the smallest step {step_s:g} s"
        )
    return step_s, repeat
