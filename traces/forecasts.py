"""Forecasts as a coordinator would have them, of availability and of carbon intensity.

A forecast sees the present and what was learned before the episode. Only those called oracles look at the
truth. Each is chosen by name, or by a mapping of its settings with the name under `kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from .settings import Settings, parse_settings, suggest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class AvailabilityView:
    """What a forecast of availability may look at; E environments, N clients, L leads.

    Attributes:
        now_s: `[E, 1, 1]`, the present.
        then_s: `[E, 1, L]`, the times asked for.
        available: bool `[E, N, 1]`, who is available now.
        announced_end_s: `[E, N, 1]`, announced ends, `+inf` where none is known.
        relaxation_s: `[E, N, 1]`, e-folding time of a deviation from the climatology.
        expected: climatology at times that broadcast to `[E, N, *]`.
        truth: for oracles only: bool `[E, N, L]`, who will be available at `then_s`.
        luck: for oracles only: uniforms `[E, N, L]`, fixed for each client and tenth minute.
    """

    now_s: Floats
    then_s: Floats
    available: Bools
    announced_end_s: Floats
    relaxation_s: Floats
    expected: Callable[[Floats], Floats]
    truth: Callable[[], Bools]
    luck: Callable[[], Floats]

    @property
    def shape(self) -> tuple[int, int, int]:
        """E, N, L."""
        return (*self.available.shape[:2], self.then_s.shape[2])


class AvailabilityForecaster(Protocol):
    """Anything that turns a view into P(available) `[E, N, L]`."""

    def probability(self, view: AvailabilityView) -> Floats:
        """P(available) at each lead."""
        ...


class MarkovForecast(Settings):
    """The closed form around the climatology, and announced ends.

    p(t + L) = clim(t + L) + (a(t) - clim(t)) exp(-L / tau), which for a constant climatology is
    pi + (1 - pi) lambda^n of a two-state chain. Before an announced end it is 1; after it, it relaxes from 0.

    Settings:
        use_announced: whether announced ends are used.
    """

    use_announced: bool = True

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        told = np.isfinite(view.announced_end_s) & self.use_announced
        anchor_s = np.where(told, view.announced_end_s, view.now_s)
        value = np.where(told, 0.0, view.available)
        decay = np.exp(-np.maximum(view.then_s - anchor_s, 0.0) / view.relaxation_s)
        chance = view.expected(view.then_s) + (value - view.expected(anchor_s)) * decay
        return np.where(told & (view.then_s < view.announced_end_s), 1.0, np.clip(chance, 0.0, 1.0))


class ClimatologyForecast(Settings):
    """The usual share at that hour, whatever is seen now."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.clip(np.broadcast_to(view.expected(view.then_s), view.shape), 0.0, 1.0)


class PersistenceForecast(Settings):
    """Everyone stays as they are."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.broadcast_to(view.available.astype(np.float64), view.shape)


class AnnouncedForecast(Settings):
    """Everyone stays as they are, but those who announced an end are gone after it."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.broadcast_to((view.available & (view.then_s < view.announced_end_s)) * 1.0, view.shape)


class NoForecast(Settings):
    """Nothing is known of the future: one half for everyone."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return np.full(view.shape, 0.5)


class PerfectForecast(Settings):
    """Oracle: the truth."""

    def probability(self, view: AvailabilityView) -> Floats:
        """See `AvailabilityForecaster`."""
        return view.truth().astype(np.float64)


class NoisyOracle(Settings):
    """Oracle that is right with a probability that falls with the lead, as REFL's predictor (.9).

    Settings:
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
        said = view.truth() ^ (view.luck() >= right)
        return np.where(said, right, 1.0 - right)


@dataclass(frozen=True)
class CarbonView:
    """What a forecast of carbon intensity may look at; E environments, Z zones, H leads.

    Attributes:
        lead_h: `[1, 1, H]`.
        now: `[E, Z, 1]`, g/kWh at present.
        usual_now: `[E, Z, 1]`, the profile expected from the past, at present.
        usual: `[E, Z, H]`, the same at the leads.
        usual_mean: `[E, Z, 1]`, its mean over the episode.
        left: `[E, Z, H]`, share of a relative deviation that is left at each lead: phi^L.
        truth: for oracles only: `[E, Z, H]`.
        error: for oracles only: standard normal errors `[E, Z, H]`, fixed for each time forecast.
        provider: the provider's own forecast `[E, Z, H]`, NaN where it has none.
    """

    lead_h: Floats
    now: Floats
    usual_now: Floats
    usual: Floats
    usual_mean: Floats
    left: Floats
    truth: Callable[[], Floats]
    error: Callable[[], Floats]
    provider: Callable[[], Floats]


class CarbonForecaster(Protocol):
    """Anything that turns a view into g/kWh `[E, Z, H]`."""

    def intensity(self, view: CarbonView) -> Floats:
        """Carbon intensity at each lead."""
        ...


# A grid at zero cannot be forecast by ratios: below this, intensities count as equal.
RATIO_FLOOR_G_PER_KWH = 1.0


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


class CarbonClimatology(Settings):
    """The profile expected from the past, whatever is seen now."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return view.usual


class CarbonPersistence(Settings):
    """The grid stays as it is."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return np.broadcast_to(view.now, view.usual.shape)


class NoCarbonForecast(Settings):
    """Nothing but the mean of the past."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return np.broadcast_to(view.usual_mean, view.usual.shape)


class PerfectCarbon(Settings):
    """Oracle: the truth."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        return view.truth()


class NoisyCarbon(Settings):
    """Oracle with a multiplicative error that grows with the lead and saturates.

    The error of a time is one draw, scaled by the lead, so that a forecast improves as the time comes nearer.
    CarbonCast's published mean absolute errors one day ahead: 9.7 % (CISO), 11.5 % (ERCOT), 2.7 % (PJM).

    Settings:
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
        return view.truth() * np.exp(sd * view.error() - sd**2 / 2.0)


class ProviderForecast(Settings):
    """The provider's own forecast where the file has one; beyond its reach, `ProfileForecast`."""

    def intensity(self, view: CarbonView) -> Floats:
        """See `CarbonForecaster`."""
        given = view.provider()
        return np.where(np.isfinite(given), given, ProfileForecast().intensity(view))


AVAILABILITY_FORECASTS: dict[str, type[Settings]] = {
    "markov": MarkovForecast,
    "climatology": ClimatologyForecast,
    "persistence": PersistenceForecast,
    "announced": AnnouncedForecast,
    "none": NoForecast,
    "perfect": PerfectForecast,
    "noisy": NoisyOracle,
}
CARBON_FORECASTS: dict[str, type[Settings]] = {
    "profile": ProfileForecast,
    "climatology": CarbonClimatology,
    "persistence": CarbonPersistence,
    "none": NoCarbonForecast,
    "perfect": PerfectCarbon,
    "noisy": NoisyCarbon,
    "provider": ProviderForecast,
}


Forecaster = TypeVar("Forecaster")


def rows_by_forecaster(
    forecasters: Sequence[Forecaster],
) -> list[tuple[Forecaster, NDArray[np.int64]]]:
    """The different forecasters of E environments, and the rows of each; equal settings count as one.

    Comparing settings is slow, so that every object is compared once, not once per row.
    """
    objects = {id(own): own for own in forecasters}
    kinds: dict[Forecaster, Forecaster] = {}
    kind_of = {name: kinds.setdefault(own, own) for name, own in objects.items()}
    rows = [kind_of[id(own)] for own in forecasters]
    return [(kind, np.flatnonzero([row is kind for row in rows])) for kind in kinds]


def make_forecast(spec: Any, of: Literal["availability", "carbon"] = "availability") -> Any:
    """The forecaster that a specification describes.

    Args:
        spec: a name, a mapping with the name under `kind`, a forecaster, or None for the default.
        of: what is forecast.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    known = AVAILABILITY_FORECASTS if of == "availability" else CARBON_FORECASTS
    if spec is None:
        return next(iter(known.values()))()
    if isinstance(spec, Settings):
        return spec
    values = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(f"forecast: kind={kind!r} is unknown; {suggest(str(kind), known)}")
    return parse_settings(known[kind], values, f"forecast ({kind})")


AvailabilityForecastField = Annotated[Any, BeforeValidator(lambda spec: make_forecast(spec, "availability"))]
CarbonForecastField = Annotated[Any, BeforeValidator(lambda spec: make_forecast(spec, "carbon"))]
