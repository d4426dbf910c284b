"""What is done to the updates before they are aggregated: clipped, or mixed with their nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools
from ...common.settings import Settings, Spec
from .around import Around
from .base import AGGREGATORS, Arrivals, DType
from .robust import RobustRule, check_least, clip_factors, nearest_means


@AGGREGATORS.register("clip")
class Clip(Around):
    """Updates longer than `length` are shortened to it, then aggregated by any other rule.

    A bound on what one client can do to the model where that rule has none: the mean of n clipped updates
    moves by `length / n` per liar. Not with rules that need exact updates.

    Args:
        length: the longest an update may be.
        then: the aggregator that gets them.
    """

    name = "clip"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        length: float = Field(default=1.0, gt=0)
        then: Spec = "by-samples"

    def __init__(self, length: float = 1.0, then: Spec = "by-samples") -> None:
        super().__init__(AGGREGATORS.make(then))
        if not self.inner.accepts_compression:
            raise ValueError(
                f"then: {self.inner.name!r}, expected an aggregator that does not need exact updates"
            )
        self._length, self.is_mean = length, self.inner.is_mean

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        factor = clip_factors(arrivals.delta, self._length).astype(arrivals.delta.dtype)
        return self.inner.step(replace(arrivals, delta=factor[:, None] * arrivals.delta), params)


@AGGREGATORS.register("nnm")
class NearestNeighbourMixing(Around):
    """Each update becomes the mean of the n - f nearest to it; a robust rule follows (Allouah et al. 2023).

    "Fixing by Mixing: A Recipe for Optimal Byzantine ML under Heterogeneity", AISTATS 2023: honest clients
    with unlike data come closer together before anybody is left out. Needs n > 2f, and what the rule needs.

    Args:
        f: most liars among the updates of a round.
        then: the robust rule that gets them.
    """

    name = "nnm"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        f: int = Field(default=1, ge=0)
        then: Spec | None = None

    def __init__(self, f: int = 1, then: Spec | None = None) -> None:
        super().__init__(AGGREGATORS.make({"kind": "trimmed-mean", "f": f} if then is None else then))
        if not isinstance(self.innermost, RobustRule) or not self.inner.is_mean:
            raise ValueError(
                f"then: {self.inner.name!r}, expected a robust rule such as 'median': "
                "a mean of mixed updates still follows a single liar"
            )
        self._f, self.is_mean = f, True

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        check_least(self.name, 2 * self._f + 1, num_clients)
        super().bind(num_envs, num_clients, num_parameters, dtype)

    def moves(self, arrivals: Arrivals) -> Bools:
        """See `Aggregator.moves`."""
        return np.asarray(self.inner.moves(arrivals) & (np.diff(arrivals.span) > 2 * self._f))

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        moves = self.moves(arrivals)
        enough = arrivals.select(moves[arrivals.env])
        mixed = enough.delta.copy()
        for e in np.flatnonzero(moves).tolist():
            span = slice(enough.span[e], enough.span[e + 1])
            mixed[span] = nearest_means(enough.delta[span].astype(np.float64), self._f)
        return self.inner.step(replace(enough, delta=mixed), params)
