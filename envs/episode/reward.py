"""The reward of a step: accuracy points gained minus the price of hours, bytes and emissions."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats
from ...common.ranges import Drawn, between
from ...common.units import SECONDS_PER_HOUR
from ..contract import RoundOutcome
from .ledger import round_gigabytes, round_kilograms

PRICES = ("price_per_hour", "price_per_gb", "price_per_kg")


def draw_fields(settings: Drawn, rng: np.random.Generator) -> Floats:
    """`[F]`, this episode's values of settings that may be ranges, in the order of their fields.

    A range is drawn log-uniformly (uniformly if it begins at 0); infinity stands for a limit that is None.
    """
    values = np.empty(len(type(settings).model_fields))
    for index, name in enumerate(type(settings).model_fields):
        value = getattr(settings, name)
        share = rng.random()  # drawn for a fixed value too: what follows it does not depend on the others
        values[index] = np.inf if value is None else between(value, share)
    return values


def reward_terms(outcome: RoundOutcome, accuracy_before: Floats, prices: Floats) -> Floats:
    """`[E, 4]` in the order of `REWARD_TERMS`, all in accuracy points (percent).

    Where clients serve, the first is what the right answers of the step are worth; what it costs that some
    waited for the hub belongs to time.

    Args:
        outcome: what the step did.
        accuracy_before: `[E]`, validation accuracy before it, 0 to 1.
        prices: `[E, 3]`, points per hour, per GB and per kg CO2e.
    """
    served = outcome.served
    waited = 0.0 if served is None or served.asked is None else served.asked.points
    return np.stack(
        [
            100.0 * (outcome.accuracy - accuracy_before) if served is None else served.points,
            -prices[:, 0] * outcome.duration_s / SECONDS_PER_HOUR - waited,
            -prices[:, 1] * round_gigabytes(outcome),
            -prices[:, 2] * round_kilograms(outcome),
        ],
        axis=1,
    )
