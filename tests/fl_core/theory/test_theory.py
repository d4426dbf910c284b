"""Theory against exact oracles and against simulation by the core itself."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticProblem
from frugalfl.fl_core.theory import ParticipationChain as Chain
from frugalfl.fl_core.theory import (
    affine_rounds,
    availability_chain,
    availability_forecast,
    bias_bounds,
    chi_square,
    cyclic_fixed_point,
    distance_to_target,
    effective_weights,
    estimate_chains,
    expected_gap,
    independent_fixed_point,
    markov_moments,
    mean_run_slots,
    participation_price,
    predicted_gap,
    selection_skew,
    stay_probability,
    summarise_participation,
    systematic_sample,
    total_variation,
    transfer_value,
    variance_proxy,
)


def random_problem(n, d, mu, smoothness, seed, het=1.0, alpha=None):
    """Random quadratics whose spectra touch mu and L (the recipe behind the published figures below)."""
    rng = np.random.default_rng(seed)
    hessian = []
    for _ in range(n):
        basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
        spectrum = rng.uniform(mu, smoothness, size=d)
        spectrum[0], spectrum[-1] = mu, smoothness
        hessian.append(basis @ np.diag(spectrum) @ basis.T)
    centre = het * rng.normal(size=(n, d))
    rows = np.full(n, 10, dtype=np.int32)
    weight = np.full(n, 1 / n) if alpha is None else alpha
    return QuadraticProblem(np.array(hessian), centre, weight, rows, rows, np.zeros(d))


def coefficients(rule, states, alpha, pi):
    if rule == "unbiased":
        return states * alpha / pi
    if rule == "all":
        return states * alpha
    return states * alpha / np.maximum((states * alpha).sum(axis=1, keepdims=True), 1e-12)


def stationary_gap(problem, pi, lam, rule, eta, steps=1, noise=0.0):
    chain = availability_chain(pi, lam)
    omega = coefficients(rule, chain.states, problem.target_weight, pi)
    mean, second = markov_moments(affine_rounds(problem, omega, eta, steps, noise), chain)
    return expected_gap(problem, mean, second), mean


PI = np.array([0.9, 0.7, 0.3, 0.2])
FOUR = random_problem(4, 3, 0.5, 3, seed=3)
PI5 = np.array([0.9, 0.7, 0.5, 0.3, 0.2])
FIVE = random_problem(5, 3, 0.5, 3, seed=4)


@pytest.mark.parametrize(
    ("lam", "expected"),
    [
        (0.0, (0.0201, 0.1314, 0.0798)),
        (0.5, (0.0547, 0.1430, 0.0869)),
        (0.9, (0.2185, 0.2095, 0.1321)),
        (0.99, (0.4775, 0.3684, 0.2870)),
    ],
)
def test_unbiasedness_stops_paying_when_availability_is_correlated(lam, expected):
    """The crossover of unbiased, active-mean and all-mean weights, against independent figures."""
    gaps = [stationary_gap(FOUR, PI, np.full(4, lam), r, 0.02)[0] for r in ("unbiased", "active", "all")]
    assert np.allclose(gaps, expected, atol=6e-5)


@pytest.mark.parametrize(("rule", "lam"), [("unbiased", 0.0), ("unbiased", 0.9), ("active", 0.9)])
def test_exact_moments_agree_with_the_core(rule, lam):
    """1,500 federations of the core itself under simulated Markov availability."""
    envs, rounds, burn_in, eta = 1500, 900, 500, 0.02
    rng = np.random.default_rng(0)
    memory = np.full(4, lam)
    core = QuadraticCore({"dimension": 3}, envs, 4, {"learning_rate": eta})
    for e in range(envs):
        core.reset(e, FOUR, e)
    on = rng.random((envs, 4)) < PI
    total, squared, count = np.zeros(3), np.zeros((3, 3)), 0
    for r in range(rounds):
        core.run_round(
            TrainingOrders(
                on.astype(np.int32), coefficients(rule, on, FOUR.target_weight, PI), np.full(envs, r)
            )
        )
        if r >= burn_in and r % 4 == 0:
            w = core.parameters()
            total, squared, count = total + w.sum(axis=0), squared + w.T @ w, count + envs
        on = rng.random((envs, 4)) < np.where(on, memory + (1 - memory) * PI, (1 - memory) * PI)
    gap, mean = stationary_gap(FOUR, PI, memory, rule, eta)
    assert np.abs(total / count - mean).max() < 0.01
    assert expected_gap(FOUR, total / count, squared / count) == pytest.approx(gap, rel=0.03)


def test_independent_unbiased_rounds_centre_on_the_optimum_and_correlated_ones_do_not():
    distance = {}
    for lam in (0.0, 0.5):
        for eta in (0.02, 0.01):
            _, mean = stationary_gap(FOUR, PI, np.full(4, lam), "unbiased", eta)
            distance[lam, eta] = np.linalg.norm(mean - FOUR.optimum())
    assert distance[0.0, 0.02] < 1e-10
    assert distance[0.5, 0.02] == pytest.approx(0.0099, abs=1e-4)
    assert distance[0.5, 0.02] / distance[0.5, 0.01] == pytest.approx(2, rel=0.1)  # a bias of order eta


def test_effective_weights_are_what_rounds_minimise():
    chain = availability_chain(PI, np.zeros(4))
    for rule in ("unbiased", "active", "all"):
        omega = coefficients(rule, chain.states, FOUR.target_weight, PI)
        p = effective_weights(omega, chain.stationary)
        gap, mean = stationary_gap(FOUR, PI, np.zeros(4), rule, 1e-4)
        assert np.allclose(mean, FOUR.optimum(p), atol=1e-3)
        assert np.allclose(independent_fixed_point(FOUR, p, 0.02), FOUR.optimum(p))
        assert gap >= 0
    with pytest.raises(ValueError, match="nobody ever takes part"):
        effective_weights(np.zeros((3, 4)))


def test_bias_bounds_are_never_violated():
    rng = np.random.default_rng(1)
    for seed in range(150):
        n, d = int(rng.integers(2, 9)), int(rng.integers(1, 6))
        alpha = rng.dirichlet(np.ones(n))
        problem = random_problem(n, d, 1.0, 10 ** rng.uniform(0.1, 2), seed, rng.uniform(0.1, 3), alpha)
        p = rng.dirichlet(np.full(n, 0.7)) + 1e-3
        p /= p.sum()
        bounds = bias_bounds(problem, p)
        assert bounds.exact <= bounds.by_total_variation + 1e-9
        assert bounds.exact <= bounds.by_chi_square + 1e-9
        for _ in range(3):
            w = problem.optimum(p) + rng.normal(size=d) * rng.uniform(0, 3)
            excess, by_tv, by_chi = distance_to_target(problem, p, w)
            assert excess <= min(by_tv, by_chi) + 1e-9


def test_the_chi_square_bound_is_attained_by_two_equal_parabolas():
    rows = np.ones(2, dtype=np.int32)
    alpha, p = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    problem = QuadraticProblem(
        np.full((2, 1, 1), 2.0), np.array([[0.0], [3.0]]), alpha, rows, rows, np.zeros(1)
    )
    bounds = bias_bounds(problem, p)
    assert bounds.exact == pytest.approx(bounds.by_chi_square)
    assert total_variation(alpha, p) == pytest.approx(0.3)
    assert chi_square(alpha, np.array([1.0, 0.0])) == np.inf


@pytest.mark.parametrize(
    ("lam", "ratio"),
    [
        ([0.0] * 5, 1.0),
        ([0.5] * 5, 1.0),
        ([0.9] * 5, 0.996),
        ([-0.1] * 5, 1.0),
        ([0, 0, 0.5, 0.9, 0.95], 0.989),
    ],
)
def test_price_of_correlation_is_exact_for_small_steps(lam, ratio):
    memory = np.array(lam)
    gap, _ = stationary_gap(FIVE, PI5, memory, "unbiased", 2e-4)
    assert gap / participation_price(FIVE, PI5, memory, 2e-4) == pytest.approx(ratio, abs=2e-3)


def test_bias_and_variance_of_any_fixed_coefficients():
    memory = np.array([0.0, 0.3, 0.5, 0.7, 0.9])
    alpha = FIVE.target_weight
    for name, q in (("all", alpha), ("unbiased", alpha / PI5)):
        exact, _ = stationary_gap(FIVE, PI5, memory, name, 2e-4)
        bias, variance = predicted_gap(FIVE, q, PI5, memory, 2e-4)
        assert exact == pytest.approx(bias + variance, rel=0.02)
        assert variance > 0
    assert bias == pytest.approx(0, abs=1e-12)
    assert variance == pytest.approx(participation_price(FIVE, PI5, memory, 2e-4))


def test_price_of_correlation_with_local_steps_and_gradient_noise():
    memory = np.full(5, 0.5)
    gap, _ = stationary_gap(FIVE, PI5, memory, "unbiased", 2e-4, steps=5)
    drift = FIVE.gap(independent_fixed_point(FIVE, FIVE.target_weight, 2e-4, 5))
    assert drift == pytest.approx(2.26e-8, rel=0.01)
    assert gap / participation_price(FIVE, PI5, memory, 2e-4, 5) == pytest.approx(0.997, abs=2e-3)
    noisy, _ = stationary_gap(FIVE, PI5, memory, "unbiased", 2e-4, noise=40 / 3)
    assert noisy / participation_price(FIVE, PI5, memory, 2e-4, 1, 40 / 3) == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize(("steps", "cyclic_ratio", "random_ratio"), [(1, 4.02, 2.01), (5, 3.92, 1.99)])
def test_cyclic_groups_gain_an_order_in_the_step_size(steps, cyclic_ratio, random_ratio):
    problem = random_problem(12, 4, 0.5, 3, seed=5)
    omega = np.zeros((4, 12))
    for group in range(4):
        omega[group, group::4] = 1 / 3
    shuffled = Chain(omega > 0, np.full((4, 4), 0.25), np.full(4, 0.25))
    gaps = []
    for eta in (0.01, 0.005):
        rounds = affine_rounds(problem, omega, eta, steps)
        gaps.append(
            (
                problem.gap(cyclic_fixed_point(rounds)),
                expected_gap(problem, *markov_moments(rounds, shuffled)),
            )
        )
    assert gaps[0][0] / gaps[1][0] == pytest.approx(cyclic_ratio, abs=0.01)
    assert gaps[0][1] / gaps[1][1] == pytest.approx(random_ratio, abs=0.01)


def test_transfer_value_is_the_slope_of_the_price():
    memory, eta = np.full(5, 0.5), 0.01
    best = FIVE.optimum()
    norm = np.linalg.norm(np.einsum("kij,kj->ki", FIVE.hessian, best - FIVE.centre), axis=1)
    theta = np.full(5, 0.2)
    value = transfer_value(FIVE.target_weight, PI5, memory, norm, theta, eta)
    full = transfer_value(FIVE.target_weight, PI5, memory, norm, np.zeros(5), eta)
    assert full.sum() / 2 == pytest.approx(participation_price(FIVE, PI5, memory, eta))
    assert np.allclose(value, 0.8 * full)


def test_selection_skew_is_one_for_unbiased_and_larger_for_power_of_choice():
    rng = np.random.default_rng(0)
    problem = random_problem(30, 5, 0.2, 2, seed=2, het=0.7)
    at = np.full(5, 0.3)
    losses = problem.client_losses(at)
    order = rng.random((20_000, 30)).argsort(axis=1)
    fair = order < 3
    candidates = np.where(order < 15, losses, -np.inf)
    greedy = candidates.argsort(axis=1).argsort(axis=1) >= 27
    assert selection_skew(problem, fair, at) == pytest.approx(1, abs=0.02)
    assert selection_skew(problem, greedy, at) > 1.5


def test_systematic_sampling_has_exact_marginals_and_sizes():
    rng = np.random.default_rng(0)
    marginals = np.array([0.9, 0.1, 0.6, 0.4, 0.7, 0.3])
    count, draws = np.zeros(6), 20_000
    for _ in range(draws):
        chosen = systematic_sample(marginals, rng)
        assert chosen.size == 3
        count[chosen] += 1
    assert np.abs(count / draws - marginals).max() < 4 * 0.5 / np.sqrt(draws)
    with pytest.raises(ValueError, match=r"sum 0\.5"):
        systematic_sample(np.array([0.5]), rng)


def test_two_state_chains_run_and_forecast_as_stated():
    pi, lam, slots = np.array([0.3]), np.array([0.8]), 400_000
    rng = np.random.default_rng(0)
    uniform = rng.random(slots)
    history = np.zeros((slots, 1), dtype=bool)
    on = True
    for t in range(slots):
        on = uniform[t] < (lam[0] + (1 - lam[0]) * pi[0] if on else (1 - lam[0]) * pi[0])
        history[t] = on
    estimated = estimate_chains(history)
    assert np.allclose(estimated, [[0.3], [0.8]], atol=0.01)
    changes = np.flatnonzero(np.diff(history[:, 0])) + 1
    runs = np.diff(changes)
    present = runs[history[changes[:-1], 0]].mean()
    absent = runs[~history[changes[:-1], 0]].mean()
    assert np.allclose(np.ravel(mean_run_slots(pi, lam)), [present, absent], rtol=0.03)
    later = history[3:, 0]
    for now in (True, False):
        predicted = availability_forecast(pi, lam, 3, np.array([now]))[0]
        assert later[history[:-3, 0] == now].mean() == pytest.approx(predicted, abs=0.01)
    stayed = np.lib.stride_tricks.sliding_window_view(history[:, 0], 4).all(axis=1).mean()
    assert stay_probability(pi, lam, 4)[0] == pytest.approx(stayed, abs=0.01)


def test_variance_proxy_is_least_where_rates_follow_the_weights():
    alpha = np.array([0.5, 0.3, 0.2])
    best = variance_proxy(alpha, alpha)
    for rate in np.random.default_rng(0).dirichlet(np.ones(3), 50):
        assert variance_proxy(alpha, rate) >= best - 1e-12


def test_impossible_chains_are_refused():
    with pytest.raises(ValueError, match="transition probabilities"):
        availability_chain(np.array([0.9]), np.array([-0.9]))
    with pytest.raises(ValueError, match="11 clients"):
        availability_chain(np.full(11, 0.5), np.zeros(11))


def test_a_summary_of_rounds_recovers_the_pattern_that_made_them():
    rng = np.random.default_rng(0)
    alpha, rate = np.array([0.5, 0.3, 0.2]), np.array([0.8, 0.4, 0.1])
    on = rng.random((40_000, 3)) < rate
    summary = summarise_participation(alpha, on * alpha, on)
    expected = alpha * rate / (alpha * rate).sum()
    assert np.allclose(summary.weights, expected, atol=0.01)
    assert summary.total_variation == pytest.approx(total_variation(alpha, expected), abs=0.01)
    assert summary.variance_factor == pytest.approx((alpha**2 * (1 - rate) / rate).sum(), rel=0.05)
    assert 1 / 3 < summary.fairness < 1
    assert summarise_participation(
        alpha, np.ones((9, 3)), np.ones((9, 3), dtype=bool)
    ).fairness == pytest.approx(1)
