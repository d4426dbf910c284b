"""One zone's recorded carbon intensity, and the rules by which raw rows become a regular series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from ...common.arrays import Floats
from ...common.sizes import check_values
from .plausibility import check_names

Kind: TypeAlias = Literal["direct", "life-cycle", "marginal"]
"""What carbon intensity counts."""
KINDS: tuple[Kind, ...] = get_args(Kind)

# The longest hole through which the last value is held; longer ones are refused.
MAX_GAP_S = 3 * 3600.0


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
    unit: str = "g/kWh"  # of the values in the file
    clock: str = "UTC"  # of the times in the file
    estimated: float = math.nan  # share of rows that the source calls estimates; NaN if it does not say

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
        check_names(self.source, [self.zone], "zone")
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
        _check_overlap(whole, part)
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
            estimated=max(whole.estimated, part.estimated),
            held=whole.held + held + part.held,
        )
    return whole


def _check_overlap(whole: CarbonSeries, part: CarbonSeries) -> None:
    """Refuse series of one zone that say different things of one time: they are of two zones."""
    last_s = min(whole.last_utc_s, part.last_utc_s)
    ours, theirs = whole.between(part.first_utc_s, last_s), part.between(part.first_utc_s, last_s)
    size = min(ours.g_per_kwh.size, theirs.g_per_kwh.size)
    one, other = ours.g_per_kwh[:size], theirs.g_per_kwh[:size]
    differ = ~np.isclose(one, other, rtol=1e-6, atol=1e-6)
    if differ.any():
        at = int(np.argmax(differ))
        when = np.datetime64(int(ours.first_utc_s + at * ours.step_s), "s")
        raise ValueError(
            f"{part.source}: zone {part.zone!r} has {other[at]:g} g/kWh at {when}Z and {one[at]:g} in "
            f"{whole.source}, expected one value per time; two zones need two names"
        )
