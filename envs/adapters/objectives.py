"""The vector reward: which of its terms are objectives of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats, Floats32
from ...common.spelling import suggest
from ..scenario import LEAKAGE

WORST_POINTS = -100.0
"""Of every objective at the reference point: 100 points are all that accuracy can gain."""


class Objectives:
    """Vector rewards in points; a term that is no objective is added to the first one, at its price.

    Args:
        terms: of the world's reward, see `Scenario.reward_terms`.
        names: of those that are objectives, in the order of the vector; None: all.

    Attributes:
        names: in the order of the vector.
        space: float32 `[R]`.
        reference_point: float32 `[R]`, worse in every objective than any run worth making, for hypervolumes.

    Raises:
        ValueError: one line: an unknown or repeated term, or none.
    """

    def __init__(self, terms: Sequence[str], names: Sequence[str] | None = None):
        self.names = tuple(terms if names is None else names)
        for name in self.names:
            if name not in terms:
                priceless = " where preferences: price_per_auc is 0" if name == LEAKAGE else ""
                raise ValueError(f"objectives: {name!r} is no term{priceless}; {suggest(str(name), terms)}")
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"objectives: {list(self.names)}, expected one term or several different ones")
        self._weights = np.array([[name == term for term in terms] for name in self.names], dtype=float)
        self._weights[0] += [term not in self.names for term in terms]
        gains = self._weights[:, 0] > 0
        costs = self._weights[:, 1:].any(axis=1)
        self.space = spaces.Box(
            np.where(costs, -np.inf, -100.0).astype(np.float32),
            np.where(gains, 100.0, 0.0).astype(np.float32),
            dtype=np.float32,
        )
        self.reference_point = np.full(len(self.names), WORST_POINTS, dtype=np.float32)

    def rewards(self, terms: Floats) -> Floats32:
        """Float32 `[E, R]` of the terms `[E, T]`."""
        rewards: Floats32 = (terms @ self._weights.T).astype(np.float32)
        return rewards


def objectives_of(
    vector_reward: bool, names: Sequence[str] | None, terms: Sequence[str]
) -> Objectives | None:
    """The objectives that the keywords of an environment ask for; None where the reward is a number.

    Raises:
        ValueError: see `Objectives`; or objectives of a number.
    """
    if not vector_reward and names is not None:
        raise ValueError(
            f"objectives: {list(names)} of a scalar reward, expected vector_reward=True or an id mo-"
        )
    return Objectives(terms, names) if vector_reward else None
