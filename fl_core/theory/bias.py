"""What a participation pattern does to the objective: bias, variance, and the price of correlation.

The notation is that of `participation`. Formulas are checked against exact oracles (`fixed_points`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats
from ..quadratics import QuadraticProblem
from .participation import chi_square, correlation_factor, total_variation


@dataclass(frozen=True)
class BiasBounds:
    """Excess loss `F(w_B) - F*` at the minimiser w_B of the effective objective, and its upper bounds."""

    exact: float  # the excess itself
    by_total_variation: float  # `4 kappa TV^2 max_k (F_k(w_B) - F_k*)`
    by_chi_square: float  # `kappa chi^2 (F_B* - sum_k p_k F_k*)`
    kappa: float  # condition number L / mu


def bias_bounds(problem: QuadraticProblem, p: Floats) -> BiasBounds:
    """Bias of training with effective weights p on quadratics (F_k* = 0), with both bounds.

    They follow from `F(w) - F* <= |grad F(w)|^2 / (2 mu)`, from
    `grad F(w_B) = sum (alpha_k - p_k) grad F_k(w_B)` and from `|grad F_k|^2 <= 2 L (F_k - F_k*)`; compare
    Rodio et al., "Federated Learning under Heterogeneous and Correlated Client Availability" (2023), whose
    constants are larger.

    Args:
        problem: the quadratics.
        p: `[N]` effective weights.

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


def distance_to_target(problem: QuadraticProblem, p: Floats, w: Floats) -> tuple[float, float, float]:
    """Excess `F(w) - F*` at any w, and its two decompositions into optimisation error and bias.

    Returns:
        The excess, `2 kappa^2 (F_B(w) - F_B*) + 8 kappa TV^2 Gamma'` and
        `2 kappa^2 (F_B(w) - F_B*) + 2 kappa chi^2 Gamma_B`.
    """
    bounds = bias_bounds(problem, p)
    error = problem.loss(w, p) - problem.loss(problem.optimum(p), p)
    optimisation = 2 * bounds.kappa**2 * error
    return (
        problem.gap(w),
        optimisation + 2 * bounds.by_total_variation,
        optimisation + 2 * bounds.by_chi_square,
    )


def participation_price(
    problem: QuadraticProblem,
    availability: Floats,
    memory: Floats,
    learning_rate: float,
    steps: int = 1,
    noise_variance: float = 0.0,
) -> float:
    """Small-step excess loss of unbiased weights `alpha_k / pi_k` under Markov availability.

    `(eta H / 4) sum_k alpha_k^2 [(1 - pi_k)/pi_k (1 + lambda_k)/(1 - lambda_k) |grad F_k(w*)|^2 + s_k / H]`
    with `s_k = d * noise_variance / pi_k`, for independent two-state chains. It over-estimates where
    `eta mu / (1 - lambda)` is not small.

    Args:
        problem: the quadratics.
        availability: `[N]`, pi.
        memory: `[N]`, lambda.
        learning_rate: eta.
        steps: local steps H.
        noise_variance: variance of each coordinate of each local gradient.

    Returns:
        Predicted `E F - F*`.
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
    coefficient: Floats,
    availability: Floats,
    memory: Floats,
    learning_rate: float,
    steps: int = 1,
) -> tuple[float, float]:
    """Small-step bias and variance of fixed coefficients q_k for whoever is available.

    The model settles around w_B, the minimiser of `sum_k q_k pi_k F_k`, with the covariance S that solves
    `A S + S A = eta H sum_k q_k^2 pi_k (1 - pi_k) (1 + lambda_k)/(1 - lambda_k) g_k g_k^T`, where A is the
    Hessian of that objective and g_k the gradients at w_B. `participation_price` is the case q = alpha / pi.

    Args:
        problem: the quadratics.
        coefficient: `[N]`, q.
        availability: `[N]`, pi.
        memory: `[N]`, lambda.
        learning_rate: eta.
        steps: local steps H.

    Returns:
        `F(w_B) - F*` and `tr(Hessian of F, S) / 2`; their sum predicts `E F - F*`.
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
    alpha: Floats,
    availability: Floats,
    memory: Floats,
    gradient_norm: Floats,
    shared_share: Floats,
    learning_rate: float,
    steps: int = 1,
) -> Floats:
    """Marginal value of moving data: how fast `participation_price` falls per unit of shared share.

    Mixing a share theta of everybody's data into client k turns `grad F_k(w*)` into `(1 - theta)` times
    itself, hence its term of the price into `(1 - theta)^2` times itself.

    Args:
        alpha: `[N]` target weights.
        availability: `[N]`, pi.
        memory: `[N]`, lambda.
        gradient_norm: `[N]`, length of each client's own gradient near the optimum.
        shared_share: `[N]`, theta now.
        learning_rate: eta.
        steps: local steps H.

    Returns:
        `[N]`, expected loss saved per unit of theta.
    """
    absence = (1 - availability) / availability * correlation_factor(memory)
    price = learning_rate * steps / 4 * alpha**2 * absence * gradient_norm**2
    return 2 * (1 - shared_share) * price


def selection_skew(problem: QuadraticProblem, selected: Bools, at: Floats) -> float:
    """Selection skew of Cho, Wang and Joshi ("Towards Understanding Biased Client Selection", AISTATS 2022).

    `rho = E[mean over the selected of F_k(w) - F_k*] / (F(w) - sum_k alpha_k F_k*)`; 1 = unbiased, above
    1 = clients with large losses are preferred, which converges faster to a floor further away.

    Args:
        problem: the quadratics.
        selected: bool `[T, N]`, who was selected in T draws; rows with nobody are ignored.
        at: `[d]`, where the losses are measured.

    Returns:
        The skew.
    """
    losses = problem.client_losses(at)
    some = selected.any(axis=1)
    mean = (selected[some] @ losses) / selected[some].sum(axis=1)
    return float(mean.mean() / (problem.target_weight @ losses))
