"""Robust rules: a centre of the arrivals that a minority of liars cannot move far.

All arrivals count alike: weights by rows are what a client says of itself, and who lies about them has the
weight of many. A rule cannot tell a liar from an honest minority whose data are of another kind: it leaves
out both. Where too few updates arrive for its guarantee the model stands still in that round, as if nothing
had arrived.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.settings import Settings
from .base import AGGREGATORS, Aggregator, Arrivals, DType


class RobustRule(Aggregator):
    """An aggregator that takes a centre of equals in place of a weighted mean.

    Attributes:
        least: arrivals below which its guarantee does not hold.
    """

    accepts_weights = False
    is_mean = True
    least = 1

    @abstractmethod
    def centre(self, updates: Floats, env: int) -> Floats:
        """`[P]`, the centre of the updates `[n, P]` of one environment, n at least `least`."""

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        check_least(self.name, self.least, num_clients)
        super().bind(num_envs, num_clients, num_parameters, dtype)

    def moves(self, arrivals: Arrivals) -> Bools:
        """See `Aggregator.moves`."""
        return np.asarray(np.diff(arrivals.span) >= self.least)

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        step = np.zeros_like(params)
        for e in np.flatnonzero(self.moves(arrivals)).tolist():
            updates = arrivals.delta[arrivals.span[e] : arrivals.span[e + 1]]
            step[e] = self.centre(updates.astype(np.float64), e)
        return step


def check_least(name: str, least: int, num_clients: int) -> None:
    """Refuse a rule whose guarantee needs more updates than there are clients.

    Raises:
        ValueError: one line.
    """
    if num_clients < least:
        raise ValueError(
            f"aggregator {name!r}: f: needs {least} updates in a round, expected at most {num_clients}, the "
            "number of clients; tolerate fewer liars"
        )


class _Tolerant(RobustRule):
    """Shared by the rules that are told how many liars a round may have.

    Args:
        f: most liars among the updates of a round.
    """

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        f: int = Field(default=1, ge=0)

    def __init__(self, f: int = 1) -> None:
        super().__init__()
        self._f = f
        self.least = self.least_for(f)

    def least_for(self, f: int) -> int:
        """Arrivals needed where so many may lie."""
        return 2 * f + 3


@AGGREGATORS.register("krum")
class Krum(_Tolerant):
    """The update with the least sum of squared distances to its n - f - 2 nearest (Blanchard et al. 2017).

    "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017. Needs n > 2f + 2.

    Args:
        f: most liars among the updates of a round.
    """

    name = "krum"

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        return np.asarray(updates[krum_scores(updates, self._f).argmin()])


@AGGREGATORS.register("multi-krum")
class MultiKrum(_Tolerant):
    """The plain mean of the m updates of the best Krum scores (Blanchard et al. 2017). Needs n > 2f + 2.

    Args:
        f: most liars among the updates of a round.
        m: how many are averaged, n - f at most; None = n - f.
    """

    name = "multi-krum"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        f: int = Field(default=1, ge=0)
        m: int | None = Field(default=None, ge=1)

    def __init__(self, f: int = 1, m: int | None = None) -> None:
        super().__init__(f)
        self._m = m

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        most = len(updates) - self._f
        count = most if self._m is None else min(self._m, most)
        chosen = np.argsort(krum_scores(updates, self._f), kind="stable")[:count]
        return np.asarray(updates[np.sort(chosen)].mean(axis=0))


@AGGREGATORS.register("trimmed-mean")
class TrimmedMean(_Tolerant):
    """Per parameter the mean without the f smallest and the f largest values (Yin et al., ICML 2018).

    Needs n > 2f.

    Args:
        f: most liars among the updates of a round.
    """

    name = "trimmed-mean"

    def least_for(self, f: int) -> int:
        """See `_Tolerant.least_for`."""
        return 2 * f + 1

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        kept = np.sort(updates, axis=0)[self._f : len(updates) - self._f]
        return np.asarray(kept.mean(axis=0))


@AGGREGATORS.register("median")
class Median(RobustRule):
    """The median of each parameter (Yin et al., ICML 2018); holds against any minority of liars."""

    name = "median"

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        return np.asarray(np.median(updates, axis=0))


@AGGREGATORS.register("geometric-median")
class GeometricMedian(RobustRule):
    """The point of least total distance to the updates, by Weiszfeld's algorithm (RFA, Pillutla et al. 2022).

    It begins at the median of each parameter, which a minority of liars cannot move far either, so that every
    further step is as safe. Distances below `smoothing` of their median to that start count as that, since
    the algorithm would stick at an update that it meets.

    Args:
        steps: of the algorithm.
        smoothing: see above.
    """

    name = "geometric-median"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        steps: int = Field(default=8, ge=1, le=10_000)
        smoothing: float = Field(default=0.1, gt=0, le=1)

    def __init__(self, steps: int = 8, smoothing: float = 0.1) -> None:
        super().__init__()
        self._steps, self._smoothing = steps, smoothing

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        point: Floats = np.median(updates, axis=0)
        nearest = self._smoothing * float(np.median(lengths_of(updates - point)))
        if nearest == 0:  # half of the updates are this very point
            return point
        for _ in range(self._steps):
            weight = 1.0 / np.maximum(lengths_of(updates - point), nearest)
            point = np.asarray((weight[:, None] * updates).sum(axis=0) / weight.sum())
        return point


@AGGREGATORS.register("centred-clipping")
class CentredClipping(RobustRule):
    """The last step, moved by the mean of the clipped differences from it (Karimireddy et al., ICML 2021).

    `v <- v + mean_i clip(x_i - v, tau)`, from the v of the round before; zero at the start. Whoever lies
    moves it by tau / n at most in each step.

    Args:
        tau: length to which differences are clipped, of the order of what honest updates differ by.
        steps: how often in a round.
    """

    name = "centred-clipping"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        tau: float = Field(default=1.0, gt=0)
        steps: int = Field(default=1, ge=1, le=10_000)

    def __init__(self, tau: float = 1.0, steps: int = 1) -> None:
        super().__init__()
        self._tau, self._steps = tau, steps

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        super().bind(num_envs, num_clients, num_parameters, dtype)
        self.memory = {"centre": np.zeros((num_envs, num_parameters))}

    def centre(self, updates: Floats, env: int) -> Floats:
        """See `RobustRule.centre`."""
        point: Floats = self.memory["centre"][env]
        for _ in range(self._steps):
            apart = updates - point
            point = point + (clip_factors(apart, self._tau)[:, None] * apart).mean(axis=0)
        self.memory["centre"][env] = point
        return point


def lengths_of(vectors: AnyArray) -> Floats:
    """`[n]`, Euclidean lengths of the rows, in double precision."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1)))


def clip_factors(vectors: AnyArray, length: float) -> Floats:
    """`[n]`, factors that shorten the rows that are longer than this."""
    return np.asarray(np.minimum(1.0, length / np.maximum(lengths_of(vectors), 1e-30)))


def squared_distances(updates: Floats) -> Floats:
    """`[n, n]`, between all pairs of updates `[n, P]`."""
    return np.stack([np.square(updates - each).sum(axis=1) for each in updates])


def krum_scores(updates: Floats, f: int) -> Floats:
    """`[n]`, sums of the squared distances from each update to its n - f - 2 nearest others."""
    apart = squared_distances(updates)
    np.fill_diagonal(apart, np.inf)
    return np.asarray(np.sort(apart, axis=1)[:, : len(updates) - f - 2].sum(axis=1))


def nearest_means(updates: Floats, f: int) -> Floats:
    """`[n, P]`, every update replaced by the mean of the n - f nearest to it, itself included."""
    order: Ints = np.argsort(squared_distances(updates), axis=1, kind="stable")[:, : len(updates) - f]
    return np.stack([updates[np.sort(nearest)].mean(axis=0) for nearest in order])
