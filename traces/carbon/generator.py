"""Carbon intensity drawn from the measured profile of each zone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, floor
from typing import Annotated

import numpy as np
from pydantic import Field

from ...common.arrays import Floats
from ...common.settings import Settings
from ...common.sizes import check_values
from ...common.spelling import suggest
from ...common.splits import Split
from ..calibration import calibration
from ..numerics import autoregression, utc_offset_h
from ..records import Kind
from .episode import TAIL_S, CarbonEpisode
from .forecasts import DEFAULT_FORECAST, CarbonForecaster
from .generator_kernels import usual_intensity, within_limits

_SEASONS = ("DJF", "MAM", "JJA", "SON")
_WEEK_S = 7 * 86400.0
# Monday 2 January 2023 00:00 UTC: the nominal year has 52 calendar weeks from here.
_YEAR_START_S = 1672617600.0
_WEEKS = 50
# Weeks in rotation: three for training, one to choose on, one to report on.
_ROTATION = {"train": (0, 3), "val": (3, 1), "test": (4, 1)}

_Factor = Annotated[float, Field(gt=0, lt=100)]
_Hours = Annotated[tuple[_Factor, ...], Field(min_length=24, max_length=24)]


class ZoneProfile(Settings):
    """How one zone's intensity behaves: CI = mean x month x hour x weekend x exp(AR(1) - sd^2 / 2), clipped.

    Attributes:
        zone: name.
        tz: IANA name of the local time, or None for UTC plus `standard_utc_offset_h`.
        standard_utc_offset_h: hours ahead of UTC without daylight saving.
        kind: what the intensity counts.
        mean_g_per_kwh: the level.
        min_g_per_kwh: lower clip.
        max_g_per_kwh: upper clip.
        month_factor: `[12]`.
        hour_factor: `[4, 24]`, local hour by season (winter, spring, summer, autumn of the north).
        weekend_factor: weekend over weekday.
        log_sd: standard deviation of the logarithm of the residual.
        phi_per_h: its AR(1) coefficient per hour.
        shift_g_per_kwh: added to everything, turning a direct profile into a life-cycle one.
        slow_share: share of the residual's variance that is another AR(1), weather that lasts for days.
        slow_phi_per_h: coefficient of that one.
    """

    zone: str
    tz: str | None = None
    standard_utc_offset_h: Annotated[float, Field(ge=-14, le=14)] = 0.0
    kind: Kind
    mean_g_per_kwh: Annotated[float, Field(gt=0)]
    min_g_per_kwh: Annotated[float, Field(ge=0)]
    max_g_per_kwh: Annotated[float, Field(gt=0)]
    month_factor: Annotated[tuple[_Factor, ...], Field(min_length=12, max_length=12)]
    hour_factor: Annotated[tuple[_Hours, ...], Field(min_length=4, max_length=4)]
    weekend_factor: _Factor
    log_sd: Annotated[float, Field(ge=0, le=5)]
    phi_per_h: Annotated[float, Field(gt=0, lt=1)]
    shift_g_per_kwh: float = 0.0
    slow_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    slow_phi_per_h: Annotated[float, Field(gt=0, lt=1)] = 0.99


def zone_names(kind: Kind = "direct") -> list[str]:
    """Names of the measured zones that have profiles of this kind."""
    zones = calibration()["carbon_zones"]
    return sorted(name for name, row in zones.items() if kind == "life-cycle" or row["kind"] == kind)


@cache
def zone_profile(zone: str, kind: Kind = "direct") -> ZoneProfile:
    """The measured profile of a zone.

    A life-cycle profile is the direct one moved up by the difference of the two yearly means: what building
    and fuelling the plants adds depends on the mix much less than what they burn.

    Raises:
        ValueError: if there is no such zone, or none of this kind.
    """
    zones = calibration()["carbon_zones"]
    if zone not in zones:
        raise ValueError(f"zones: {zone!r} has no measured profile; {suggest(zone, zones)}")
    row = zones[zone]
    if kind == "marginal" or (kind == "direct" and row["kind"] != "direct"):
        have = "direct or life-cycle" if row["kind"] == "direct" else row["kind"]
        raise ValueError(f"kind_of_intensity: {kind!r} was not measured for {zone!r}, expected {have}")
    direct = row["mean_direct"]
    native = row["mean_life_cycle"] if row["kind"] != "direct" or direct is None else direct
    shift = row["mean_life_cycle"] - native if kind == "life-cycle" else 0.0
    return ZoneProfile(
        zone=zone,
        tz=row["tz"],
        standard_utc_offset_h=row["standard_utc_offset_h"],
        kind=kind,
        mean_g_per_kwh=native,
        min_g_per_kwh=row["min"],
        max_g_per_kwh=row["max"],
        month_factor=tuple(row["month_factor"]),
        hour_factor=tuple(tuple(row["hour_factor"][season]) for season in _SEASONS),
        weekend_factor=row["weekend_over_weekday"],
        log_sd=row["log_residual_sd"],
        phi_per_h=row["phi_per_h"],
        shift_g_per_kwh=shift,
    )


class GeneratedCarbon:
    """Carbon intensity of any measured or fitted zones, drawn hour by hour from their profiles.

    Weeks of a nominal year are dealt to train, val and test in rotation, three to one to one.

    Args:
        profiles: one per zone, all of one kind.
        forecast: the coordinator's forecast, carried to the episodes.
    """

    def __init__(self, profiles: Sequence[ZoneProfile], forecast: CarbonForecaster = DEFAULT_FORECAST):
        kinds = {profile.kind for profile in profiles}
        if len(kinds) != 1:
            raise ValueError(f"zones: kinds {', '.join(sorted(kinds))} are mixed, expected one kind")
        self.profiles = tuple(profiles)
        self._forecast = forecast
        self._mean = np.array([p.mean_g_per_kwh for p in profiles])
        self._low = np.array([p.min_g_per_kwh for p in profiles])
        self._high = np.array([p.max_g_per_kwh for p in profiles])
        self._shift = np.array([p.shift_g_per_kwh for p in profiles])
        self._month = np.array([p.month_factor for p in profiles])
        self._hour = np.array([p.hour_factor for p in profiles])
        self._weekend = np.array([p.weekend_factor for p in profiles])
        self._sd = np.array([p.log_sd for p in profiles])
        self._phi = np.array([p.phi_per_h for p in profiles])
        self._slow = np.array([p.slow_share for p in profiles])
        self._slow_phi = np.array([p.slow_phi_per_h for p in profiles])
        self._memory = self._memory_per_h()
        self._half_variance = self._sd[:, None] ** 2 / 2.0
        self._lasting = bool(self._slow.any())
        self._offset_h: dict[int, Floats] = {}

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the zones."""
        return tuple(profile.zone for profile in self.profiles)

    @property
    def kind(self) -> str:
        """What the intensity counts."""
        return self.profiles[0].kind

    def utc_offset_h(self, start_utc_s: float) -> Floats:
        """`[Z]`, hours ahead of UTC."""
        day = int(start_utc_s // 86400.0)
        if day not in self._offset_h:
            begins, ends = (self._offsets_at(86400.0 * midnight) for midnight in (day, day + 1))
            if not np.array_equal(begins, ends):  # clocks are changed on this day: the second counts
                return self._offsets_at(start_utc_s)
            self._offset_h[day] = begins
        return self._offset_h[day].copy()

    def _offsets_at(self, unix_s: float) -> Floats:
        return np.array([utc_offset_h(p.tz, unix_s, p.standard_utc_offset_h) for p in self.profiles])

    def draw_start_utc_s(self, split: Split, horizon_s: float, rng: np.random.Generator) -> float:
        """A minute within the weeks of the split, the whole horizon within them if it is that short."""
        first, weeks = _ROTATION[split]
        turn = int(rng.integers(_WEEKS // 5))
        room_s = max(weeks * _WEEK_S - horizon_s, 60.0)
        minute = int(rng.integers(max(int(room_s // 60.0), 1)))
        return _YEAR_START_S + (5 * turn + first) * _WEEK_S + 60.0 * minute

    def expected(self, hour_utc_s: Floats, offset_h: Floats) -> Floats:
        """The profile `[Z, T]` without its residual, at Unix times `[T]` that begin an hour."""
        usual: Floats = usual_intensity(
            hour_utc_s, offset_h, self._mean, self._month, self._hour, self._weekend
        )
        return usual

    def sample(self, start_utc_s: float, horizon_s: float, rng: np.random.Generator) -> CarbonEpisode:
        """An episode from the hour in which it starts to two days beyond the horizon."""
        first_utc_s = floor(start_utc_s / 3600.0) * 3600.0
        hours = ceil((start_utc_s + horizon_s + TAIL_S - first_utc_s) / 3600.0) + 1
        times_s = first_utc_s + 3600.0 * np.arange(hours, dtype=np.float64)
        usual = self.expected(times_s, self.utc_offset_h(start_utc_s))
        residual = self._residual(hours, rng) * self._sd[:, None]
        drawn = usual * np.exp(residual - self._half_variance)
        return CarbonEpisode(
            step_s=3600.0,
            first_s=first_utc_s - start_utc_s,
            g_per_kwh=self._within_limits(drawn),
            expected_g_per_kwh=self._within_limits(usual),
            phi_per_h=self._memory.copy(),
            forecast=self._forecast,
            seed=int(rng.integers(2**62)),
        )

    def _within_limits(self, g_per_kwh: Floats) -> Floats:
        clipped: Floats = within_limits(g_per_kwh, self._low, self._high, self._shift)
        return clipped

    def _residual(self, hours: int, rng: np.random.Generator) -> Floats:
        """Paths of unit variance `[Z, hours]`."""
        shape = (len(self.profiles), hours)
        fast = autoregression(self._phi, rng.standard_normal(shape))
        if not self._lasting:
            return fast
        slow = autoregression(self._slow_phi, rng.standard_normal(shape))
        mixed: Floats = np.sqrt(1.0 - self._slow)[:, None] * fast + np.sqrt(self._slow)[:, None] * slow
        return mixed

    def _memory_per_h(self) -> Floats:
        """`[Z]`, the coefficient of the one AR(1) that remembers as much half a day later."""
        left = (1.0 - self._slow) * self._phi**12 + self._slow * self._slow_phi**12
        return np.where(self._slow > 0, left ** (1.0 / 12.0), self._phi)

    def validate_for(self, horizon_s: float) -> None:
        """Any horizon will do."""
        if not horizon_s > 0:
            raise ValueError(f"horizon_s: {horizon_s!r}, expected more than 0")
        what = f"carbon: {len(self.profiles)} zones for {horizon_s:g} s"
        check_values(what, len(self.profiles), horizon_s / 3600.0, do="take fewer hours")
