"""Forecasts of availability as a coordinator would have them: P(available) at times ahead.

A forecast sees the present and what was learned before the episode. Only those called oracles look at the
truth. Each is chosen by name, or by a mapping of its settings with the name under `kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias, runtime_checkable

import numpy as np
from pydantic import Field

from ...common.arrays import Bools, Floats
from ...common.registry import Registry
from ...common.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class AvailabilityView:
    """What a forecast of availability may look at; E environments, N clients, L leads."""

    now_s: Floats  # [E, 1, 1] the present
    then_s: Floats  # [E, 1, L] the times asked for
    available: Bools  # [E, N, 1] who is available now
    announced_end_s: Floats  # [E, N, 1] announced ends, +inf where none is known
    relaxation_s: Floats  # [E, N, 1] e-folding time of a deviation from the climatology
    expected: Callable[[Floats], Floats]  # climatology at times that broadcast to [E, N, *]
    truth: Callable[[], Bools]  # for oracles only: [E, N, L] who will be available
    uniforms: Callable[[], Floats]  # for oracles only: [E, N, L] fixed for each client and tenth minute

    @property
    def shape(self) -> tuple[int, int, int]:
        """E, N, L."""
        return (*self.available.shape[:2], self.then_s.shape[2])


@runtime_checkable
class AvailabilityForecaster(Protocol):
    """Anything that turns a view into P(available) `[E, N, L]`."""

    def probability(self, view: AvailabilityView) -> Floats:
        """P(available) at each lead."""
        ...


AVAILABILITY_FORECASTS: Registry[AvailabilityForecaster] = Registry("forecast", AvailabilityForecaster)
"""Forecasts of availability by name."""


@AVAILABILITY_FORECASTS.register("markov")
class MarkovForecast(Settings):
    """Two-state Markov chain around the climatology, with announced ends; the default.

    p(t + L) = clim(t + L) + (a(t) - clim(t)) exp(-L / tau), which for a constant climatology is
    pi + (1 - pi) lambda^n of a two-state chain. Before an announced end it is 1; after it, it relaxes from 0.

    Attributes:
        use_announced: whether announced ends are used.
    """

    use_announced: bool = True

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        known = np.isfinite(view.announced_end_s) & self.use_announced
        anchor_s = np.where(known, view.announced_end_s, view.now_s)
        value = np.where(known, 0.0, view.available)
        decay = np.exp(-np.maximum(view.then_s - anchor_s, 0.0) / view.relaxation_s)
        chance = view.expected(view.then_s) + (value - view.expected(anchor_s)) * decay
        return np.where(known & (view.then_s < view.announced_end_s), 1.0, np.clip(chance, 0.0, 1.0))


@AVAILABILITY_FORECASTS.register("climatology")
class ClimatologyForecast(Settings):
    """The usual share at that hour, whatever is seen now."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.clip(np.broadcast_to(view.expected(view.then_s), view.shape), 0.0, 1.0)


@AVAILABILITY_FORECASTS.register("persistence")
class PersistenceForecast(Settings):
    """Everyone stays as they are."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.broadcast_to(view.available.astype(np.float64), view.shape)


@AVAILABILITY_FORECASTS.register("announced")
class AnnouncedForecast(Settings):
    """Everyone stays as they are, but those who announced an end are gone after it."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.broadcast_to((view.available & (view.then_s < view.announced_end_s)) * 1.0, view.shape)


@AVAILABILITY_FORECASTS.register("none")
class NoForecast(Settings):
    """Nothing is known of the future: one half for everyone."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.full(view.shape, 0.5)


@AVAILABILITY_FORECASTS.register("perfect")
class PerfectForecast(Settings):
    """Oracle: the truth."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return view.truth().astype(np.float64)


@AVAILABILITY_FORECASTS.register("noisy")
class NoisyOracle(Settings):
    """Oracle that is right with a probability that falls with the lead, as REFL's predictor (.9).

    Attributes:
        accuracy: probability of being right from `full_noise_h` on.
        full_noise_h: the lead at which it has fallen to that, linearly from 1; 0 = at once.
    """

    accuracy: Annotated[float, Field(ge=0.5, le=1)] = 0.9
    full_noise_h: Annotated[float, Field(ge=0)] = 0.0

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        lead_h = (view.then_s - view.now_s) / 3600.0
        grown = np.minimum(lead_h / self.full_noise_h, 1.0) if self.full_noise_h else np.ones_like(lead_h)
        right = 1.0 - (1.0 - self.accuracy) * grown
        said = view.truth() ^ (view.uniforms() >= right)
        return np.where(said, right, 1.0 - right)


DEFAULT_FORECAST: AvailabilityForecaster = MarkovForecast()
"""Of models that name no other."""

if TYPE_CHECKING:
    AvailabilityForecastField: TypeAlias = AvailabilityForecaster
else:  # pydantic reads it: a specification becomes the forecaster when the document is read
    AvailabilityForecastField = AVAILABILITY_FORECASTS.made_field()
