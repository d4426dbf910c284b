"""What a linear rule remembers of its last rounds: their gain, their price, and when the last one began."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import spent_points

Recent: TypeAlias = dict[str, Floats]
"""Arrays `[E]` by name."""

_FORGETTING = 0.25
"""Weight of the newest round in the recent gain and price."""
_FIRST_GAIN, _FIRST_PRICE = 4.0, 0.3
"""Points gained and charged per round that the averages begin with."""


def fresh(num_envs: int) -> Recent:
    """The recent gain and price per round, what they are counted from, and when the last round began."""
    first = {"gain": _FIRST_GAIN, "price": _FIRST_PRICE, "accuracy": np.nan, "spent": 0.0, "trained": 0.0}
    return {name: np.full(num_envs, value) for name, value in (first | {"began_s": -np.inf}).items()}


def observe(known: Recent, situation: Situation) -> None:
    """Average the gain and price of the rounds so far, where somebody trained since the last decision."""
    accuracy, spent = 100.0 * situation.run.accuracy, spent_points(situation)
    moved = (known["trained"] > 0) & np.isfinite(known["accuracy"])
    for name, change in (("gain", accuracy - known["accuracy"]), ("price", spent - known["spent"])):
        mixed = (1.0 - _FORGETTING) * known[name] + _FORGETTING * change
        known[name] = np.where(moved, mixed, known[name])
    known["accuracy"], known["spent"] = accuracy, spent


def note(known: Recent, situation: Situation, trained: Bools) -> None:
    """Note where somebody trains now, bool `[E]`."""
    known["trained"] = np.where(trained, 1.0, 0.0)
    known["began_s"] = np.where(trained, situation.run.time_s, known["began_s"])
