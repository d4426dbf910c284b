"""Whose answers are checked and what waits: against closed forms, and in worlds whose optimum is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers.serving import make_policy
from frugalfl.agents.schedulers.serving.deferral import cheapest_release, room_ahead
from frugalfl.agents.schedulers.serving.thresholds import losses_of_levels, lower_bounds
from frugalfl.envs.serving import NOTHING


def asking(name, situation, steps, right, price, seed=0, **settings):
    """Thresholds `[steps, I]` of a policy that asks bins of which a share `right` agrees with the hub."""
    policy = make_policy(name, doubt=1.0, scarcity=0.0, **settings)
    policy.reset(np.ones(1, dtype=bool), np.array([seed]), situation.num_slots)
    levels, tasks = situation.terms.threshold_levels, situation.num_tasks
    terms = replace(situation.terms, steps=steps, points_per_ms=np.array([price / 120.0]))
    hub = replace(situation.hub, grams_per_request=np.zeros(1))
    rng = np.random.default_rng(seed)
    facts = replace(
        situation.tasks,
        bins_answered=np.zeros((1, tasks, levels.size)),
        bins_asked=np.zeros((1, tasks, levels.size)),
        bins_agreed=np.zeros((1, tasks, levels.size)),
    )
    chosen = []
    for _ in range(steps):
        threshold = policy.plan(replace(situation, terms=terms, hub=hub, tasks=facts)).threshold
        chosen.append(threshold[0])
        answered = np.full((1, tasks, levels.size), 200.0)
        asked = answered * (levels[None, None] < threshold[:, :, None])
        agreed = rng.binomial(asked.astype(int), np.broadcast_to(right, asked.shape)).astype(float)
        facts = replace(facts, bins_answered=answered, bins_asked=asked, bins_agreed=agreed)
    return np.array(chosen)


RIGHT = np.array([0.45, 0.65, 0.85, 0.99])
"""Answers in each bin that the hub confirms; a price of 25 points is worth paying for the first two."""


class TestLearnedThresholds:
    """One task's optimum is known: ask where 1 - p > price / 100."""

    @pytest.mark.parametrize(("price", "best"), [(10.0, 0.9), (25.0, 0.7), (45.0, 0.5), (70.0, 0.0)])
    def test_hi_lcb_finds_the_threshold_of_the_calibrated_optimum(self, price, best, situations):
        chosen = asking("hi-lcb", situations([3]), 60, RIGHT, price, memory=1000.0)
        assert (chosen[-20:] == best).mean() >= 0.9

    @pytest.mark.parametrize("name", ["h2t2", "hi-exp"])
    def test_exponential_weights_come_to_prefer_it(self, name, situations):
        chosen = np.concatenate([asking(name, situations([3]), 2000, RIGHT, 25.0, seed) for seed in range(2)])
        late = chosen.reshape(2, 2000, -1)[:, 1500:]
        levels, counts = np.unique(late, return_counts=True)
        assert levels[counts.argmax()] == 0.7

    def test_bounds_rise_with_the_confidence_and_shrink_with_counts(self):
        asked = np.array([[[100.0, 10.0, 0.0]]])
        low = lower_bounds(asked, 0.8 * asked, np.array([[1000.0]]), 0.5)
        width = np.sqrt(0.5 * np.log(1000.0) / 100.0)
        assert low[0, 0] == pytest.approx([0.8 - width] * 3)
        assert (lower_bounds(10 * asked, 8 * asked, np.array([[1000.0]]), 0.5) > low).all()

    def test_losses_of_levels(self):
        asked, kept = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[10.0, 20.0, 40.0]]])
        assert losses_of_levels(asked, kept)[0, 0] == pytest.approx([70.0, 61.0, 43.0])


class TestCalibrated:
    """The threshold that validation rows say is best."""

    def test_follows_accuracy_share_and_price(self, situations):
        situation = situations([3, 4, 5], slots=9)
        policy = make_policy("calibrated")

        def chosen(price):
            policy.reset(np.ones(3, dtype=bool), np.arange(3), 9)
            terms = replace(situation.terms, points_per_ms=np.full(3, price / 120.0))
            return policy.plan(replace(situation, terms=terms)).threshold

        cheap, dear = chosen(0.0), chosen(500.0)
        used = np.zeros((3, situation.num_tasks), dtype=bool)
        rows, slots = np.nonzero(situation.serving)
        used[rows, situation.task_of(situation.slots.model)[rows, slots]] = True
        better = (situation.tasks.ask_accuracy[:, :-1, -1] > situation.tasks.ask_accuracy[:, :-1, 0]).all()
        assert better
        assert (dear == 0.0).all()
        assert (cheap[used] >= dear[used]).all()
        assert cheap.max() > 0.0

    def test_a_full_hub_is_not_asked_lightly(self, situations):
        situation = situations([3, 4, 5], slots=9)
        full = replace(
            situation, tasks=replace(situation.tasks, dropped_last=np.ones((3, situation.num_tasks)))
        )
        policy = make_policy("calibrated", scarcity=100.0)
        policy.reset(np.ones(3, dtype=bool), np.arange(3), 9)
        assert policy.plan(full).threshold.sum() < policy.plan(situation).threshold.sum()


class TestRelease:
    """What can wait."""

    def test_without_limits_everybody_takes_the_earliest_cheapest_step_before_its_deadline(self):
        waiting = np.array([5.0, 0.0, 0.0, 7.0, 0.0, 9.0])
        cost = np.array([5.0, 3.0, 1.0, 1.0, 4.0, 0.5])
        plan = cheapest_release(waiting, cost, np.full(6, np.inf))
        assert plan == pytest.approx([5.0, 0.0, 7.0, 0.0, 0.0, 9.0])

    def test_room_is_kept(self):
        waiting, cost = np.array([0.0, 0.0, 0.0, 12.0]), np.array([4.0, 1.0, 2.0, 3.0])
        plan = cheapest_release(waiting, cost, np.array([10.0, 5.0, 5.0, 5.0]))
        assert plan == pytest.approx([0.0, 5.0, 5.0, 2.0])
        short = cheapest_release(waiting, cost, np.array([1.0, 2.0, 3.0, 1.0]))
        assert short.sum() == pytest.approx(12.0)
        assert short[0] >= 1.0

    def test_plan_is_the_cheapest_of_all(self):
        rng = np.random.default_rng(0)
        for _ in range(5):
            waiting, cost = rng.integers(0, 3, 4).astype(float), rng.uniform(0, 5, 4)
            plan = cheapest_release(waiting, cost, np.full(4, np.inf))
            best = sum(n * cost[: d + 1].min() for d, n in enumerate(waiting))
            assert plan @ cost == pytest.approx(best, abs=1e-6)

    def test_lp_releases_all_where_waiting_saves_nothing_and_waits_where_it_saves_much(self, situations):
        situation = situations([1, 2, 6])
        zones = situation.zones
        flat = np.repeat(zones.carbon_g_per_kwh[:, :, None], zones.carbon_forecast.shape[2], axis=2)
        roomy = replace(situation.hub, capacity_per_step=np.full(3, 1e9))
        terms = replace(situation.terms, price_per_kg=np.full(3, 1e4))
        queue = situation.tasks.queue.copy()
        queue[..., 0] = 0.0
        tasks = replace(situation.tasks, queue=queue)
        policy = make_policy("lp-defer", risk=0.001)
        released = []
        for forecast in (flat, 0.2 * flat):
            policy.reset(np.ones(3, dtype=bool), np.arange(3), 6)
            now = replace(situation, hub=roomy, terms=terms, tasks=tasks)
            now = replace(now, zones=replace(zones, carbon_forecast=forecast))
            released.append(policy.plan(now).release)
        assert released[0] == pytest.approx(np.ones(3))
        assert (released[1] < 0.5).all()

    def test_threshold_releases_in_clean_hours_only(self, situations):
        situation = situations([1, 2, 6])
        policy = make_policy("threshold-defer")
        for factor, share in ((3.0, 1.0), (0.3, 0.0)):
            forecast = factor * np.repeat(situation.zones.carbon_g_per_kwh[:, :, None], 3, axis=2)
            policy.reset(np.ones(3, dtype=bool), np.arange(3), 6)
            zones = replace(situation.zones, carbon_forecast=forecast)
            assert (policy.plan(replace(situation, zones=zones)).release == share).all()

    def test_room_shrinks_as_sessions_end(self, situations):
        situation = situations([1, 2, 6], slots=12)
        hub = replace(situation.hub, capacity_per_step=np.zeros(3))
        idle = replace(situation.tasks, rate=0.01 * situation.tasks.rate, queue=1e6 + situation.tasks.queue)
        forever = np.full(situation.slots.available.shape, np.inf)
        slots = replace(situation.slots, announced_left_s=forever)
        room = room_ahead(replace(situation, hub=hub, tasks=idle, slots=slots), 6)
        assert (np.diff(room, axis=1) < 0).all()
        nobody = replace(slots, model=np.full(forever.shape, NOTHING))
        assert (room_ahead(replace(situation, hub=hub, tasks=idle, slots=nobody), 6) == 0).all()
