"""What a participation pattern does to the objective: bias, variance, and the price of correlation.

The notation is that of the literature on federated learning under client availability: alpha are the target
weights, pi the long-run availabilities, lambda the correlation of a client's availability from one round to
the next, p the effective weights. Bounds and formulas are checked against exact oracles (`fixed_points`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .quadratic import QuadraticProblem

FloatArray = NDArray[np.float64]


def effective_weights(omega: FloatArray, probability: FloatArray | None = None) -> FloatArray:
    """The objective that a participation pattern really minimises: ``p_k ~ E[omega_k 1{k takes part}]``.

    Args:
        omega: ``float64 [T, N]``, aggregation coefficients in T rounds or states, 0 where absent.
        probability: ``float64 [T]`` of the states; None = equally likely (an observed history).

    Returns:
        ``float64 [N]``, sums to 1.

    Raises:
        ValueError: If nobody ever takes part.
    """
    mean = np.asarray(omega).mean(axis=0) if probability is None else probability @ np.asarray(omega)
    if not mean.sum() > 0:
        raise ValueError("omega: all zero; nobody ever takes part, so there is no effective objective")
    return mean / mean.sum()


def total_variation(alpha: FloatArray, p: FloatArray) -> float:
    """``1/2 sum |alpha_k - p_k|``."""
    return float(0.5 * np.abs(alpha - p).sum())


def chi_square(alpha: FloatArray, p: FloatArray) -> float:
    """``sum (alpha_k - p_k)^2 / p_k``, infinite if a client with weight never takes part."""
    difference = np.asarray(alpha - p)
    if np.any((p <= 0) & (difference != 0)):
        return float("inf")
    present = p > 0
    return float((difference[present] ** 2 / p[present]).sum())


@dataclass(frozen=True)
class BiasBounds:
    """Excess loss ``F(w_B) - F*`` at the minimiser w_B of the effective objective, and its upper bounds.

    Attributes:
        exact: The excess itself.
        by_total_variation: ``4 kappa TV^2 max_k (F_k(w_B) - F_k*)``.
        by_chi_square: ``kappa chi^2 (F_B* - sum_k p_k F_k*)``.
        kappa: Condition number L / mu.
    """

    exact: float
    by_total_variation: float
    by_chi_square: float
    kappa: float


def bias_bounds(problem: QuadraticProblem, p: FloatArray) -> BiasBounds:
    """Bias of training with effective weights p on quadratics (F_k* = 0), with both bounds.

    They follow from ``F(w) - F* <= |grad F(w)|^2 / (2 mu)``, from
    ``grad F(w_B) = sum (alpha_k - p_k) grad F_k(w_B)`` and from ``|grad F_k|^2 <= 2 L (F_k - F_k*)``; compare
    Rodio et al., "Federated Learning under Heterogeneous and Correlated Client Availability" (2023), whose
    constants are larger.

    Args:
        problem: The quadratics.
        p: ``float64 [N]`` effective weights.

    Returns:
        Exact bias and bounds.
    """
    spectrum = np.linalg.eigvalsh(problem.hessian)
    kappa = float(spectrum.max() / spectrum.min())
    biased = problem.optimum(p)
    worst = float(problem.client_losses(biased).max())
    alpha = problem.target_weight
    return BiasBounds(
        problem.gap(biased),
        4 * kappa * total_variation(alpha, p) ** 2 * worst,
        kappa * chi_square(alpha, p) * problem.loss(biased, p),
        kappa,
    )


def distance_to_target(problem: QuadraticProblem, p: FloatArray, w: FloatArray) -> tuple[float, float, float]:
    """Excess ``F(w) - F*`` at any w, and its two decompositions into optimisation error and bias.

    Returns:
        The excess, ``2 kappa^2 (F_B(w) - F_B*) + 8 kappa TV^2 Gamma'`` and
        ``2 kappa^2 (F_B(w) - F_B*) + 2 kappa chi^2 Gamma_B``.
    """
    bounds = bias_bounds(problem, p)
    error = problem.loss(w, p) - problem.loss(problem.optimum(p), p)
    optimisation = 2 * bounds.kappa**2 * error
    return (
        problem.gap(w),
        optimisation + 2 * bounds.by_total_variation,
        optimisation + 2 * bounds.by_chi_square,
    )


def correlation_factor(memory: FloatArray) -> FloatArray:
    """``(1 + lambda) / (1 - lambda)``: how much longer correlated rounds take to average out."""
    return (1 + memory) / (1 - memory)


def participation_price(
    problem: QuadraticProblem,
    availability: FloatArray,
    memory: FloatArray,
    learning_rate: float,
    steps: int = 1,
    noise_variance: float = 0.0,
) -> float:
    """Small-step excess loss of unbiased weights ``alpha_k / pi_k`` under Markov availability.

    ``(eta H / 4) sum_k alpha_k^2 [(1 - pi_k)/pi_k (1 + lambda_k)/(1 - lambda_k) |grad F_k(w*)|^2 + s_k / H]``
    with ``s_k = d * noise_variance / pi_k``, for independent two-state chains. It over-estimates where
    ``eta mu / (1 - lambda)`` is not small.

    Args:
        problem: The quadratics.
        availability: ``float64 [N]``, pi.
        memory: ``float64 [N]``, lambda.
        learning_rate: eta.
        steps: Local steps H.
        noise_variance: Variance of each coordinate of each local gradient.

    Returns:
        Predicted ``E F - F*``.
    """
    alpha = problem.target_weight
    best = problem.optimum()
    gradient = np.einsum("kij,kj->ki", problem.hessian, best - problem.centre)
    absence = (1 - availability) / availability * correlation_factor(memory)
    noise = noise_variance * best.size / steps / availability
    price = (alpha**2 * (absence * (gradient**2).sum(axis=1) + noise)).sum()
    return float(learning_rate * steps / 4 * price)


def predicted_gap(
    problem: QuadraticProblem,
    coefficient: FloatArray,
    availability: FloatArray,
    memory: FloatArray,
    learning_rate: float,
    steps: int = 1,
) -> tuple[float, float]:
    """Small-step bias and variance of fixed coefficients q_k for whoever is there.

    The model settles around w_B, the minimiser of ``sum_k q_k pi_k F_k``, with the covariance S that solves
    ``A S + S A = eta H sum_k q_k^2 pi_k (1 - pi_k) (1 + lambda_k)/(1 - lambda_k) g_k g_k^T``, where A is the
    Hessian of that objective and g_k the gradients at w_B. `participation_price` is the case q = alpha / pi.

    Args:
        problem: The quadratics.
        coefficient: ``float64 [N]``, q.
        availability: ``float64 [N]``, pi.
        memory: ``float64 [N]``, lambda.
        learning_rate: eta.
        steps: Local steps H.

    Returns:
        ``F(w_B) - F*`` and ``tr(Hessian of F, S) / 2``; their sum predicts ``E F - F*``.
    """
    mean = coefficient * availability
    centre = problem.optimum(mean / mean.sum())
    gradient = np.einsum("kij,kj->ki", problem.hessian, centre - problem.centre)
    spread = coefficient**2 * availability * (1 - availability) * correlation_factor(memory)
    right = learning_rate * steps * np.einsum("k,ki,kj->ij", spread, gradient, gradient)
    hessian = np.einsum("k,kij->ij", mean, problem.hessian)
    identity = np.eye(centre.size)
    system = np.kron(hessian, identity) + np.kron(identity, hessian)
    covariance = np.linalg.solve(system, right.ravel()).reshape(right.shape)
    target = np.einsum("k,kij->ij", problem.target_weight, problem.hessian)
    return problem.gap(centre), float(0.5 * np.trace(target @ covariance))


def transfer_value(
    alpha: FloatArray,
    availability: FloatArray,
    memory: FloatArray,
    gradient_norm: FloatArray,
    shared_share: FloatArray,
    learning_rate: float,
    steps: int = 1,
) -> FloatArray:
    """Marginal value of moving data: how fast `participation_price` falls per unit of shared share.

    Mixing a share theta of everybody's data into client k turns ``grad F_k(w*)`` into ``(1 - theta)`` times
    itself, hence its term of the price into ``(1 - theta)^2`` times itself.

    Args:
        alpha: ``float64 [N]`` target weights.
        availability: ``float64 [N]``, pi.
        memory: ``float64 [N]``, lambda.
        gradient_norm: ``float64 [N]``, length of each client's own gradient near the optimum.
        shared_share: ``float64 [N]``, theta now.
        learning_rate: eta.
        steps: Local steps H.

    Returns:
        ``float64 [N]``, expected loss saved per unit of theta.
    """
    absence = (1 - availability) / availability * correlation_factor(memory)
    price = learning_rate * steps / 4 * alpha**2 * absence * gradient_norm**2
    return 2 * (1 - shared_share) * price


def selection_skew(problem: QuadraticProblem, selected: NDArray[np.bool_], at: FloatArray) -> float:
    """Selection skew of Cho, Wang and Joshi ("Towards Understanding Biased Client Selection", AISTATS 2022).

    ``rho = E[mean over the selected of F_k(w) - F_k*] / (F(w) - sum_k alpha_k F_k*)``; 1 = unbiased, above
    1 = clients with large losses are preferred, which converges faster to a floor further away.

    Args:
        problem: The quadratics.
        selected: ``bool [T, N]``, who was selected in T draws; rows with nobody are ignored.
        at: ``float64 [d]``, where the losses are measured.

    Returns:
        The skew.
    """
    losses = problem.client_losses(at)
    some = selected.any(axis=1)
    mean = (selected[some] @ losses) / selected[some].sum(axis=1)
    return float(mean.mean() / (problem.target_weight @ losses))


def variance_proxy(alpha: FloatArray, rate: FloatArray) -> float:
    """``sum alpha_k^2 / r_k``, what F3AST's rates minimise (Ribero, Vikalo and de Veciana, 2023)."""
    return float((alpha**2 / rate).sum())


def stay_probability(availability: FloatArray, memory: FloatArray, slots: int) -> FloatArray:
    """Probability of being on for ``slots`` slots in a row: ``pi (lambda + (1 - lambda) pi)^(n - 1)``."""
    return availability * (memory + (1 - memory) * availability) ** (slots - 1)


def mean_run_slots(availability: FloatArray, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean lengths in slots of uninterrupted presence and of absence."""
    return 1 / ((1 - memory) * (1 - availability)), 1 / ((1 - memory) * availability)


def availability_forecast(
    availability: FloatArray, memory: FloatArray, slots: int, now: NDArray[np.bool_]
) -> FloatArray:
    """Probability of being on in ``slots`` slots given who is on now: ``pi + (1{on} - pi) lambda^n``."""
    return availability + (now - availability) * memory**slots


def estimate_chains(history: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Availability and memory of each client from an observed history.

    Args:
        history: ``bool [T, N]``, T >= 2 rounds in order.

    Returns:
        pi and lambda, each ``float64 [N]``; lambda is 0 where a client never changed.
    """
    seen = np.asarray(history, dtype=np.float64)
    pi = seen.mean(axis=0)
    centred = seen - pi
    variance = (centred**2).mean(axis=0)
    covariance = (centred[1:] * centred[:-1]).mean(axis=0)
    memory = np.divide(covariance, variance, out=np.zeros_like(pi), where=variance > 0)
    return pi, np.clip(memory, -0.999, 0.999)


@dataclass(frozen=True)
class ParticipationSummary:
    """What a recorded participation pattern means for the objective.

    Attributes:
        weights: ``float64 [N]``, effective weights p.
        total_variation: Distance of p from the target weights.
        chi_square: chi^2(alpha || p).
        rate: ``float64 [N]``, share of the rounds each client took part in.
        memory: ``float64 [N]``, correlation of its participation from round to round.
        fairness: Jain's index of the rates, 1 = everybody equally often.
        variance_factor: ``sum alpha_k^2 (1 - r_k)/r_k (1 + lambda_k)/(1 - lambda_k)``, by which unequal and
            bunched participation inflates the variance of unbiased weights; over clients that took part.
    """

    weights: FloatArray
    total_variation: float
    chi_square: float
    rate: FloatArray
    memory: FloatArray
    fairness: float
    variance_factor: float


def summarise_participation(
    alpha: FloatArray, omega: FloatArray, participated: NDArray[np.bool_]
) -> ParticipationSummary:
    """Summarises a history of rounds, from a world or a deployment.

    Args:
        alpha: ``float64 [N]``, target weights.
        omega: ``float64 [T, N]``, coefficients used, 0 where absent.
        participated: ``bool [T, N]``, whose updates arrived, T >= 2.

    Returns:
        Predicted bias and variance figures.
    """
    p = effective_weights(omega)
    rate, memory = estimate_chains(participated)
    seen = rate > 0
    absence = (1 - rate[seen]) / rate[seen] * correlation_factor(memory[seen])
    return ParticipationSummary(
        p,
        total_variation(alpha, p),
        chi_square(alpha, p),
        rate,
        memory,
        float(rate.sum() ** 2 / (rate.size * (rate**2).sum())),
        float((alpha[seen] ** 2 * absence).sum()),
    )


def systematic_sample(marginals: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draws a set in which k occurs with probability ``marginals[k]`` exactly (Madow 1949).

    Args:
        marginals: ``float64 [N]`` in [0, 1], summing to a whole number m.
        rng: Source of the one uniform number needed.

    Returns:
        Indices of the m members.

    Raises:
        ValueError: If the marginals are not probabilities or do not sum to a whole number.
    """
    marginals = np.asarray(marginals, dtype=np.float64)
    total = marginals.sum()
    if np.any((marginals < 0) | (marginals > 1)) or abs(total - round(total)) > 1e-9:
        raise ValueError(f"marginals: sum {total:g}; expected numbers in [0, 1] with a whole sum")
    marks = np.concatenate([[0.0], np.cumsum(marginals)])
    marks[-1] = round(total)
    steps = np.floor(marks - rng.random())
    return np.flatnonzero(steps[1:] > steps[:-1])
