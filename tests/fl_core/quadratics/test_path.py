"""Moving optima: where they go, and that the core follows them exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import (
    WALK_EVERY_S,
    OptimumPath,
    QuadraticCore,
    jumps,
    quadratic_problem,
    walk,
)

N, D = 5, 4
SETTINGS = {"dimension": D}
LR = {"learning_rate": 0.05}
DAY_S = 86400.0


def problem_of(seed, path=None, **settings):
    rng = np.random.default_rng(seed)
    return replace(quadratic_problem(SETTINGS | settings, N, np.arange(N) % 2, 2, rng), path=path)


def core_of(problem, **settings):
    core = QuadraticCore(SETTINGS | settings, 1, N, LR)
    core.reset(0, problem, 3)
    return core


def some_path(seed, clients=1):
    rng = np.random.default_rng(seed)
    offset = rng.standard_normal((4, clients, D))
    offset[0] = 0.0
    return OptimumPath(np.array([0.0, 100.0, 250.0, 600.0]), offset)


class TestPaths:
    def test_a_walk_is_as_wide_as_it_says(self):
        """After h hours the squared distance is h step^2 in the mean: chi-square, 400 walks of 8 numbers."""
        ends = [walk(8, DAY_S, 0.5, np.random.default_rng(seed)).at(DAY_S)[0] for seed in range(400)]
        square = np.mean([end @ end for end in ends])
        assert square == pytest.approx(24 * 0.25, rel=4 * np.sqrt(2 / (8 * 400)))

    def test_a_walk_stands_still_between_its_steps(self):
        path = walk(3, 3600.0, 1.0, np.random.default_rng(0))
        assert np.array_equal(path.at(0.0), np.zeros((1, 3)))
        assert np.array_equal(path.at(WALK_EVERY_S), path.at(1.9 * WALK_EVERY_S))
        assert not np.array_equal(path.at(WALK_EVERY_S), path.at(0.999 * WALK_EVERY_S))

    def test_jumps_come_as_often_as_they_say_and_are_as_long(self):
        paths = [jumps(D, 10 * DAY_S, 8.0, 2.0, np.random.default_rng(seed)) for seed in range(60)]
        count = np.mean([path.times_s.size - 1 for path in paths])
        assert count == pytest.approx(30.0, abs=4 * np.sqrt(30 / 60))
        lengths = np.concatenate(
            [np.linalg.norm(np.diff(path.offset[:, 0], axis=0), axis=1) for path in paths]
        )
        assert lengths == pytest.approx(2.0)
        assert paths[0].length == pytest.approx(2.0 * (paths[0].times_s.size - 1))

    def test_staggered_clients_jump_at_their_own_times(self):
        path = jumps(D, 5 * DAY_S, 8.0, 2.0, np.random.default_rng(1), clients=N)
        moved = np.linalg.norm(np.diff(path.offset, axis=0), axis=2)
        assert path.offset.shape[1] == N
        assert ((moved > 0).sum(axis=1) == 1).all()
        assert moved[moved > 0] == pytest.approx(2.0)
        assert (np.diff(path.times_s) > 0).all()


class TestCore:
    @pytest.mark.parametrize("clients", [1, N])
    @pytest.mark.parametrize("time_s", [0.0, 99.0, 100.0, 300.0, 1e9])
    def test_is_that_of_the_problem_as_it_stands(self, clients, time_s):
        problem = problem_of(2, some_path(2, clients))
        core, here = core_of(problem), problem.at(time_s)
        core.advance(np.array([time_s]))
        w = core.parameters()[0]
        accuracy, loss = core.evaluate()
        assert loss[0] == pytest.approx(here.loss(w))
        assert core.gap()[0] == pytest.approx(here.gap(w))
        assert core.client_losses(np.ones((1, N), bool))[0] == pytest.approx(here.client_losses(w), rel=1e-5)
        start = problem.at(0.0).gap(problem.start)
        assert accuracy[0] == pytest.approx(1 / (1 + 9 * here.gap(w) / start))
        assert core.accuracy_of(np.zeros(1, int), here.optimum()[None])[0] == pytest.approx(1.0, abs=1e-12)
        still = core_of(here)
        orders = TrainingOrders(np.array([[3, 0, 2, 1, 5]], dtype=np.int32))
        for each in (core, still):
            each.run_round(orders)
        assert core.parameters()[0] == pytest.approx(still.parameters()[0], abs=1e-12)

    def test_a_problem_that_stands_still_is_untouched(self):
        core = core_of(problem_of(4))
        before = {name: array.copy() for name, array in core.state().items()}
        core.advance(np.array([1e6]))
        assert all(np.array_equal(before[name], array) for name, array in core.state().items())

    def test_comes_back_to_where_it_was(self):
        """Tables are those of the moment, however the clock came there."""
        core = core_of(problem_of(2, some_path(2)))
        core.advance(np.array([120.0]))
        there = core.state()
        for moment in (700.0, 0.0, 120.0):
            core.advance(np.array([moment]))
        assert all(np.array_equal(there[name], array) for name, array in core.state().items())

    def test_a_snapshot_knows_the_way_ahead(self):
        problem = problem_of(5, some_path(5, N))
        core, other = core_of(problem), core_of(problem_of(6))
        core.advance(np.array([120.0]))
        other.load_state(core.state())
        for each in (core, other):
            each.advance(np.array([700.0]))
        assert np.array_equal(core.evaluate()[1], other.evaluate()[1])

    def test_rows_are_on_their_own(self):
        problems = [problem_of(1), problem_of(2, some_path(2)), problem_of(3, some_path(3, N))]
        together = QuadraticCore(SETTINGS, 3, N, LR)
        for env, problem in enumerate(problems):
            together.reset(env, problem, env)
        times = np.array([50.0, 300.0, 110.0])
        together.advance(times)
        for env, problem in enumerate(problems):
            alone = QuadraticCore(SETTINGS, 1, N, LR)
            alone.reset(0, problem, env)
            alone.advance(times[[env]])
            assert alone.evaluate()[1][0] == together.evaluate()[1][env]

    def test_a_new_episode_forgets_the_old_ones_path(self):
        core = core_of(problem_of(2, some_path(2, N)))
        core.advance(np.array([300.0]))
        core.reset(0, problem_of(7), 0)
        core.advance(np.array([300.0]))
        assert core.evaluate()[1][0] == core_of(problem_of(7)).evaluate()[1][0]

    def test_training_once_per_jump_with_many_steps_leaves_no_excess(self):
        """Noise-free, all minimisers alike: as K grows the excess after the round is 0, and stays 0."""
        path = jumps(D, 5 * DAY_S, 8.0, 3.0, np.random.default_rng(4))
        problem = problem_of(1, path, zone_spread=0.0, client_spread=0.0)
        core = core_of(problem, zone_spread=0.0, client_spread=0.0)
        everybody = TrainingOrders(np.full((1, N), 2000, dtype=np.int32), problem.target_weight[None])
        assert path.times_s.size > 3
        ends = np.append(path.times_s[1:], 5 * DAY_S)
        for begin, end in zip(path.times_s, ends, strict=True):
            core.advance(np.array([begin]))
            assert core.gap()[0] > 0.1  # the jump hurts
            core.run_round(everybody)
            core.advance(np.array([(begin + end) / 2]))
            assert core.gap()[0] == pytest.approx(0.0, abs=1e-12)
            assert core.evaluate()[0][0] == pytest.approx(1.0, abs=1e-12)
