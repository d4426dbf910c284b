"""Types of carbon intensity: one episode's series, and the models that draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import Floats
from ...common.splits import Split
from ...common.units import SECONDS_PER_HOUR
from .forecasts import DEFAULT_FORECAST, CarbonForecaster

# How long after the horizon series go on, so that forecasts near the end have something to look at.
TAIL_S = 48 * SECONDS_PER_HOUR


@dataclass(frozen=True)
class CarbonEpisode:
    """Carbon intensity of Z zones during one episode, piecewise constant."""

    step_s: float  # length of a piece
    first_s: float  # time of the first sample from the episode's start, zero or less
    g_per_kwh: Floats  # [Z, T] the last sample holds for ever after
    expected_g_per_kwh: Floats  # [Z, T] the profile expected from the past only
    phi_per_h: Floats  # [Z] share of a relative deviation from the profile that is left an hour later
    forecast: CarbonForecaster = DEFAULT_FORECAST  # the coordinator's
    seed: int = 0  # of the forecast's own errors, if it has any
    # [Z, T, K] the provider's forecast issued at each sample for 1..K steps ahead
    provider_g_per_kwh: Floats | None = None


@runtime_checkable
class CarbonModel(Protocol):
    """Draws episodes of carbon intensity for a fixed list of zones.

    Attributes:
        zones: names.
        kind: what the intensity counts, the same for all zones.
    """

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the zones."""
        ...

    @property
    def kind(self) -> str:
        """What the intensity counts: "direct", "life-cycle" or "marginal"."""
        ...

    def utc_offset_h(self, start_utc_s: float) -> Floats:
        """`[Z]`, hours that each zone's clocks are ahead of UTC at a Unix time."""
        ...

    def draw_start_utc_s(self, split: Split, horizon_s: float, rng: np.random.Generator) -> float:
        """A Unix time at which an episode of a split may start; windows of splits are disjoint."""
        ...

    def sample(self, start_utc_s: float, horizon_s: float, rng: np.random.Generator) -> CarbonEpisode:
        """The episode that starts then."""
        ...

    def validate_for(self, horizon_s: float) -> None:
        """Refuse early, with a ValueError, a horizon that no window of some split can hold."""
        ...
