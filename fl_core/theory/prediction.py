"""What a recorded history of rounds predicts on quadratics: bias, variance and the way there.

A scheduler's participation is whatever it is: correlated, bunched, of fixed size, with rows sent along. Here
it is taken from a record, and only its first two moments over time are used. The prediction is thus not
a replay: the order of the rounds matters through autocovariances alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ..quadratics import QuadraticProblem
from .bias import BiasBounds, bias_bounds, participation_price
from .fixed_points import affine_rounds, expected_gap
from .participation import effective_weights, estimate_chains


@dataclass(frozen=True)
class RoundHistory:
    """The T rounds of one environment in which somebody's update arrived."""

    omega: Floats  # [T, N] coefficients in the server's step, 0 where absent
    steps: Ints  # [T, N] local steps, 0 where absent
    shared: Floats  # [T, N] share of hub rows in what a client trained on, 0 where absent

    @property
    def participated(self) -> Bools:
        """`[T, N]`, who took part in which round."""
        return self.steps > 0

    def coefficients(self, alpha: Floats) -> Floats:
        """`[T, N]`, each client's pull on the model for small steps.

        A client pulls `omega_k H_k` times; the part of it that hub rows make pulls towards everybody's
        objective, whose weights are alpha.
        """
        pull = self.omega * self.steps
        return np.asarray(pull * (1 - self.shared) + (pull * self.shared).sum(axis=1, keepdims=True) * alpha)


@dataclass(frozen=True)
class ObservedPrediction:
    """Predicted excess losses `F - F*` of training with a recorded participation.

    Attributes:
        bounds: bias at the minimiser of the effective objective, for small steps, with its upper bounds.
        drift_gap: bias where the mean model settles, drift of several local steps included.
        variance: excess caused by the rounds' scatter around the mean model, in the long run.
        price: `participation_price` of unbiased weights with the same rates and memories and independent
            clients; nan if somebody never took part.
        average_gap: of the average of the second half's models, what scatter is left in it included.
        mean_gap: mean over the second half of the rounds, scatter included.
        final_gap: after the last round, scatter included.
    """

    bounds: BiasBounds
    drift_gap: float
    variance: float
    price: float
    average_gap: float
    mean_gap: float
    final_gap: float


def long_run_covariance(series: Floats, lags: int | None = None) -> Floats:
    """Sum of a series' autocovariances over all lags, with Bartlett's weights (Newey and West 1987).

    Args:
        series: `[T, d]`.
        lags: largest lag; None = the square root of T.

    Returns:
        `[d, d]`, positive semidefinite.
    """
    centred = series - series.mean(axis=0)
    count = len(centred)
    lags = min(count - 1, round(np.sqrt(count)) if lags is None else lags)
    total: Floats = centred.T @ centred / count
    for lag in range(1, lags + 1):
        covariance = centred[lag:].T @ centred[:-lag] / count
        total = total + (1 - lag / (lags + 1)) * (covariance + covariance.T)
    return total


def predict(
    problem: QuadraticProblem,
    history: RoundHistory,
    learning_rate: float,
    server_learning_rate: float = 1.0,
    noise_variance: float = 0.0,
) -> ObservedPrediction:
    """Predict what a recorded participation does to training on quadratics.

    The mean model follows `w <- w - lr_s sum_k E[omega_k] B_k (w - c_k)` from the problem's start, with
    the contractions B of `fixed_points` at each client's mean number of local steps and mean share of hub
    rows. Its scatter S solves `S = (I - M) S (I - M)^T + C`, with M the mean gain and C the long-run
    covariance of the server's step at the fixed point. What correlated participation does to the mean itself
    is of the order of the learning rate and left out.

    Args:
        problem: the quadratics.
        history: the rounds, at least 2.
        learning_rate: the clients' eta.
        server_learning_rate: lr_s.
        noise_variance: variance of each coordinate of each local gradient.

    Returns:
        The predictions.

    Raises:
        ValueError: if there are fewer than 2 rounds.
    """
    rounds = len(history.omega)
    if rounds < 2:
        raise ValueError(f"history: {rounds} round(s) with an update; expected at least 2")
    alpha = problem.target_weight
    pull = history.coefficients(alpha)
    count = np.maximum(1, history.participated.sum(axis=0))
    steps = np.round(history.steps.sum(axis=0) / count).astype(np.int64)
    mixed = _with_shared_rows(problem, history.shared.sum(axis=0) / count)
    omega = server_learning_rate * history.omega
    each = affine_rounds(mixed, omega, learning_rate, steps.tolist(), noise_variance)
    gain, shift = each.gain.mean(axis=0), each.shift.mean(axis=0)
    settled = np.linalg.solve(gain, shift)
    series = each.shift - np.einsum("tij,j->ti", each.gain, settled)
    covariance = long_run_covariance(series) + each.noise.mean(axis=0)
    variance = _excess(problem, settled, _scatter(gain, covariance))
    path = _mean_path(problem.start, settled, gain, rounds)
    late = path[rounds // 2 :]
    inverse = np.linalg.inv(gain)
    averaged = _excess(problem, settled, inverse @ covariance @ inverse.T / len(late))
    return ObservedPrediction(
        bias_bounds(problem, effective_weights(pull)),
        problem.gap(settled),
        variance,
        _price(problem, history, learning_rate * server_learning_rate, noise_variance),
        problem.gap(late.mean(axis=0)) + min(averaged, variance),  # the former holds for long stretches
        float(np.mean([problem.gap(w) for w in late])) + variance,
        problem.gap(path[-1]) + variance,
    )


def _price(problem: QuadraticProblem, history: RoundHistory, rate: float, noise_variance: float) -> float:
    """`participation_price` at the recorded rates and memories; nan if somebody never took part."""
    seen, memory = estimate_chains(history.participated)
    if not (seen > 0).all():
        return float("nan")
    steps = round(float(history.steps[history.participated].mean()))
    return participation_price(problem, seen, memory, rate, steps, noise_variance)


def _with_shared_rows(problem: QuadraticProblem, share: Floats) -> QuadraticProblem:
    """The clients' objectives once a share of their rows is a sample of everybody's."""
    own, alpha = 1 - share, problem.target_weight
    linear = np.einsum("kij,kj->ki", problem.hessian, problem.centre)
    hessian = own[:, None, None] * problem.hessian
    hessian = hessian + share[:, None, None] * np.einsum("k,kij->ij", alpha, problem.hessian)
    mixed = own[:, None] * linear + share[:, None] * (alpha @ linear)
    return replace(problem, hessian=hessian, centre=np.linalg.solve(hessian, mixed[..., None])[..., 0])


def _excess(problem: QuadraticProblem, mean: Floats, covariance: Floats) -> float:
    """What scatter around a mean model adds to the expected loss."""
    return expected_gap(problem, mean, covariance + np.outer(mean, mean)) - problem.gap(mean)


def _scatter(gain: Floats, covariance: Floats) -> Floats:
    """The S of `S = (I - M) S (I - M)^T + C`."""
    keep = np.eye(len(gain)) - gain
    system = np.eye(gain.size) - np.kron(keep, keep)
    return np.asarray(np.linalg.solve(system, covariance.ravel()).reshape(gain.shape))


def _mean_path(start: Floats, settled: Floats, gain: Floats, rounds: int) -> Floats:
    """Mean model after each round, `[T, d]`."""
    keep, offset, path = np.eye(len(gain)) - gain, start - settled, np.empty((rounds, start.size))
    for t in range(rounds):
        offset = keep @ offset
        path[t] = settled + offset
    return path
