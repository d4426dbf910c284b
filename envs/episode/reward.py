"""The reward of a step: accuracy points gained minus the price of hours, bytes and emissions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...common.arrays import Floats
from ...common.ranges import Drawn, between
from ...common.units import SECONDS_PER_HOUR
from ..contract import RoundOutcome
from .ledger import round_gigabytes, round_kilograms

PRICES = ("price_per_hour", "price_per_gb", "price_per_kg")
"""Of what the books count, in the order of `Population.prices`; that of leakage stands for itself."""


def draw_fields(settings: Drawn, rng: np.random.Generator, names: Sequence[str] | None = None) -> Floats:
    """`[F]`, this episode's values of settings that may be ranges, in the order of their fields.

    A range is drawn log-uniformly (uniformly if it begins at 0); infinity stands for a limit that is None.

    Args:
        settings: the record.
        rng: what is drawn.
        names: of the fields; None = all.
    """
    names = list(type(settings).model_fields) if names is None else names
    values = np.empty(len(names))
    for index, name in enumerate(names):
        value = getattr(settings, name)
        share = rng.random()  # drawn for a fixed value too: what follows it does not depend on the others
        values[index] = np.inf if value is None else between(value, share)
    return values


def reward_terms(
    outcome: RoundOutcome, accuracy_before: Floats, prices: Floats, leaked: Floats | None = None
) -> Floats:
    """`[E, T]` in the order of `Scenario.reward_terms`, all in accuracy points (percent).

    Where clients serve, the first is what the right answers of the step are worth; what it costs that some
    waited for the hub belongs to time.

    Args:
        outcome: what the step did.
        accuracy_before: `[E]`, validation accuracy before it, 0 to 1.
        prices: `[E, 3]`, points per hour, per GB and per kg CO2e.
        leaked: `[E]`, points that are due for what it has given away; None where that has no price.
    """
    served = outcome.served
    waited = 0.0 if served is None or served.asked is None else served.asked.points
    costs = [] if leaked is None else [-leaked]
    return np.stack(
        [
            100.0 * (outcome.accuracy - accuracy_before) if served is None else served.points,
            -prices[:, 0] * outcome.duration_s / SECONDS_PER_HOUR - waited,
            -prices[:, 1] * round_gigabytes(outcome),
            -prices[:, 2] * round_kilograms(outcome),
            *costs,
        ],
        axis=1,
    )
