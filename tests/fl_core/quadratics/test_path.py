"""Moving optima: where they go, and that the core follows them exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.federation import RequestSpans, StreamEngine, TrainingOrders
from frugalfl.fl_core.quadratics import (
    WALK_EVERY_S,
    MovingQuadraticCore,
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
    core = MovingQuadraticCore(SETTINGS | settings, 1, N, LR)
    core.reset(0, problem, 3)
    return core


def go(core, time_s):
    """Bring a core to a moment."""
    core.be_in(np.zeros((core.num_envs, N), dtype=np.int64), np.broadcast_to(time_s, core.num_envs))


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
        go(core, time_s)
        w = core.parameters()[0]
        accuracy, loss = core.evaluate()
        assert loss[0] == pytest.approx(here.loss(w))
        assert core.gap()[0] == pytest.approx(here.gap(w))
        assert core.client_losses(np.ones((1, N), bool))[0] == pytest.approx(here.client_losses(w), rel=1e-5)
        start = problem.at(0.0).gap(problem.start)
        assert accuracy[0] == pytest.approx(1 / (1 + 9 * here.gap(w) / start))
        still = QuadraticCore(SETTINGS, 1, N, LR)
        still.reset(0, here, 3)
        orders = TrainingOrders(np.array([[3, 0, 2, 1, 5]], dtype=np.int32))
        for each in (core, still):
            each.run_round(orders)
        assert core.parameters()[0] == pytest.approx(still.parameters()[0], abs=1e-12)

    def test_a_problem_that_stands_still_is_untouched(self):
        core = core_of(problem_of(4))
        before = {name: array.copy() for name, array in core.state().items()}
        go(core, 1e6)
        assert all(np.array_equal(before[name], array) for name, array in core.state().items())

    def test_comes_back_to_where_it_was(self):
        """Tables are those of the moment, however the clock came there."""
        core = core_of(problem_of(2, some_path(2)))
        go(core, 120.0)
        there = core.state()
        for moment in (700.0, 0.0, 120.0):
            go(core, moment)
        assert all(np.array_equal(there[name], array) for name, array in core.state().items())

    def test_a_snapshot_knows_the_way_ahead(self):
        problem = problem_of(5, some_path(5, N))
        core, other = core_of(problem), core_of(problem_of(6))
        go(core, 120.0)
        other.load_state(core.state())
        for each in (core, other):
            go(each, 700.0)
        assert np.array_equal(core.evaluate()[1], other.evaluate()[1])

    def test_rows_are_on_their_own(self):
        problems = [problem_of(1), problem_of(2, some_path(2)), problem_of(3, some_path(3, N))]
        together = MovingQuadraticCore(SETTINGS, 3, N, LR)
        for env, problem in enumerate(problems):
            together.reset(env, problem, env)
        times = np.array([50.0, 300.0, 110.0])
        go(together, times)
        for env, problem in enumerate(problems):
            alone = MovingQuadraticCore(SETTINGS, 1, N, LR)
            alone.reset(0, problem, env)
            go(alone, times[[env]])
            assert alone.evaluate()[1][0] == together.evaluate()[1][env]

    def test_a_new_episode_forgets_the_old_ones_path(self):
        core = core_of(problem_of(2, some_path(2, N)))
        go(core, 300.0)
        core.reset(0, problem_of(7), 0)
        go(core, 300.0)
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
            go(core, begin)
            assert core.gap()[0] > 0.1  # the jump hurts
            core.run_round(everybody)
            go(core, (begin + end) / 2)
            assert core.gap()[0] == pytest.approx(0.0, abs=1e-12)
            assert core.evaluate()[0][0] == pytest.approx(1.0, abs=1e-12)

    def test_only_a_moving_core_takes_a_path(self):
        with pytest.raises(ValueError, match="path: given, expected none"):
            QuadraticCore(SETTINGS, 1, N, LR).reset(0, problem_of(2, some_path(2)), 0)


def spans_of(models, count=4000, moment_s=50.0, client=0):
    """One span of requests per model, all of the same requests."""
    size, zero = len(models), np.zeros(len(models), dtype=np.int64)
    return RequestSpans(
        env=zero,
        client=zero + client,
        begin=zero,
        end=zero + count,
        concept=zero,
        moment_s=np.full(size, moment_s),
        models=np.array(models),
        origin=np.arange(size),
    )


class TestAnswers:
    @pytest.mark.parametrize("clients", [1, N])
    @pytest.mark.parametrize("moment_s", [50.0, 120.0, 900.0])
    def test_are_right_as_often_as_the_model_is_accurate_then(self, clients, moment_s):
        problem = problem_of(2, some_path(2, clients))
        core, here = core_of(problem), problem.at(moment_s)
        models = [problem.start, here.optimum(), (problem.start + here.optimum()) / 2]
        answers = core.answer(spans_of(models, moment_s=moment_s))
        shares = answers.right.reshape(3, -1).mean(axis=1)
        gaps = np.array([here.gap(w) for w in models]) / problem.at(0.0).gap(problem.start)
        assert shares == pytest.approx(1 / (1 + 9 * gaps), abs=4 * np.sqrt(0.25 / 4000))
        assert shares[1] == 1.0
        assert answers.frozen.all()
        assert answers.loss.reshape(3, -1)[:, 0] == pytest.approx([here.loss(w) for w in models], rel=1e-5)

    def test_the_same_request_is_answered_the_same_and_better_models_never_worse(self):
        problem = problem_of(2)
        core, best = core_of(problem), problem.optimum()
        models = [best + share * (problem.start - best) for share in (1.0, 0.6, 0.3, 0.1)]
        right = core.answer(spans_of(models)).right.reshape(4, -1)
        assert (right[1:] | ~right[:-1]).all()
        assert np.array_equal(core.answer(spans_of(models)).right.reshape(4, -1), right)
        other = core.answer(spans_of(models, client=1)).right.reshape(4, -1)
        assert not np.array_equal(other, right)

    def test_a_span_cut_in_two_has_the_same_answers(self):
        problem = problem_of(2)
        core = core_of(problem)
        whole = core.answer(spans_of([problem.start], count=100))
        zero = np.zeros(2, dtype=np.int64)
        cut = RequestSpans(
            zero, zero, np.array([0, 37]), np.array([37, 100]), zero, np.zeros(2), problem.start[None], zero
        )
        assert np.array_equal(core.answer(cut).right, whole.right)

    def test_a_share_of_the_requests_gets_a_label(self):
        core = MovingQuadraticCore(SETTINGS, 1, N, LR, labelled=0.3)
        core.reset(0, problem_of(1), 5)
        zero = np.zeros(5000, dtype=np.int64)
        assert core.labelled(zero, zero, np.arange(5000)).size == pytest.approx(1500, abs=130)
        assert core_of(problem_of(1)).labelled(zero, zero, np.arange(5000)).size == 5000

    def test_is_what_a_world_with_arrivals_asks_for(self):
        assert isinstance(core_of(problem_of(1)), StreamEngine)
