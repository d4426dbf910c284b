"""Weights of streams against a solver, Whittle's index against all thresholds, and regret below its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.streams import best_weights, whittle_index

N = 12
EXPERTS = ("oga-pace", "oma-pace")


def objective(p, samples, noise):
    return np.sqrt((p**2 / samples).sum()) + p @ noise


class TestBestWeights:
    @pytest.mark.parametrize("seed", range(8))
    def test_is_what_a_solver_finds(self, seed):
        rng = np.random.default_rng(seed)
        samples, noise = rng.uniform(5, 500, 6), rng.uniform(0, 0.3, 6) * rng.integers(0, 2)
        found = best_weights(samples[None], noise[None], np.ones((1, 6), bool))[0]
        assert found.sum() == pytest.approx(1.0)
        assert (found >= 0).all()
        solved = minimize(
            objective,
            np.full(6, 1 / 6),
            args=(samples, noise),
            bounds=[(0, 1)] * 6,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert objective(found, samples, noise) <= solved.fun + 1e-7

    def test_limits(self):
        samples, everybody = np.array([[10.0, 30.0, 60.0]]), np.ones((1, 3), bool)
        assert best_weights(samples, np.zeros((1, 3)), everybody)[0] == pytest.approx([0.1, 0.3, 0.6])
        steep = np.array([[5.0, 1.0, 3.0]])
        assert best_weights(samples, steep, everybody)[0] == pytest.approx([0, 1, 0])
        some = np.array([[True, False, True]])
        assert best_weights(samples, np.zeros((1, 3)), some)[0] == pytest.approx([1 / 7, 0, 6 / 7])
        assert best_weights(samples, steep, np.zeros((1, 3), bool))[0].tolist() == [0, 0, 0]

    def test_rows_are_on_their_own(self):
        rng = np.random.default_rng(0)
        samples, noise, among = (
            rng.uniform(1, 99, (5, 7)),
            rng.uniform(0, 1, (5, 7)),
            rng.random((5, 7)) < 0.6,
        )
        together = best_weights(samples, noise, among)
        for row in range(5):
            alone = best_weights(samples[[row]], noise[[row]], among[[row]])
            assert np.array_equal(alone[0], together[row])


class TestMarfoq:
    def plan(self, name, service, **knobs):
        made = service(lambda hours, rounds: 0.1)
        made.requests = 5000
        made.facts = {"requests": np.arange(100, 100 + 50 * N, 50)[None]}
        scheduler = make_scheduler(name, participants=N, **knobs)
        scheduler.reset(np.ones(1, dtype=bool), np.array([1]), N)
        return scheduler.plan(made.now()), made

    def test_uniform_counts_every_sample_the_same(self, service):
        plan, made = self.plan("marfoq-uniform", service)
        assert plan.invited.all()
        assert plan.weights[0] / plan.weights[0, 0] == pytest.approx(made.facts["requests"][0] / 100)

    def test_historical_and_fresh_are_the_two_halves(self, service):
        old, _ = self.plan("marfoq-historical", service)
        young, _ = self.plan("marfoq-fresh", service)
        assert np.flatnonzero(old.invited[0]).tolist() == list(range(6, 12))  # ages grow with the index
        assert np.array_equal(young.invited, ~old.invited)

    def test_all_alike_are_all_taken(self, service):
        made = service(lambda hours, rounds: 0.1)
        for name in ("marfoq-historical", "marfoq-fresh"):
            scheduler = make_scheduler(name, participants=N)
            scheduler.reset(np.ones(1, dtype=bool), np.array([1]), N)
            assert scheduler.plan(made.now().changed(stream=None)).invited.all()

    def test_optimal_prefers_large_memories_as_noise_weighs_more(self, service):
        few = np.where(np.arange(N) < 6, 4, 40)[None]
        shares = []
        for noise in (0.001, 1.0):
            made = service(lambda hours, rounds: 0.1)
            made.facts = {"memory_rows": few, "requests": np.full((1, N), 200)}
            scheduler = make_scheduler("marfoq-optimal", participants=N, noise=noise)
            scheduler.reset(np.ones(1, dtype=bool), np.array([1]), N)
            weights = scheduler.plan(made.now()).weights[0]
            shares.append(weights[:6].sum() / weights.sum())
        assert shares[0] == pytest.approx(0.5, abs=0.01)
        assert shares[1] < 0.2


class TestAdaptiveLr:
    def test_settles_while_nothing_changes_and_wakes_up_when_updates_grow(self, service):
        made = service(lambda hours, rounds: 0.1)
        scheduler = make_scheduler("adaptive-lr", decay_power=1.0, period_h="off", local_steps=100)
        scheduler.reset(np.ones(1, dtype=bool), np.array([1]), N)
        steps = []
        for index in range(30):
            norm = 1.0 if index < 20 else 6.0
            made.changes = {"last_norm": np.full((1, N), norm), "rounds_since": np.ones((1, N), dtype=int)}
            plan = scheduler.plan(made.now())
            steps.append(int(plan.local_steps.max()))
            made.step(plan)
        assert steps[0] == 100
        # Equal lengths: the ratio is 1, and the t-th round has 1 / t of the step.
        assert steps[1:20] == [max(1, round(100 / t)) for t in range(1, 20)]
        assert max(steps[21:24]) > 2 * steps[19]

    def test_a_wait_is_no_round(self, service, play):
        made = service(lambda hours, rounds: 0.1)
        made.changes = {"last_norm": np.full((1, N), 1.0), "rounds_since": np.ones((1, N), dtype=int)}
        scheduler = play("adaptive-lr", made, 20.0, period_h=4.0)
        assert scheduler.state["seen"][0] == made.round


class TestWhittle:
    def test_of_a_line(self):
        """f(a) = a: a^2 - a (a - 1) / 2 = a (a + 1) / 2."""
        ages = np.arange(10.0)
        assert whittle_index(ages[None])[0] == pytest.approx(ages * (ages + 1) / 2)

    @given(st.lists(st.floats(0, 5), min_size=4, max_size=25), st.floats(0.01, 60))
    @settings(max_examples=80, deadline=None)
    def test_renews_as_the_best_threshold_does(self, rises, price):
        """Renewing after n slots costs (price + f(0) + ... + f(n - 1)) / n per slot; none is cheaper."""
        loss = np.cumsum(rises)
        index = whittle_index(loss[None])[0]
        assert (np.diff(index) >= -1e-9).all()
        due = np.flatnonzero(index >= price)
        costs = (price + np.cumsum(loss)) / np.arange(1, loss.size + 1)  # after 1, 2, ... slots
        if due.size and due[0] > 0:
            assert costs[due[0] - 1] <= costs.min() + 1e-9


class TestExperts:
    @pytest.mark.parametrize("name", EXPERTS)
    @given(
        seed=st.integers(0, 10_000),
        quota=st.sampled_from([0.01, 0.1, 0.4]),
        rate=st.sampled_from([0.2, 1.0, 5.0]),
    )
    @settings(max_examples=8, deadline=None)
    def test_regret_stays_below_the_bound_in_every_episode(self, name, seed, quota, rate, request):
        rng = np.random.default_rng(seed)
        made = request.getfixturevalue("service")(lambda hours, rounds: rng.random() ** 3, hours=60.0)
        scheduler = request.getfixturevalue("play")(name, made, 55.0, quota=quota, rate=rate)
        assert scheduler.state["decided"][0] > 50
        assert scheduler.regret()[0] <= scheduler.regret_bound()[0] + 1e-9

    @pytest.mark.parametrize("name", EXPERTS)
    def test_regret_is_that_against_all_fixed_chances(self, name, service, play):
        made = service(lambda hours, rounds: 0.5 + 0.4 * np.sin(rounds), hours=60.0)
        scheduler = play(name, made, 40.0, quota=0.1)
        train, wait = scheduler.state["gained"][0]
        best = max(x * train + (1 - x) * wait for x in np.linspace(0.1, 0.9, 801))
        assert scheduler.regret()[0] == pytest.approx(best - scheduler.state["earned"][0])

    @pytest.mark.parametrize("name", EXPERTS)
    def test_bounds_are_the_theorys(self, name, service, play):
        """D G sqrt(T), D from (1/2, 1/2) to a corner, and sqrt(2 ln 2 T), as the quota vanishes."""
        made = service(lambda hours, rounds: 0.3, hours=100.0)
        scheduler = play(name, made, 1.0, quota=0.01)
        scheduler.state["decided"][:] = scheduler.state["horizon"]
        horizon = float(scheduler.state["horizon"][0])
        assert horizon == 200
        expected = np.sqrt(0.5 * horizon) if name == "oga-pace" else np.sqrt(2 * np.log(2) * horizon)
        assert scheduler.regret_bound()[0] == pytest.approx(expected, rel=0.05)

    @pytest.mark.parametrize("name", EXPERTS)
    def test_learns_to_wait_where_rounds_only_cost(self, name, service, play):
        made = service(lambda hours, rounds: 0.2, hours=300.0)
        made.changes = {"price_per_gb": np.array([20.0])}
        scheduler = play(name, made, 250.0)
        assert scheduler.state["chance"][0] < 0.2

    @pytest.mark.parametrize("name", EXPERTS)
    def test_learns_to_train_where_the_model_ages_fast(self, name, service, play):
        def ageing(hours, rounds):
            fresh = bool(made.trained_h) and hours - made.trained_h[-1] <= 0.6
            made.level = max(0.1, made.level - 0.3) if fresh else min(0.9, made.level + 0.15)
            return made.level

        made = service(ageing, hours=300.0)
        made.level = 0.5
        made.changes = {"price_per_gb": np.array([0.01])}
        scheduler = play(name, made, 250.0)
        assert scheduler.state["chance"][0] > 0.6
