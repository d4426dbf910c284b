"""Forecasts of carbon intensity: climatology, persistence, noisy truth, the provider's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias, runtime_checkable

import numpy as np
from pydantic import Field

from ...common.arrays import Floats
from ...common.registry import Registry
from ...common.settings import Settings


@dataclass(frozen=True)
class CarbonView:
    """What a forecast of carbon intensity may look at; E environments, Z zones, H leads."""

    lead_h: Floats  # [1, 1, H]
    now: Floats  # [E, Z, 1] g/kWh at present
    usual_now: Floats  # [E, Z, 1] the profile expected from the past, at present
    usual: Floats  # [E, Z, H] the same at the leads
    usual_mean: Floats  # [E, Z, 1] its mean over the episode
    left: Floats  # [E, Z, H] share of a relative deviation that is left at each lead, phi^L
    truth: Callable[[], Floats]  # for oracles only: [E, Z, H]
    error: Callable[[], Floats]  # for oracles only: [E, Z, H] standard normal, fixed for each time forecast
    provider: Callable[[], Floats]  # [E, Z, H] the provider's own, NaN where it has none


@runtime_checkable
class CarbonForecaster(Protocol):
    """Anything that turns a view into g/kWh `[E, Z, H]`."""

    def intensity(self, view: CarbonView) -> Floats:
        """Carbon intensity at each lead."""
        ...


CARBON_FORECASTS: Registry[CarbonForecaster] = Registry("forecast", CarbonForecaster)
"""Forecasts of carbon intensity by name."""

# A grid at zero cannot be forecast by ratios: below this, intensities count as equal.
RATIO_FLOOR_G_PER_KWH = 1.0


@CARBON_FORECASTS.register("profile")
class ProfileForecast(Settings):
    """The expected profile times a deviation that dies out, the median forecast of an AR(1) in logarithms.

    f(t + L) = usual(t + L) (now(t) / usual(t))^(phi^L), L in hours; in the ratio, values below 1 g/kWh
    count as 1.
    """

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        now = np.maximum(view.now, RATIO_FLOOR_G_PER_KWH)
        usual_now = np.maximum(view.usual_now, RATIO_FLOOR_G_PER_KWH)
        return view.usual * np.exp(np.log(now / usual_now) * view.left)


@CARBON_FORECASTS.register("climatology")
class CarbonClimatology(Settings):
    """The profile expected from the past, whatever is seen now."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return view.usual


@CARBON_FORECASTS.register("persistence")
class CarbonPersistence(Settings):
    """The grid stays as it is."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return np.broadcast_to(view.now, view.usual.shape)


@CARBON_FORECASTS.register("none")
class NoCarbonForecast(Settings):
    """Nothing but the mean of the past."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return np.broadcast_to(view.usual_mean, view.usual.shape)


@CARBON_FORECASTS.register("perfect")
class PerfectCarbon(Settings):
    """Oracle: the truth."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return view.truth()


@CARBON_FORECASTS.register("noisy")
class NoisyCarbon(Settings):
    """Oracle with a multiplicative error that grows with the lead and saturates.

    The error of a time is one draw, scaled by the lead, so that a forecast improves as the time comes nearer.
    CarbonCast's published mean absolute errors one day ahead: 9.7 % (CISO), 11.5 % (ERCOT), 2.7 % (PJM).

    Attributes:
        mape_day_ahead: mean absolute relative error 24 h ahead.
        growth_h: e-folding time of the squared error's growth.
    """

    mape_day_ahead: Annotated[float, Field(ge=0, le=1)] = 0.1
    growth_h: Annotated[float, Field(gt=0)] = 24.0

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        # The mean absolute value of a Gaussian is its standard deviation times sqrt(2 / pi).
        day_sd = self.mape_day_ahead * np.sqrt(np.pi / 2.0)
        grown = (1.0 - np.exp(-view.lead_h / self.growth_h)) / (1.0 - np.exp(-24.0 / self.growth_h))
        sd = day_sd * np.sqrt(np.maximum(grown, 0.0))
        noisy: Floats = view.truth() * np.exp(sd * view.error() - sd**2 / 2.0)
        return noisy


@CARBON_FORECASTS.register("provider")
class ProviderForecast(Settings):
    """The provider's own forecast where the file has one; beyond its reach, `ProfileForecast`."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        given = view.provider()
        return np.where(np.isfinite(given), given, ProfileForecast().intensity(view))


DEFAULT_FORECAST: CarbonForecaster = ProfileForecast()
"""Of models that name no other."""

if TYPE_CHECKING:
    CarbonForecastField: TypeAlias = CarbonForecaster
else:  # pydantic reads it: a specification becomes the forecaster when the document is read
    CarbonForecastField = CARBON_FORECASTS.made_field()
