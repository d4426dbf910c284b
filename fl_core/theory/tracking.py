"""What following a moving optimum costs: stationary excess in closed form, and the best pace at given prices.

Between two rounds the optimum moves by delta, with mean 0 and covariance Q per second; a round is an affine
map of the server's model, as in `fixed_points`. With e = w - w* and rounds drawn independently of each other,

    e <- K_s (e + delta) + b_s + xi_s,     K_s = I - G_s,     b_s = g_s - G_s w*,

where everybody participating with K local steps of size eta on Hessians H gives K = mean (I - eta H)^K. Its
stationary first and second moments are solutions of linear equations. The excess F - F* = 1/2 e^T A e is
quadratic, so that these moments say its mean exactly, for a random walk as for jumps in random directions:
only the mean square of the way per hour matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...common.arrays import Floats
from ...common.units import SECONDS_PER_HOUR
from ..quadratics import QuadraticProblem
from .fixed_points import AffineRounds, affine_rounds

_NODES = np.polynomial.legendre.leggauss(48)
"""Of the quadrature over the distribution of the excess."""
_MOMENTS = np.polynomial.legendre.leggauss(5)
"""Between two rounds, at which accuracy is averaged."""


@dataclass(frozen=True)
class Pace:
    """When rounds are held, and how the optimum moves meanwhile.

    Attributes:
        period_s: from one round's end to the next one's.
        square_per_h: mean square of the way that the optimum goes in an hour: step^2 of a walk; distance^2
            over the mean hours between jumps.
        round_s: of it, how long a round lasts: it trains on the objective of its beginning, and the model
            that was there before serves until its end.
    """

    period_s: float
    square_per_h: float
    round_s: float = 0.0


@dataclass(frozen=True)
class Tracking:
    """The error w - w* of a model that follows its optimum, in the long run."""

    hessian: Floats  # [d, d] of F
    mean: Floats  # [d] when a round ends
    second: Floats  # [d, d] then, not centred
    walked: Floats  # [d, d] covariance of the optimum's way until the next round's end

    @property
    def excess(self) -> float:
        """`E F(w) - F*`, on average over the time between two rounds."""
        return float(0.5 * np.trace(self.hessian @ (self.second + self.walked / 2)))

    @property
    def excess_after(self) -> float:
        """The same when a round ends, where it is least."""
        return float(0.5 * np.trace(self.hessian @ self.second))

    def accuracy(self, start_gap: float, chance: float) -> float:
        """Mean of `1 / (1 + (1 / chance - 1) (F - F*) / start_gap)` over the time between two rounds.

        Exact where the error is Gaussian: everybody takes part and the optimum walks; else as if it were.
        """
        moments, weights = _MOMENTS
        centred = self.second - np.outer(self.mean, self.mean)
        scale = (1.0 / chance - 1.0) / start_gap
        each = [
            _mean_reciprocal(self.hessian, self.mean, centred + (1 + x) / 2 * self.walked, scale)
            for x in moments
        ]
        return float(weights @ np.array(each) / 2)


def track(
    problem: QuadraticProblem, rounds: AffineRounds, pace: Pace, chances: Floats | None = None
) -> Tracking:
    """The stationary moments of following the optimum.

    Args:
        problem: the quadratics; where their optimum is does not matter.
        rounds: the server's map in each of S states of participation.
        pace: when rounds are held.
        chances: `[S]`, how likely each state is; None: all alike.

    Raises:
        ValueError: the rounds do not converge, so that nothing is stationary.
    """
    count, d = rounds.shift.shape
    rho = np.full(count, 1.0 / count) if chances is None else np.asarray(chances, dtype=np.float64)
    keep, best = np.eye(d) - rounds.gain, problem.optimum()
    bias = rounds.shift - np.einsum("sij,j->si", rounds.gain, best)
    per_s = np.eye(d) * pace.square_per_h / (d * SECONDS_PER_HOUR)
    mean = np.linalg.solve(np.einsum("s,sij->ij", rho, rounds.gain), rho @ bias)
    before = np.einsum("s,sij,jk,slk->il", rho, keep, per_s * (pace.period_s - pace.round_s), keep)
    cross = np.einsum("s,sij,j,sk->ik", rho, keep, mean, bias)
    source = before + cross + cross.T + np.einsum("s,si,sj->ij", rho, bias, bias)
    source += np.einsum("s,sij->ij", rho, rounds.noise) + per_s * pace.round_s
    squared = np.einsum("s,sij,skl->ikjl", rho, keep, keep).reshape(d * d, d * d)
    if np.abs(np.linalg.eigvals(squared)).max() >= 1.0:
        raise ValueError("rounds: they do not contract, expected a smaller learning rate")
    second = np.linalg.solve(np.eye(d * d) - squared, source.ravel()).reshape(d, d)
    hessian = np.einsum("k,kij->ij", problem.target_weight, problem.hessian)
    return Tracking(hessian, mean, second, per_s * pace.period_s)


@dataclass(frozen=True)
class Rates:
    """What answers are worth, and what rounds of so many local steps cost."""

    points_per_h: float  # of right answers only
    round_points: Callable[[int], float]
    round_s: Callable[[int], float] = lambda steps: 0.0


@dataclass(frozen=True)
class BestPace:
    """The pace with the most net points per hour among those that were compared."""

    steps: int  # local steps per round
    period_s: float
    excess: float  # `Tracking.excess`
    accuracy: float  # `Tracking.accuracy`
    net_per_h: float  # points for right answers less the price of rounds


def best_pace(
    problem: QuadraticProblem,
    learning_rate: float,
    square_per_h: float,
    chance: float,
    rates: Rates,
    steps: Sequence[int],
    periods_s: Sequence[float],
) -> BestPace:
    """The best number of local steps and period where everybody takes part in every round.

    Args:
        problem: the quadratics.
        learning_rate: the clients' eta.
        square_per_h: see `Pace`.
        chance: accuracy at the problem's start.
        rates: what answers are worth and rounds cost.
        steps: numbers of local steps to compare.
        periods_s: periods to compare; those shorter than the round are left out.

    Raises:
        ValueError: no period is as long as a round.
    """
    start_gap, weight = problem.gap(problem.start), problem.target_weight[None]
    found: list[BestPace] = []
    maps = {each: affine_rounds(problem, weight, learning_rate, each) for each in steps}
    for each, period_s in product(steps, periods_s):
        round_s = rates.round_s(each)
        if period_s < round_s:
            continue
        follows = track(problem, maps[each], Pace(period_s, square_per_h, round_s))
        accuracy = follows.accuracy(start_gap, chance)
        net = rates.points_per_h * accuracy - rates.round_points(each) * SECONDS_PER_HOUR / period_s
        found.append(BestPace(each, period_s, follows.excess, accuracy, net))
    if not found:
        raise ValueError(f"periods_s: {list(periods_s)}, expected one of at least a round's length")
    return max(found, key=lambda pace: pace.net_per_h)


def _mean_reciprocal(hessian: Floats, mean: Floats, covariance: Floats, scale: float) -> float:
    """`E 1 / (1 + scale x)` of x = 1/2 e^T A e, e Gaussian: the integral of e^-u E e^(-u scale x) over u.

    E e^(-t x) is a product over the principal axes, (1 + t l)^(-1/2) e^(-t m^2 / (2 (1 + t l))), with l the
    variances of A^(1/2) e and m its means (Mathai and Provost, "Quadratic Forms in Random Variables", 1992).
    """
    values, vectors = np.linalg.eigh(hessian)
    root = (vectors * np.sqrt(values)) @ vectors.T
    spread, axes = np.linalg.eigh(root @ covariance @ root)
    spread, centre = np.maximum(spread, 0.0), axes.T @ (root @ mean)
    nodes, weights = _NODES
    # u = (s / (1 - s))^2 on (0, 1) resolves u near 0, where the transform falls fastest.
    s = (nodes + 1) / 2
    u, stretch = (s / (1 - s)) ** 2, 2 * s / (1 - s) ** 3 / 2
    t = scale * u[:, None]
    log = -0.5 * np.log1p(t * spread) - t * centre**2 / (2 * (1 + t * spread))
    return float(weights @ (stretch * np.exp(log.sum(axis=1) - u)))
