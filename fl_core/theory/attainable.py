"""Certified upper bound on what training on quadratics can earn, whoever decides.

The objective is `F(w) - F* = 1/2 |x|_A^2` with `x = w - w*` and the A-norm `|x|_A = sqrt(x^T A x)`;
accuracy falls in `r = |x|_A`. One round takes x to `x + s sum_k p_k delta_k` with coefficients `p_k >= 0`
of sum at most 1 over those whose updates arrived. Client k with h local steps of size eta and a share theta
of hub rows moves by `delta_k = -(Gamma_k x - q_k)`, where with `M = I - eta ((1 - theta) A_k + theta A)`
and client k's minimiser at `w* + d_k`

    Gamma_k = I - M^h,     q_k = sum_{j<h} eta M^j (1 - theta) A_k d_k.

**Lemma.** Let y be the unit vector `A^(1/2) x / r`, S_k the symmetric part of `A^(1/2) Gamma_k A^(-1/2)` and
`b_k = A^(1/2) q_k`. A norm is at least the projection on y (Cauchy and Schwarz), and a sub-convex
combination at most the larger of 0 and the largest term, so that after the round

    r' >= r - s max(0, max_k g_k(r)),     g_k(r) = max over |y| = 1 of (r y^T S_k y - y^T b_k).

By weak duality `g_k(r) <= mu + b_k^T (mu I - r S_k)^-1 b_k / 4` for every mu above r times the largest
eigenvalue of S_k. `r - s g_k(r)` is a minimum of lines in r: concave, so that chords lie below it, and
nondecreasing where s times that eigenvalue is at most 1. Where it is more we say that the round may reach
the optimum.

**Smaller rates** need no moves of their own. A gradient step at c eta with c <= 1 is 1 - c times standing
still plus c times the step at eta, and both commute, so that h of them are the mean over j ~ Binomial(h, c)
of j steps at eta: a convex combination of moves that are there already and cost no more. Whatever decay the
clients' rate has, the bound at the first round's rate holds.

**Theorem.** A round is at least as expensive as any one of those whose updates arrived in it, and the
maximum over k is one of these. So no sequence of rounds earns more than the best sequence of *single*
clients, each of which takes r down to the lemma's bound at this client's price. That is a shortest path
over r alone, solved on a grid of r with every r rounded down, which only flatters. Who is available, what
is wasted, waits, the price of hub rows (any number of them from the start), budgets, and all randomness but
the clients' gradients, which must be exact, are left out: each of them can only lower what a scheduler
earns.

The bound is not tight: it lets the direction y be the best one in every round, and everybody be there always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from ..quadratics import QuadraticProblem

_CELLS = 1_500
"""Cells of the grid of r, evenly in log r."""
_KNOTS = 10
"""Values of r at which the lemma is computed; chords between them."""
_SMALLEST = 1e-2
"""The lowest cell's end as a share of the start's r; below it the optimum is granted."""
_MOST_STEPS = 96
"""More local steps than so many, at their price, may reach the optimum."""
_MULTIPLIERS = np.array([0.1, 0.2, 0.35, 0.5, 1.0])
"""Trial values of `(mu - r lambda) / |b|`; each gives a valid bound, and the least of them counts."""


@dataclass(frozen=True)
class RoundPrices:
    """The least that a round costs in which a client's update arrives, in accuracy points."""

    fixed: Floats  # [N] whatever it does: overhead, model down and update up
    per_step: Floats  # [N] each local step
    most_steps: Ints  # [N] local steps that end before the deadline


def attainable_points(
    problem: QuadraticProblem,
    prices: RoundPrices,
    learning_rate: float,
    chance: float,
    step: float = 1.0,
) -> float:
    """Net points that no scheduler exceeds; see the module for the proof.

    Args:
        problem: the quadratics of one episode.
        prices: of rounds.
        learning_rate: the clients' eta, the largest of all rounds; their gradients must be exact.
        chance: accuracy at the start; it is `1 / (1 + (1 / chance - 1) gap / gap_0)`, see `QuadraticCore`.
        step: the most that a round's coefficients sum to, times the server's learning rate.

    Returns:
        Accuracy points minus prices, at least 0: nobody has to begin.
    """
    start = float(np.sqrt(2.0 * problem.gap(problem.start)))
    knots = start * np.geomspace(_SMALLEST, 1.0, _KNOTS)
    price, lowest = _cheapest_moves(*_moves(problem, prices, learning_rate, step, knots))
    grid = start * np.geomspace(_SMALLEST, 1.0, _CELLS)
    lower = np.array([np.interp(grid, knots, each) for each in lowest]).reshape(len(price), grid.size)
    lower = np.maximum.accumulate(lower, axis=1)  # what holds at a smaller r holds at a larger one
    # Cell 0 lies below the grid, where the optimum is granted; cell i + 1 begins at grid[i].
    cell = np.searchsorted(grid, lower, side="right")
    gain = 1.0 / (1.0 + (1.0 / chance - 1.0) * (grid / start) ** 2) - chance
    worth = np.empty(grid.size + 1)
    worth[0] = 100.0 * (1.0 - chance)
    for i in range(grid.size):
        useful = cell[:, i] <= i
        best = worth[cell[useful, i]] - price[useful]
        worth[i + 1] = max(100.0 * gain[i], float(best.max(initial=-np.inf)))
    return float(worth[-1])


def _moves(
    problem: QuadraticProblem, prices: RoundPrices, learning_rate: float, step: float, knots: Floats
) -> tuple[Floats, Floats]:
    """Prices `[K]` of all rounds of one client, and the lowest r `[K, knots]` that each can lead to."""
    mean = np.einsum("k,kij->ij", problem.target_weight, problem.hessian)
    values, vectors = np.linalg.eigh(mean)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    offset = problem.centre - problem.optimum()
    price, lowest = [], []
    for k in range(len(problem.hessian)):
        steps = np.arange(1, min(int(prices.most_steps[k]), _MOST_STEPS) + 1)
        rows = np.arange(int(problem.capacity[k] - problem.own[k]) + 1)
        if steps.size:
            share = rows / (problem.own[k] + rows)
            pull = problem.hessian[k] @ offset[k]
            hessian = problem.hessian[k] + share[:, None, None] * (mean - problem.hessian[k])
            s, b = _round(hessian, (1.0 - share)[:, None] * pull, learning_rate, steps, root, inverse)
            lowest.append(_lowest(s, b, step, knots).min(axis=0))
            price.append(prices.fixed[k] + prices.per_step[k] * steps)
        if prices.most_steps[k] > _MOST_STEPS:
            lowest.append(np.zeros((1, knots.size)))
            price.append(prices.fixed[k] + prices.per_step[k] * np.array([_MOST_STEPS + 1.0]))
    if not price:
        return np.zeros(0), np.zeros((0, knots.size))
    return np.concatenate(price), np.concatenate(lowest)


def _round(
    hessian: Floats, pull: Floats, learning_rate: float, steps: Ints, root: Floats, inverse: Floats
) -> tuple[Floats, Floats]:
    """The lemma's S `[R, T, d, d]` and b `[R, T, d]` of a client with R hub shares and T numbers of steps.

    Args:
        hessian: `[R, d, d]`, of what it trains on.
        pull: `[R, d]`, `(1 - theta) A_k d_k`.
        learning_rate: eta.
        steps: `[T]`.
        root: `[d, d]`, A^(1/2).
        inverse: `[d, d]`, A^(-1/2).
    """
    values, vectors = np.linalg.eigh(hessian)
    progress = 1.0 - (1.0 - learning_rate * values)[:, None, :] ** steps[:, None]
    left, right = root @ vectors, np.swapaxes(vectors, 1, 2) @ inverse
    gain = np.einsum("rim,rtm,rmj->rtij", left, progress, right, optimize=True)
    along = np.einsum("rmi,rm->ri", vectors, pull)
    shift = np.einsum("rim,rtm,rm->rti", left, progress / values[:, None, :], along, optimize=True)
    return (gain + np.swapaxes(gain, 2, 3)) / 2.0, shift


def _lowest(s: Floats, b: Floats, step: float, knots: Floats) -> Floats:
    """The lemma's lower bounds of r' `[..., knots]`, from every knot; S `[..., d, d]`, b `[..., d]`."""
    values, vectors = np.linalg.eigh(s)
    square = np.einsum("...im,...i->...m", vectors, b) ** 2
    length, top = np.sqrt(square.sum(axis=-1)), values[..., -1]
    least = np.full((*top.shape, knots.size), np.inf)
    for share in _MULTIPLIERS:
        above = share * np.maximum(length, 1e-12)
        mu = knots * top[..., None] + above[..., None]
        slack = mu[..., None] - knots[:, None] * values[..., None, :]
        least = np.minimum(least, mu + (square[..., None, :] / slack).sum(axis=-1) / 4.0)
    lower = np.maximum(knots - step * np.maximum(least, 0.0), 0.0)
    return np.where((step * top <= 1.0)[..., None], lower, 0.0)


def _cheapest_moves(price: Floats, lowest: Floats) -> tuple[Floats, Floats]:
    """Without the moves that a move at most as expensive leaves nothing to."""
    order = np.argsort(price, kind="stable")
    kept: list[int] = []
    for move in order.tolist():
        if not (lowest[kept] <= lowest[move]).all(axis=1).any():
            kept.append(move)
    return price[kept], lowest[kept]
