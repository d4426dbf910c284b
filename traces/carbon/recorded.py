"""Carbon intensity replayed from recorded series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.splits import SPLITS, Split
from ...common.units import SECONDS_PER_DAY as _DAY_S
from ..calibration import calibration
from ..numerics import utc_offset_h
from ..records import CarbonSeries
from .episode import TAIL_S, CarbonEpisode
from .forecasts import DEFAULT_FORECAST, CarbonForecaster

# How much of the past the expected profile is learned from.
_PAST_S = 28 * _DAY_S
# Shares of the covered span, in time: never overlapping, horizon included.
_WINDOWS: dict[Split, tuple[float, float]] = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
# Used where the past is too short to estimate it: the middle of the 22 measured zones.
_USUAL_PHI_PER_H = 0.976


class RecordedCarbon:
    """Carbon intensity of Z zones from recordings that overlap in time.

    The covered span is split by time: the first 60 % for training, the next 20 % to choose on, the last 20 %
    to report on; an episode with its horizon stays in its window. What is expected at an hour of the day is
    its mean over up to 28 days before the episode, and nothing later.

    Args:
        series: one per zone, all of one kind.
        tz: IANA name of the local time by zone; measured zones are known.
        forecast: the coordinator's forecast, carried to the episodes.

    Raises:
        ValueError: if kinds are mixed, a zone comes twice, or the series do not overlap.
    """

    def __init__(
        self,
        series: Sequence[CarbonSeries],
        tz: Mapping[str, str] | None = None,
        forecast: CarbonForecaster = DEFAULT_FORECAST,
    ):
        kinds = sorted({s.kind for s in series})
        if len(kinds) != 1:
            raise ValueError(
                f"carbon: kinds {' and '.join(kinds)} are mixed, expected one kind for all zones"
            )
        names = [s.zone for s in series]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"carbon: zone {twice[0]!r} comes twice, expected each zone once")
        self._zones, self._kind = tuple(names), kinds[0]
        self._forecast = forecast
        step_s = min(s.step_s for s in series)
        if any(s.step_s % step_s for s in series):
            raise ValueError(
                "carbon: the steps of the files do not divide one another, expected that they do"
            )
        self.step_s = step_s
        first_s = max(s.first_utc_s for s in series)
        # Samples of all zones must begin together; cut to the next whole step.
        first_s = float(np.ceil(first_s / step_s - 1e-9) * step_s)
        last_s = min(s.last_utc_s for s in series)
        if last_s - first_s < 2 * step_s:
            raise ValueError(
                "carbon: the files have no time in common: "
                + "; ".join(f"{s.zone} from {_date(s.first_utc_s)} to {_date(s.last_utc_s)}" for s in series)
            )
        cut = [s.resampled(step_s).between(first_s, last_s) for s in series]
        length = min(s.g_per_kwh.size for s in cut)
        self.first_utc_s = cut[0].first_utc_s
        self._g = np.stack([s.g_per_kwh[:length] for s in cut])
        self._provider = _stack_provider(cut, length)
        self._tz = [self._local_time(name, tz or {}) for name in names]

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the zones."""
        return self._zones

    @property
    def kind(self) -> str:
        """What the intensity counts."""
        return self._kind

    @property
    def span_s(self) -> float:
        """Seconds that all zones cover."""
        return self.step_s * int(self._g.shape[1])

    def utc_offset_h(self, start_utc_s: float) -> Floats:
        """`[Z]`, hours ahead of UTC; zero for zones whose local time is not known."""
        return np.array([utc_offset_h(name, start_utc_s, standard) for name, standard in self._tz])

    def window_s(self, split: Split) -> tuple[float, float]:
        """The Unix times between which episodes of a split lie."""
        low, high = _WINDOWS[split]
        # The very first day is past for the first episodes, where the span has days to spare.
        low_s = max(low * self.span_s, min(_DAY_S, 0.1 * self.span_s))
        return self.first_utc_s + low_s, self.first_utc_s + high * self.span_s

    def draw_start_utc_s(self, split: Split, horizon_s: float, rng: np.random.Generator) -> float:
        """A second of the split's window from which the horizon still lies within it."""
        low_s, high_s = self.window_s(split)
        room_s = int(high_s - low_s - horizon_s)
        if room_s < 0:
            self.validate_for(horizon_s)
        return float(np.floor(low_s) + rng.integers(max(room_s, 1)))

    def sample(self, start_utc_s: float, horizon_s: float, rng: np.random.Generator) -> CarbonEpisode:
        """The recording from `start_utc_s` on, and what was to be expected from the recording before."""
        begin = int(np.floor((start_utc_s - self.first_utc_s) / self.step_s))
        total = self._g.shape[1]
        if not 0 <= begin < total or start_utc_s + horizon_s > self.first_utc_s + self.span_s + 1.0:
            raise ValueError(
                f"start_utc_s: {_date(start_utc_s)} and {horizon_s / 3600.0:g} h on, expected a time "
                f"between {_date(self.first_utc_s)} and {_date(self.first_utc_s + self.span_s)}"
            )
        end = min(begin + int(np.ceil((horizon_s + TAIL_S) / self.step_s)) + 2, total)
        first_s = self.first_utc_s + begin * self.step_s
        usual, phi = self._learn(begin, end)
        return CarbonEpisode(
            step_s=self.step_s,
            first_s=first_s - start_utc_s,
            g_per_kwh=self._g[:, begin:end].copy(),
            expected_g_per_kwh=usual,
            phi_per_h=phi,
            forecast=self._forecast,
            seed=int(rng.integers(2**62)),
            provider_g_per_kwh=None if self._provider is None else self._provider[:, begin:end],
        )

    def validate_for(self, horizon_s: float) -> None:
        """Refuse recordings in whose windows the horizon does not fit.

        Raises:
            ValueError: naming the shortest window.
        """
        low_s, high_s = min((self.window_s(split) for split in SPLITS), key=lambda w: w[1] - w[0])
        if high_s - low_s < horizon_s:
            raise ValueError(
                f"carbon: {self.span_s / _DAY_S:.3g} days are recorded, which leaves a window of "
                f"{(high_s - low_s) / 3600.0:.3g} h to val or test, expected at least the episode's "
                f"{horizon_s / 3600.0:.3g} h; give longer files or shorter episodes"
            )

    def _learn(self, begin: int, end: int) -> tuple[Floats, Floats]:
        """Expected intensity `[Z, end - begin]` and phi `[Z]`, from the samples before `begin` only."""
        start = max(begin - int(_PAST_S // self.step_s), 0)
        past = self._g[:, start:begin]
        zones = past.shape[0]
        length = end - begin
        if past.shape[1] * self.step_s < _DAY_S:
            now = past.mean(axis=1) if past.shape[1] else self._g[:, begin]
            return np.repeat(now[:, None], length, axis=1), np.full(zones, _USUAL_PHI_PER_H)
        hour = self._hour_of_day(np.arange(start, end))
        then, later = hour[: begin - start], hour[begin - start :]
        # Steps of more than an hour begin in some hours only; the others are never asked for.
        counts = np.maximum(np.bincount(then, minlength=24), 1)
        profile = np.stack([np.bincount(then, weights=row, minlength=24) for row in past]) / counts
        residual = np.log(np.maximum(past, 1.0) / np.maximum(profile[:, then], 1.0))
        residual -= residual.mean(axis=1, keepdims=True)
        lag = max(round(3600.0 / self.step_s), 1)
        power = (residual**2).mean(axis=1)
        phi = (residual[:, lag:] * residual[:, :-lag]).mean(axis=1) / np.maximum(power, 1e-12)
        phi = np.clip(phi, 0.01, 0.999) ** (3600.0 / (lag * self.step_s))
        return profile[:, later], phi

    def _hour_of_day(self, index: Ints) -> Ints:
        return ((self.first_utc_s + index * self.step_s) // 3600.0).astype(np.int64) % 24

    def _local_time(self, zone: str, given: Mapping[str, str]) -> tuple[str | None, float]:
        if zone in given:
            return given[zone], 0.0
        known = calibration()["carbon_zones"].get(zone)
        return (known["tz"], known["standard_utc_offset_h"]) if known else (None, 0.0)


def _stack_provider(series: Sequence[CarbonSeries], length: int) -> Floats | None:
    tables = [s.provider_g_per_kwh for s in series]
    if any(table is None for table in tables):
        return None
    leads = min(table.shape[1] for table in tables if table is not None)
    return np.stack([table[:length, :leads] for table in tables if table is not None])


def _date(unix_s: float) -> str:
    return str(np.datetime64(int(unix_s), "s"))
