"""The battery for forecasts: shape, range, and that none reads the future."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import numpy as np

from ...common.arrays import Floats
from ..availability import (
    AVAILABILITY_FORECASTS,
    AvailabilityEpisode,
    AvailabilityForecaster,
    SessionBatch,
    Sessions,
)
from ..carbon import CARBON_FORECASTS, CarbonBatch, CarbonEpisode, CarbonForecaster

_HOUR_S = 3600.0
_LEADS_S = np.array([0.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0])


def check_forecast(
    spec: str | Mapping[str, object] | AvailabilityForecaster | CarbonForecaster,
    of: Literal["availability", "carbon"] = "availability",
    oracle: bool = False,
) -> None:
    """Check a forecast: its shape, its range, and that it does not read the future.

    Args:
        spec: name, settings, or a forecaster.
        of: what it forecasts.
        oracle: whether it may read the future.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    name = str(spec)
    if of == "availability":
        right = isinstance(spec, (str, Mapping, AvailabilityForecaster))
        assert right, f"{name}: no forecaster of availability"
        _check_availability_forecast(
            AVAILABILITY_FORECASTS.make(cast(AvailabilityForecaster, spec)), name, oracle
        )
    else:
        right = isinstance(spec, (str, Mapping, CarbonForecaster))
        assert right, f"{name}: no forecaster of carbon intensity"
        _check_carbon_forecast(CARBON_FORECASTS.make(cast(CarbonForecaster, spec)), name, oracle)


def _check_availability_forecast(forecaster: AvailabilityForecaster, name: str, oracle: bool) -> None:
    def at_noon(ends_h: float) -> Floats:
        sessions = Sessions.from_lists(
            [
                ([-_HOUR_S], [ends_h * _HOUR_S]),
                ([14 * _HOUR_S, 20 * _HOUR_S], [15 * _HOUR_S, 2 * ends_h * _HOUR_S]),
            ]
        )
        usual = np.linspace(0.1, 0.9, 48, dtype=np.float32).reshape(2, 24)
        batch = SessionBatch(1, 2)
        batch.set(0, AvailabilityEpisode(sessions, usual, np.full(2, _HOUR_S), forecast=forecaster), 0.0)
        batch.advance(np.array([12 * _HOUR_S]))
        return batch.forecast(np.array([12 * _HOUR_S]), _LEADS_S).astype(np.float64)

    soon, late = at_noon(13.0), at_noon(40.0)
    assert soon.shape == (1, 2, _LEADS_S.size), f"{name}: shape {soon.shape}, expected [E, N, L]"
    assert ((soon >= 0) & (soon <= 1)).all(), f"{name}: not a probability"
    assert oracle or np.array_equal(soon, late), f"{name}: reads the future"


def _check_carbon_forecast(forecaster: CarbonForecaster, name: str, oracle: bool) -> None:
    past, rng, found = np.array([[80.0, 120.0]]), np.random.default_rng(0), []
    for _ in range(2):
        g = np.concatenate([past, rng.uniform(10, 900, (1, 60))], axis=1)
        episode = CarbonEpisode(_HOUR_S, 0.0, g, np.full_like(g, 100.0), np.array([0.9]), forecaster, seed=3)
        batch = CarbonBatch(1, 1)
        batch.set(0, episode)
        found.append(batch.forecast(np.array([1.5 * _HOUR_S]), _LEADS_S))
    assert found[0].shape == (1, 1, _LEADS_S.size), f"{name}: shape {found[0].shape}, expected [E, Z, H]"
    assert (np.isfinite(found[0]) & (found[0] >= 0)).all(), f"{name}: not a finite intensity of 0 or more"
    assert oracle or np.array_equal(found[0], found[1]), f"{name}: reads the future"
