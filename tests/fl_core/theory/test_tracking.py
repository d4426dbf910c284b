"""Following a moving optimum: the closed form against the core itself, limits, and the best pace."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import WALK_EVERY_S, MovingQuadraticCore, jumps, quadratic_problem, walk
from frugalfl.fl_core.theory import Pace, Rates, affine_rounds, best_pace, track

N, D, ETA, CHANCE = 4, 3, 0.05, 0.1
HOUR_S = 3600.0


def problem_of(seed=0, **settings):
    rng = np.random.default_rng(seed)
    return quadratic_problem({"dimension": D} | settings, N, np.arange(N) % 2, 2, rng)


def simulated(problem, settings, paths, steps, period_s, rounds, who=None):
    """Mean excess and accuracy over all but the first quarter of the rounds, every five minutes."""
    core = MovingQuadraticCore({"dimension": D} | settings, len(paths), N, {"learning_rate": ETA})
    for env, path in enumerate(paths):
        core.reset(env, replace(problem, path=path), env)
    excess, accuracy, concept = [], [], np.zeros((len(paths), N), dtype=np.int64)
    rng = np.random.default_rng(9)
    for index in range(rounds):
        begin_s = WALK_EVERY_S / 2 + index * period_s  # between two steps of a walk
        core.be_in(concept, np.full(len(paths), begin_s))
        orders = np.full((len(paths), N), steps, dtype=np.int32)
        weights = np.broadcast_to(problem.target_weight, orders.shape)
        if who is not None:
            chosen = who[rng.integers(len(who), size=len(paths))]
            orders, weights = np.where(chosen, steps, 0).astype(np.int32), np.where(chosen, weights, 0.0)
            weights = weights / weights.sum(axis=1, keepdims=True)
        core.run_round(TrainingOrders(orders, weights, np.full(len(paths), index)))
        for moment in np.arange(150.0, period_s, 300.0):
            if 4 * index >= rounds:
                core.be_in(concept, np.full(len(paths), begin_s + moment))
                excess.append(core.gap())
                accuracy.append(core.evaluate()[0])
    return np.mean(excess), np.mean(accuracy)


@pytest.mark.parametrize("steps", [2, 8])
@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_excess_and_accuracy_on_a_walk_are_the_cores(steps, spread):
    """Everybody in every round, alike or not, noise included: within 2 %."""
    settings = {"zone_spread": spread, "client_spread": spread / 2, "gradient_noise": 0.4, "convexity": 1.0}
    problem, step = problem_of(1, **settings), 0.8
    paths = [walk(D, 121 * HOUR_S, step, np.random.default_rng(seed)) for seed in range(200)]
    found = simulated(problem, settings, paths, steps, HOUR_S, 120)
    rounds = affine_rounds(problem, problem.target_weight[None], ETA, steps, 0.4**2)
    predicted = track(problem, rounds, Pace(HOUR_S, step**2))
    assert predicted.excess == pytest.approx(found[0], rel=0.02)
    assert predicted.accuracy(problem.gap(problem.start), CHANCE) == pytest.approx(found[1], rel=0.02)


def test_excess_under_random_participation_and_jumps():
    """Two of four clients at random; the optimum jumps: second moments are all that counts."""
    settings = {"zone_spread": 0.3, "convexity": 1.0}
    problem = problem_of(2, **settings)
    who = np.array(
        [[a, b, c, d] for a, b, c, d in product([0, 1], repeat=4) if a + b + c + d == 2], dtype=bool
    )
    paths = [jumps(D, 241 * HOUR_S, 6.0, 2.0, np.random.default_rng(seed)) for seed in range(200)]
    found, _ = simulated(problem, settings, paths, 3, 2 * HOUR_S, 120, who)
    shares = who * problem.target_weight
    omega = shares / shares.sum(axis=1, keepdims=True)
    predicted = track(problem, affine_rounds(problem, omega, ETA, 3), Pace(2 * HOUR_S, 2.0**2 / 6.0))
    assert predicted.excess == pytest.approx(found, rel=0.04)  # of jumps there are few


def test_one_dimension_by_hand():
    """e' = k (e + delta): second moment k^2 q / (1 - k^2) after a round, q / 2 more on average later."""
    problem = problem_of(3, dimension=1, convexity=2.0, smoothness=2.0, zone_spread=0.0, client_spread=0.0)
    keep, q = (1 - ETA * 2.0) ** 4, 0.5**2
    found = track(problem, affine_rounds(problem, problem.target_weight[None], ETA, 4), Pace(HOUR_S, q))
    after = keep**2 * q / (1 - keep**2)
    assert found.excess_after == pytest.approx(after)  # 1/2 times the Hessian, 2
    assert found.excess == pytest.approx(after + q / 2)


def test_many_steps_forget_everything_but_what_moved_since():
    problem = problem_of(4, zone_spread=0.0, client_spread=0.0)
    rounds = affine_rounds(problem, problem.target_weight[None], ETA, 4000)
    at_once, slow = (track(problem, rounds, Pace(HOUR_S, 1.0, lag)) for lag in (0.0, 1800.0))
    assert at_once.excess_after == pytest.approx(0.0, abs=1e-12)
    moved = 0.5 * np.trace(at_once.hessian) / D
    assert at_once.excess == pytest.approx(moved / 2)
    assert slow.excess_after == pytest.approx(moved / 2)  # half an hour of walking happens during the round


def test_accuracy_is_the_mean_over_a_gaussian_error():
    """Quadrature against a million draws, with a bias and eigenvalues far apart."""
    problem = problem_of(5, convexity=0.05, smoothness=8.0, zone_spread=1.5)
    found = track(problem, affine_rounds(problem, problem.target_weight[None], ETA, 5), Pace(4 * HOUR_S, 1.5))
    rng = np.random.default_rng(0)
    centred = found.second - np.outer(found.mean, found.mean)
    moment = rng.random(1_000_000)
    error = rng.multivariate_normal(found.mean, centred, moment.size)
    error += np.sqrt(moment)[:, None] * rng.multivariate_normal(np.zeros(D), found.walked, moment.size)
    gap = 0.5 * np.einsum("ti,ij,tj->t", error, found.hessian, error)
    start = problem.gap(problem.start)
    assert gap.mean() == pytest.approx(found.excess, rel=0.005)
    drawn = (1 / (1 + (1 / CHANCE - 1) * gap / start)).mean()
    assert found.accuracy(start, CHANCE) == pytest.approx(drawn, rel=0.002)


class TestBestPace:
    STEPS, PERIODS = (1, 5, 20, 60), tuple(HOUR_S * h for h in (0.5, 1, 2, 4, 8, 24))

    def best(self, per_round, per_step=0.0, square_per_h=0.5, **options):
        rates = Rates(2.0, lambda steps: per_round + per_step * steps, **options)
        problem = problem_of(6, zone_spread=0.0, client_spread=0.0)
        return best_pace(problem, ETA, square_per_h, CHANCE, rates, self.STEPS, self.PERIODS)

    def test_what_costs_nothing_is_done_always(self):
        found = self.best(0.0)
        assert (found.steps, found.period_s) == (60, 0.5 * HOUR_S)

    def test_the_dearer_the_rarer_and_the_faster_it_moves_the_oftener(self):
        periods = [self.best(price).period_s for price in (0.001, 0.05, 0.3, 2.0)]
        assert periods == sorted(periods)
        assert periods[0] < periods[-1]
        speeds = [self.best(0.05, square_per_h=square).period_s for square in (0.02, 0.3, 3.0)]
        assert speeds == sorted(speeds, reverse=True)
        assert speeds[0] > speeds[-1]

    def test_dear_steps_are_saved(self):
        assert self.best(0.05, 0.01).steps < self.best(0.05, 0.0).steps

    def test_is_the_best_of_all_that_are_compared(self):
        problem, found = problem_of(6, zone_spread=0.0, client_spread=0.0), self.best(0.1, 0.002)
        start = problem.gap(problem.start)
        for steps, period_s in product(self.STEPS, self.PERIODS):
            follows = track(
                problem,
                affine_rounds(problem, problem.target_weight[None], ETA, steps),
                Pace(period_s, 0.5),
            )
            net = 2.0 * follows.accuracy(start, CHANCE) - (0.1 + 0.002 * steps) * HOUR_S / period_s
            assert net <= found.net_per_h + 1e-12

    def test_a_round_takes_its_time(self):
        found = self.best(0.0, round_s=lambda steps: 90.0 * steps)
        assert found.period_s >= 90.0 * found.steps
        with pytest.raises(ValueError, match="periods_s"):
            self.best(0.0, round_s=lambda steps: 1e9)
