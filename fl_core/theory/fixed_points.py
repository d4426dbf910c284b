"""Where federated training on quadratics ends up: exact means and covariances for a participation process.

With local gradient descent on quadratics every round is an affine map `w <- (I - G_s) w + g_s` of the
server's model, where s says who takes part. For independent rounds, cycles and Markov chains the stationary
moments are solutions of linear equations. These are the oracles that simulations are tested against.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats
from ..quadratics import QuadraticProblem


@dataclass(frozen=True)
class AffineRounds:
    """The server's map in each of S participation states."""

    gain: Floats  # [S, d, d] G_s
    shift: Floats  # [S, d] g_s
    noise: Floats  # [S, d, d] covariance of the aggregated gradient noise


@dataclass(frozen=True)
class ParticipationChain:
    """A Markov chain over who is available."""

    states: Bools  # [S, N]
    transition: Floats  # [S, S] row-stochastic
    stationary: Floats  # [S]


def contraction(problem: QuadraticProblem, learning_rate: float, steps: int | Sequence[int]) -> Floats:
    """`B_k = I - (I - eta A_k)^H_k`: local training moves a client by `-B_k (w - c_k)`.

    Args:
        problem: the quadratics.
        learning_rate: eta.
        steps: H, one for all or one per client.

    Returns:
        `[N, d, d]`.
    """
    n, d = problem.centre.shape
    counts = np.broadcast_to(np.asarray(steps), (n,))
    identity = np.eye(d)
    powers = [
        np.linalg.matrix_power(identity - learning_rate * a, int(h))
        for a, h in zip(problem.hessian, counts, strict=True)
    ]
    return np.asarray(identity - np.array(powers))


def affine_rounds(
    problem: QuadraticProblem,
    omega: Floats,
    learning_rate: float,
    steps: int | Sequence[int] = 1,
    noise_variance: float = 0.0,
) -> AffineRounds:
    """The server's map for each row of aggregation coefficients.

    Args:
        problem: the quadratics.
        omega: `[S, N]`, coefficients in each state (0 = absent).
        learning_rate: eta.
        steps: local steps H.
        noise_variance: variance of each coordinate of each local gradient.

    Returns:
        Gains, shifts and noise covariances.
    """
    b = contraction(problem, learning_rate, steps)
    n, d = problem.centre.shape
    spread = np.zeros((n, d, d))
    if noise_variance > 0:
        counts = np.broadcast_to(np.asarray(steps), (n,))
        for k in range(n):
            decay = np.eye(d) - learning_rate * problem.hessian[k]
            powers = [np.linalg.matrix_power(decay, 2 * h) for h in range(int(counts[k]))]
            spread[k] = learning_rate**2 * noise_variance * np.sum(powers, axis=0)
    return AffineRounds(
        np.einsum("sk,kij->sij", omega, b),
        np.einsum("sk,kij,kj->si", omega, b, problem.centre),
        np.einsum("sk,kij->sij", omega**2, spread),
    )


def independent_fixed_point(
    problem: QuadraticProblem, mean_omega: Floats, learning_rate: float, steps: int | Sequence[int] = 1
) -> Floats:
    """Stationary mean of the model when rounds are independent: `(sum p_k B_k)^-1 sum p_k B_k c_k`.

    Args:
        problem: the quadratics.
        mean_omega: `[N]`, expected coefficient of each client, proportional to p.
        learning_rate: eta.
        steps: local steps H.

    Returns:
        `[d]`. With H = 1 this is the minimiser of `sum p_k F_k`.
    """
    rounds = affine_rounds(problem, mean_omega[None], learning_rate, steps)
    return np.linalg.solve(rounds.gain[0], rounds.shift[0])


def cyclic_fixed_point(rounds: AffineRounds) -> Floats:
    """Model at the end of each cycle when the states take turns in their order: `[d]`."""
    d = rounds.shift.shape[1]
    matrix, vector = np.eye(d), np.zeros(d)
    for gain, shift in zip(rounds.gain, rounds.shift, strict=True):
        matrix = matrix - gain @ matrix
        vector = vector - gain @ vector + shift
    return np.asarray(np.linalg.solve(np.eye(d) - matrix, vector))


def availability_chain(availability: Floats, memory: Floats) -> ParticipationChain:
    """Product of N independent on/off chains.

    Args:
        availability: `[N]`, pi_k, the stationary probability of being on.
        memory: `[N]`, lambda_k, the second eigenvalue: the correlation of successive rounds.

    Returns:
        The chain over all `2^N` states.

    Raises:
        ValueError: if N > 10, or a pair (pi, lambda) is no Markov chain.
    """
    pi, lam = np.asarray(availability, float), np.asarray(memory, float)
    if pi.size > 10:
        raise ValueError(f"availability: {pi.size} clients have 2^{pi.size} states; expected at most 10")
    on_on, off_on = lam + (1 - lam) * pi, (1 - lam) * pi
    if np.any((on_on < 0) | (on_on > 1) | (off_on < 0) | (off_on > 1)):
        raise ValueError("memory: with this availability the transition probabilities leave [0, 1]")
    states = np.array(list(itertools.product([False, True], repeat=pi.size)))
    rise = np.where(states, on_on, off_on)
    transition = np.where(states[None], rise[:, None], 1 - rise[:, None]).prod(axis=2)
    return ParticipationChain(states, transition, np.where(states, pi, 1 - pi).prod(axis=1))


def markov_moments(rounds: AffineRounds, chain: ParticipationChain) -> tuple[Floats, Floats]:
    """Exact stationary moments of a Markov jump-linear recursion.

    With `T_s = I - G_s` and x_s the moment of w restricted to being *about to* see state s,
    `m_r = sum_s P_sr (T_s m_s + rho_s g_s)`, and likewise for the second moment (Costa, Fragoso and
    Marques, "Discrete-Time Markov Jump Linear Systems", 2005).

    Args:
        rounds: the maps of the S states.
        chain: who comes after whom.

    Returns:
        `E w [d]` and `E w w^T [d, d]`.
    """
    transition, rho = chain.transition, chain.stationary
    count, d = rounds.shift.shape
    keep = np.eye(d) - rounds.gain
    first = _restricted(transition, keep, rho[:, None] * rounds.shift)
    moved = np.einsum("sij,sj->si", keep, first)
    cross = np.einsum("si,sj->sij", moved, rounds.shift)
    source = cross + cross.transpose(0, 2, 1)
    source += rho[:, None, None] * (np.einsum("si,sj->sij", rounds.shift, rounds.shift) + rounds.noise)
    squared = np.einsum("sij,skl->sikjl", keep, keep).reshape(count, d * d, d * d)
    second = _restricted(transition, squared, source.reshape(count, d * d))
    return first.sum(axis=0), second.sum(axis=0).reshape(d, d)


def _restricted(transition: Floats, keep: Floats, source: Floats) -> Floats:
    """Solve `x_r = sum_s P_sr (K_s x_s + source_s)` for x `[S, m]`."""
    count, m = source.shape
    matrix = np.einsum("sr,sij->risj", transition, keep).reshape(count * m, count * m)
    right = (transition.T @ source).ravel()
    return np.linalg.solve(np.eye(count * m) - matrix, right).reshape(count, m)


def expected_gap(problem: QuadraticProblem, mean: Floats, second: Floats) -> float:
    """`E F(w) - F*` from the first two moments of w."""
    hessian = np.einsum("k,kij->ij", problem.target_weight, problem.hessian)
    best = problem.optimum()
    spread = second - np.outer(mean, best) - np.outer(best, mean) + np.outer(best, best)
    return float(0.5 * np.trace(hessian @ spread))
