"""What a recorded participation predicts is what training with such participation comes to."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, quadratic_problem
from frugalfl.fl_core.theory import RoundHistory, effective_weights, long_run_covariance, predict

N, RATE, STEPS, ROUNDS, ENVS = 6, 0.006, 5, 1200, 48
SPEC = {"dimension": 3, "size_sigma": 0.5}


def problem_of(seed=0):
    zone = np.arange(N) % 2
    return quadratic_problem(SPEC, N, zone, 2, np.random.default_rng(seed), hub_rows_per_client=50)


def on_off(rng, rounds, memory):
    """Two-state chains of different availability, ``bool [rounds, ENVS, N]``."""
    on = np.linspace(0.3, 0.9, N)
    seen = np.empty((rounds, ENVS, N), dtype=bool)
    seen[0] = rng.random((ENVS, N)) < on
    for t in range(1, rounds):
        seen[t] = rng.random((ENVS, N)) < on + (seen[t - 1] - on) * memory
    return seen


@pytest.mark.parametrize(("memory", "sent"), [(0.0, 0), (0.7, 0), (0.0, 40)])
def test_prediction_and_training_agree(memory, sent):
    problem, rng = problem_of(), np.random.default_rng(1)
    core = QuadraticCore(SPEC, ENVS, N, {"learning_rate": RATE}, "by-samples")
    for e in range(ENVS):
        core.reset(e, problem, e)
    held = problem.own + np.where(np.arange(N) < 3, sent, 0).astype(np.int32)
    core.hold(np.tile(held, (ENVS, 1)))
    seen = on_off(rng, ROUNDS, memory)
    models = np.empty((ROUNDS, ENVS, 3))
    for t in range(ROUNDS):
        core.run_round(TrainingOrders(np.where(seen[t], STEPS, 0).astype(np.int32)))
        models[t] = core.parameters()
    record = seen.swapaxes(0, 1).reshape(-1, N)  # all environments' rounds after one another
    present = record[record.any(axis=1)]
    weight = np.where(present, held, 0.0)
    omega = weight / weight.sum(axis=1, keepdims=True)
    shared = np.where(present, (held - problem.own) / held, 0.0)
    told = predict(problem, RoundHistory(omega, np.where(present, STEPS, 0), shared), RATE)
    late = models[ROUNDS // 2 :]
    average = problem.gap(late.mean(axis=(0, 1)))
    mean = np.mean([problem.gap(w) for w in late[::20].reshape(-1, 3)])
    assert told.average_gap == pytest.approx(average, rel=0.15)
    assert told.drift_gap == pytest.approx(average, rel=0.15)
    assert told.variance == pytest.approx(mean - average, rel=0.4)
    assert told.mean_gap == pytest.approx(mean, rel=0.15)
    bounds = told.bounds
    assert 0 < bounds.exact <= min(bounds.by_total_variation, bounds.by_chi_square) * (1 + 1e-9)


def test_everybody_always_there_leaves_nothing_but_drift():
    problem = problem_of()
    alpha = np.tile(problem.target_weight, (50, 1))
    one = RoundHistory(alpha, np.ones((50, N), dtype=np.int64), np.zeros((50, N)))
    told = predict(problem, one, RATE)
    assert told.bounds.exact == pytest.approx(0.0, abs=1e-12)
    assert told.drift_gap == pytest.approx(0.0, abs=1e-12)
    assert told.variance == pytest.approx(0.0, abs=1e-12)
    assert told.price == 0.0
    many = RoundHistory(alpha, np.full((50, N), 20), np.zeros((50, N)))
    assert predict(problem, many, RATE).drift_gap > 1e-6


def test_shared_rows_pull_towards_everybody():
    alpha, omega = np.array([0.5, 0.3, 0.2]), np.array([[1.0, 0, 0], [1.0, 0, 0]])
    steps = (omega * 4).astype(np.int64)
    plain = RoundHistory(omega, steps, 0 * omega).coefficients(alpha)
    assert np.array_equal(effective_weights(plain), [1, 0, 0])
    half = RoundHistory(omega, steps, omega / 2).coefficients(alpha)
    assert np.allclose(effective_weights(half), 0.5 * np.array([1, 0, 0]) + 0.5 * alpha)


def test_long_run_covariance_of_a_known_process():
    rng, x = np.random.default_rng(0), np.zeros(20_000)
    noise = rng.standard_normal(x.size)
    for t in range(1, x.size):
        x[t] = 0.5 * x[t - 1] + noise[t]
    assert long_run_covariance(x[:, None], 40)[0, 0] == pytest.approx(1 / (1 - 0.5) ** 2, rel=0.15)


def test_too_few_rounds_are_refused():
    nothing = np.zeros((1, N))
    with pytest.raises(ValueError, match="expected at least 2"):
        predict(problem_of(), RoundHistory(nothing, nothing.astype(np.int64), nothing), RATE)
