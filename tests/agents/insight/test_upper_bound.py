"""The certified bound on quadratics: its lemma against simulated rounds, and nobody above it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_worlds import plain

from frugalfl.agents.insight import upper_bounds
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.agents.schedulers.parts import play_out
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticSettings, quadratic_problem
from frugalfl.fl_core.theory import RoundPrices, attainable_points

N, CHANCE = 5, 0.1
SETTINGS = QuadraticSettings(dimension=3, convexity=0.3, smoothness=2.0, start_distance=4.0)


def problem_of(seed, rows=20):
    zone = np.arange(N) % 2
    return quadratic_problem(SETTINGS, N, zone, 2, np.random.default_rng(seed), rows)


def prices_of(seed, scale=1.0):
    rng = np.random.default_rng([seed, 1])
    return RoundPrices(
        scale * rng.uniform(0.2, 1.0, N), scale * rng.uniform(0.05, 0.4, N), rng.integers(1, 30, N)
    )


class TestAttainable:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 5_000),
        rate=st.sampled_from([0.02, 0.1, 0.4]),
        step=st.sampled_from([0.5, 1.0]),
        decay=st.sampled_from([0.6, 0.95, 1.0]),
    )
    def test_no_random_run_earns_more(self, seed, rate, step, decay):
        """The oracle: rounds of the real core at the least prices, with everybody always there."""
        problem, prices, rng = problem_of(seed), prices_of(seed), np.random.default_rng([seed, 2])
        bound = attainable_points(problem, prices, rate, CHANCE, step)
        training = {"learning_rate": rate, "learning_rate_decay": decay, "server_learning_rate": step}
        core = QuadraticCore(SETTINGS, 1, N, training)
        core.reset(0, problem, seed)
        paid = 0.0
        for index in range(8):
            steps = np.where(rng.random(N) < 0.6, rng.integers(1, prices.most_steps + 1), 0)
            core.hold((problem.own + rng.integers(0, 21, N))[None])
            weights = rng.dirichlet(np.ones(N)) * (steps > 0)
            weights = weights / max(weights.sum(), 1e-12)
            orders = {"local_steps": steps[None], "weights": weights[None]}
            core.run_round(TrainingOrders(round_index=np.array([index]), **orders))
            each = np.where(steps > 0, prices.fixed + prices.per_step * steps, 0.0)
            paid += each.max()  # time is the slowest one's; everything else is left out, to be mean
            assert 100 * (core.evaluate()[0][0] - CHANCE) - paid <= bound + 1e-7

    @pytest.mark.parametrize("seed", range(3))
    def test_the_greedy_single_client_comes_near_where_all_are_alike(self, seed):
        """Without heterogeneity the relaxation is nearly exact: one client is as good as all."""
        alike = QuadraticSettings(dimension=1, zone_spread=0.0, client_spread=0.0, start_distance=4.0)
        problem = quadratic_problem(alike, N, np.zeros(N, int), 1, np.random.default_rng(seed), 0)
        cheapest = RoundPrices(np.full(N, 0.5), np.full(N, 0.4), np.full(N, 60))
        bound = attainable_points(problem, cheapest, 0.05, CHANCE)
        contraction = (1 - 0.05 * problem.hessian[0, 0, 0]) ** (2 * np.arange(61))
        earned = 100 / (1 + (1 / CHANCE - 1) * contraction) - 100 * CHANCE - 0.5 - 0.4 * np.arange(61)
        assert earned.max() <= bound <= earned.max() + 0.5

    def test_dearer_rounds_and_slower_training_allow_less(self):
        problem = problem_of(1)
        bounds = [attainable_points(problem, prices_of(1, scale), 0.02, CHANCE) for scale in (0.3, 1, 3, 90)]
        assert (np.diff(bounds) < 0).all()
        assert bounds[-1] >= 0.0
        slow, fast = (attainable_points(problem, prices_of(1), rate, CHANCE) for rate in (0.002, 0.1))
        assert slow < fast < 100 * (1 - CHANCE)

    def test_nobody_can_train_in_time(self):
        prices = RoundPrices(np.ones(N), np.ones(N), np.zeros(N, dtype=np.int64))
        assert attainable_points(problem_of(1), prices, 0.1, CHANCE) == 0.0


@pytest.mark.parametrize(("share", "steps"), [(0.5, 1), (0.3, 4), (0.95, 11)])
def test_steps_at_a_smaller_rate_are_a_mixture_of_fewer_at_the_larger(share, steps):
    """What lets the bound at the first round's rate cover every decay."""
    problem, rate = problem_of(3), 0.1
    point = problem.start

    def after(eta, count):
        w = point.copy()
        for _ in range(count):
            w = w - eta * problem.hessian[2] @ (w - problem.centre[2])
        return w

    chance = [math.comb(steps, j) * share**j * (1 - share) ** (steps - j) for j in range(steps + 1)]
    mixture = sum(p * after(rate, j) for j, p in enumerate(chance))
    np.testing.assert_allclose(after(share * rate, steps), mixture, rtol=1e-12)


@pytest.fixture(scope="module")
def world():
    return FederatedWorld(plain("quadratic"), 5, "test")


@pytest.fixture(scope="module")
def seeds():
    return np.arange(40, 45)


@pytest.fixture(scope="module")
def bounds(world, seeds):
    return upper_bounds(world, seeds)


class TestOfAWorld:
    def test_is_below_what_the_optimum_for_nothing_would_earn(self, bounds):
        assert (bounds < 90.0).all()
        assert (bounds > 0.0).all()

    @pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "clairvoyant"])
    def test_nobody_is_above_it_with_any_stop(self, world, seeds, bounds, name):
        assert (play_out(world, make_scheduler(name, "quadratic"), seeds).points <= bounds).all()

    def test_nor_is_a_search_in_hindsight(self, seeds, bounds):
        scenario = plain("quadratic")
        best = make_scheduler("clairvoyant", "quadratic", max_candidates=3, splices=0, mutations=40)
        best.prepare(lambda size: FederatedWorld(scenario, size, "test"), seeds.tolist())
        assert (np.array([best.plays[seed].net_points for seed in seeds.tolist()]) <= bounds).all()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"quadratic": {"gradient_noise": 0.5}}, "quadratic: gradient_noise: 0.5"),
            ({"training": {"weight_decay": 0.1}}, "training: weight_decay: 0.1"),
            ({"aggregator": "unbiased"}, "aggregator: 'unbiased'"),
            ({"compression": "8-bit"}, "compression: "),
            ({"topology": "ring"}, "topology: 'ring'"),
        ],
    )
    def test_refuses_what_the_proof_does_not_cover(self, changes, reason):
        world = FederatedWorld(plain("quadratic", **changes), 1)
        with pytest.raises(ValueError, match=reason):
            upper_bounds(world, np.array([1]))

    def test_the_packaged_world_is_covered(self, seeds):
        world = FederatedWorld(load_scenario("quadratic"), 2, "test")
        bounds = upper_bounds(world, seeds[:2])
        assert (bounds < 90.0).all()
        for name in ("mpc", "linear-rule"):
            played = play_out(world, make_scheduler(name, "quadratic"), seeds[:2])
            assert (played.points <= bounds).all()

    def test_refuses_worlds_of_data(self):
        with pytest.raises(ValueError, match="expected a world of quadratics"):
            upper_bounds(FederatedWorld(load_scenario("volunteers"), 1), np.array([1]))
