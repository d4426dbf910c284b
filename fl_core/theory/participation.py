"""Participation itself: effective weights, distances, two-state availability chains, exact sampling.

Nothing here needs to know the objective; `theory` puts it together with one. Alpha are the target weights, pi
the long-run availabilities, lambda the correlation of a client's availability from one round to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints


def effective_weights(omega: Floats, probability: Floats | None = None) -> Floats:
    """The objective that a participation pattern really minimises: `p_k ~ E[omega_k 1{k takes part}]`.

    Args:
        omega: `[T, N]`, aggregation coefficients in T rounds or states, 0 where absent.
        probability: `[T]` of the states; None = equally likely (an observed history).

    Returns:
        `[N]`, sums to 1.

    Raises:
        ValueError: if nobody ever takes part.
    """
    mean = np.asarray(omega).mean(axis=0) if probability is None else probability @ np.asarray(omega)
    if not mean.sum() > 0:
        raise ValueError("omega: all zero; nobody ever takes part, so there is no effective objective")
    return np.asarray(mean / mean.sum())


def total_variation(alpha: Floats, p: Floats) -> float:
    """`1/2 sum |alpha_k - p_k|`."""
    return float(0.5 * np.abs(alpha - p).sum())


def chi_square(alpha: Floats, p: Floats) -> float:
    """`sum (alpha_k - p_k)^2 / p_k`, infinite if a client with weight never takes part."""
    difference = np.asarray(alpha - p)
    if np.any((p <= 0) & (difference != 0)):
        return float("inf")
    some = p > 0
    return float((difference[some] ** 2 / p[some]).sum())


def correlation_factor(memory: Floats) -> Floats:
    """`(1 + lambda) / (1 - lambda)`: how much longer correlated rounds take to average out."""
    return (1 + memory) / (1 - memory)


def variance_proxy(alpha: Floats, rate: Floats) -> float:
    """`sum alpha_k^2 / r_k`, what F3AST's rates minimise (Ribero, Vikalo and de Veciana, 2023)."""
    return float((alpha**2 / rate).sum())


def stay_probability(availability: Floats, memory: Floats, slots: int) -> Floats:
    """Probability of being on for `slots` slots in a row: `pi (lambda + (1 - lambda) pi)^(n - 1)`."""
    return availability * (memory + (1 - memory) * availability) ** (slots - 1)


def mean_run_slots(availability: Floats, memory: Floats) -> tuple[Floats, Floats]:
    """Mean lengths in slots of uninterrupted presence and of absence."""
    return 1 / ((1 - memory) * (1 - availability)), 1 / ((1 - memory) * availability)


def availability_forecast(availability: Floats, memory: Floats, slots: int, now: Bools) -> Floats:
    """Probability of being on in `slots` slots given who is on now: `pi + (1{on} - pi) lambda^n`."""
    return availability + (now - availability) * memory**slots


def estimate_chains(history: Bools) -> tuple[Floats, Floats]:
    """Availability and memory of each client from an observed history.

    Args:
        history: bool `[T, N]`, T >= 2 rounds in order.

    Returns:
        pi and lambda, each `[N]`; lambda is 0 where a client never changed.
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
        weights: `[N]`, effective weights p.
        total_variation: distance of p from the target weights.
        chi_square: chi^2(alpha || p).
        rate: `[N]`, share of the rounds each client took part in.
        memory: `[N]`, correlation of its participation from round to round.
        fairness: Jain's index of the rates, 1 = everybody equally often.
        variance_factor: `sum alpha_k^2 (1 - r_k)/r_k (1 + lambda_k)/(1 - lambda_k)`, by which unequal and
            bunched participation inflates the variance of unbiased weights; over clients that took part.
    """

    weights: Floats
    total_variation: float
    chi_square: float
    rate: Floats
    memory: Floats
    fairness: float
    variance_factor: float


def summarise_participation(alpha: Floats, omega: Floats, participated: Bools) -> ParticipationSummary:
    """Summarise a history of rounds, from a world or a deployment.

    Args:
        alpha: `[N]`, target weights.
        omega: `[T, N]`, coefficients used, 0 where absent.
        participated: bool `[T, N]`, whose updates arrived, T >= 2.

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


def systematic_sample(marginals: Floats, rng: np.random.Generator) -> Ints:
    """Draw a set in which k occurs with probability `marginals[k]` exactly (Madow 1949).

    Args:
        marginals: `[N]` in [0, 1], summing to a whole number m.
        rng: source of the one uniform number needed.

    Returns:
        Indices of the m members.

    Raises:
        ValueError: if the marginals are not probabilities or do not sum to a whole number.
    """
    marginals = np.asarray(marginals, dtype=np.float64)
    total = marginals.sum()
    if np.any((marginals < 0) | (marginals > 1)) or abs(total - round(total)) > 1e-9:
        raise ValueError(f"marginals: sum {total:g}; expected numbers in [0, 1] with a whole sum")
    marks = np.concatenate([[0.0], np.cumsum(marginals)])
    marks[-1] = round(total)
    steps = np.floor(marks - rng.random())
    return np.flatnonzero(steps[1:] > steps[:-1])
