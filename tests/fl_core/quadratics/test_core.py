"""The quadratic core: exact local updates, exact optimum, the same interface."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.linalg import matrix_power

from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticSettings, quadratic_problem

N = 6
ZONE = np.arange(N) % 2
LR = {"learning_rate": 0.05}


def problem_of(seed, settings=None, hub_rows=0):
    return quadratic_problem(settings or {"dimension": 5}, N, ZONE, 2, np.random.default_rng(seed), hub_rows)


def make_core(seeds, settings=None, hub_rows=0, **kwargs):
    settings = settings or {"dimension": 5}
    core = QuadraticCore(settings, len(seeds), N, **{"training": LR} | kwargs)
    for env, seed in enumerate(seeds):
        core.reset(env, problem_of(seed, settings, hub_rows), seed)
    return core


def test_a_round_is_the_closed_form():
    core, problem = make_core([3]), problem_of(3)
    steps = np.array([[1, 4, 0, 10, 2, 0]], dtype=np.int32)
    core.run_round(TrainingOrders(steps))
    delta = [
        -(np.eye(5) - matrix_power(np.eye(5) - 0.05 * a, h)) @ (problem.start - c)
        for a, c, h in zip(problem.hessian, problem.centre, steps[0], strict=True)
    ]
    weight = problem.own * (steps[0] > 0)
    expected = problem.start + weight / weight.sum() @ np.array(delta)
    assert np.allclose(core.parameters()[0], expected, atol=1e-12)


def test_batch_equals_single_bit_for_bit():
    settings = QuadraticSettings(dimension=5, gradient_noise=0.3)
    seeds = [5, 6, 7]
    batch = make_core(seeds, settings)
    steps = np.random.default_rng(0).integers(0, 6, (4, 3, N)).astype(np.int32)
    for r in range(4):
        batch.run_round(TrainingOrders(steps[r], None, np.full(3, r)))
    for e, seed in enumerate(seeds):
        single = make_core([seed], settings)
        for r in range(4):
            single.run_round(TrainingOrders(steps[r, [e]], None, np.array([r])))
        assert np.array_equal(single.parameters()[0], batch.parameters()[e])
        assert single.evaluate()[0][0] == batch.evaluate()[0][e]


def test_all_clients_one_step_converge_to_the_optimum():
    core, problem = make_core([1]), problem_of(1)
    accuracy = [core.evaluate()[0][0]]
    assert accuracy[0] == pytest.approx(0.1)
    for r in range(600):
        core.run_round(
            TrainingOrders(np.ones((1, N), dtype=np.int32), problem.target_weight[None], np.array([r]))
        )
        accuracy.append(core.evaluate()[0][0])
    assert np.all(np.diff(accuracy) >= -1e-12)
    assert accuracy[-1] == pytest.approx(1, abs=1e-9)
    assert np.allclose(core.parameters()[0], problem.optimum(), atol=1e-6)
    assert core.gap()[0] == pytest.approx(problem.gap(core.parameters()[0]), abs=1e-9)


def test_hub_rows_pull_a_client_towards_the_federation():
    """With theta of its rows from the hub, a client steps along (1 - theta) grad F_k + theta grad F."""
    core, problem = make_core([2], hub_rows=100), problem_of(2, hub_rows=100)
    core.hold(core.own + 50)
    theta = 50 / (problem.own[3] + 50)
    core.run_round(TrainingOrders(np.eye(1, N, 3, dtype=np.int32), np.ones((1, N))))
    gradient = np.einsum("kij,kj->ki", problem.hessian, problem.start - problem.centre)
    mixed = (1 - theta) * gradient[3] + theta * problem.target_weight @ gradient
    assert np.allclose(core.parameters()[0], problem.start - 0.05 * mixed, atol=1e-12)


def test_reported_losses_are_the_clients_losses():
    core, problem = make_core([4]), problem_of(4)
    expected = problem.client_losses(problem.start)
    assert np.allclose(core.client_losses(np.ones((1, N), dtype=bool))[0], expected, rtol=1e-6)
    assert np.allclose(
        core.run_round(TrainingOrders(np.ones((1, N), dtype=np.int32))).reported_loss[0], expected, rtol=1e-6
    )


def test_gradient_noise_has_the_stated_spread():
    core = make_core(range(400), QuadraticSettings(dimension=5, gradient_noise=2.0))
    quiet = make_core(range(400))
    for each in (core, quiet):
        each.run_round(TrainingOrders(np.tile(np.eye(1, N, dtype=np.int32), (400, 1)), np.ones((400, N))))
    noise = (core.parameters() - quiet.parameters()) / 0.05
    assert abs(noise.mean()) < 4 * 2 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(2.0, rel=0.08)


def test_too_large_a_step_diverges_and_is_caught():
    core = make_core([0], training={"learning_rate": 10.0})
    for r in range(400):
        before = core.parameters()
        out = core.run_round(TrainingOrders(np.full((1, N), 100, dtype=np.int32), None, np.array([r])))
        if out.diverged[0]:
            assert np.array_equal(core.parameters(), before)
            return
    pytest.fail("never diverged")


def test_snapshot_restores_exactly():
    one, two = make_core([1, 2]), make_core([3, 4])
    steps = np.full((2, N), 2, dtype=np.int32)
    one.run_round(TrainingOrders(steps))
    two.load_state(one.state())
    for core in (one, two):
        core.run_round(TrainingOrders(steps))
    assert np.array_equal(one.parameters(), two.parameters())
    assert np.array_equal(one.evaluate(), two.evaluate())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"convexity": 5.0}, "smoothness: 4"),
        ({"dimension": 0}, "dimension: 0"),
        ({"dimensions": 3}, "did you mean 'dimension'"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        problem_of(0, settings)
