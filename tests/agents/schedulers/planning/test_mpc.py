"""Model-predictive control and the gain curve it predicts with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import GainCurve
from frugalfl.envs.contract import STOP_S


def start(num_envs: int = 1, n: int = 12, **knobs):
    scheduler = make_scheduler("mpc", **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs), n)
    return scheduler


def everyone_here(situation, **changes):
    forecast = np.ones_like(situation.clients.available_forecast)
    never = np.full_like(situation.clients.announced_left_s, np.inf)
    everyone = np.ones_like(situation.clients.available)
    changes = {"available_forecast": forecast, "announced_left_s": never} | changes
    return situation.changed(available=everyone, **changes)


def curve_of(plateau=80.0, rate=0.1, trust=1.0, gain=0.5):
    return GainCurve(GainCurve.fresh(1), plateau, rate, trust, gain)


class TestGainCurve:
    def test_before_any_round_it_is_the_prior(self):
        plateau, rate = curve_of(plateau=70.0, rate=0.2).fitted()
        assert plateau[0] == pytest.approx(70.0)
        assert rate[0] == pytest.approx(0.2)

    @given(st.floats(60.0, 90.0), st.floats(0.05, 0.2))
    @settings(max_examples=30, deadline=None)
    def test_finds_the_curve_that_produced_what_it_sees(self, plateau, rate):
        curve, accuracy = curve_of(75.0, 0.1, trust=0.01, gain=1.0), 10.0
        curve.observe(np.array([accuracy]))
        for _ in range(60):
            curve.expect(np.array([0.5]), np.array([True]))
            accuracy += (plateau - accuracy) * -np.expm1(-rate * 0.5)
            curve.observe(np.array([accuracy]))
        assert curve.fitted()[0][0] == pytest.approx(plateau, rel=0.05)
        assert curve.level[0] == pytest.approx(accuracy, abs=0.1)

    def test_more_work_gains_more_with_less_and_less_return(self):
        curve = curve_of()
        work = np.linspace(0, 30, 40)[None]
        gained = curve.gained(np.array([[20.0]]), work)[0]
        assert gained[0] == 0
        assert (np.diff(gained) > 0).all()
        assert (np.diff(gained, 2) < 0).all()
        assert gained[-1] < 60.0

    def test_a_filter_does_not_believe_one_measurement(self):
        curve = curve_of(trust=1e6)
        curve.observe(np.array([40.0]))
        curve.expect(np.array([0.1]), np.array([True]))
        curve.observe(np.array([60.0]))
        assert 45 < curve.level[0] < 55
        assert curve.noise[0] > 10

    def test_waiting_changes_nothing(self):
        curve = curve_of()
        curve.observe(np.array([40.0]))
        before = curve.fitted()
        curve.expect(np.array([3.0]), np.array([False]))
        curve.observe(np.array([40.0]))
        assert curve.level[0] == 40.0
        assert curve.fitted() == before


class TestMpc:
    def test_free_training_is_worth_everybody_and_the_longest_work(self, situation_of):
        nothing = {f"price_per_{unit}": 0.0 for unit in ("hour", "gb", "kg")}
        situation = everyone_here(situation_of(0, rounds_left=20, **nothing))
        plan = start(participants=5, crowd_exponent=1.0, local_steps=20, step_spread=2.0).plan(situation)
        assert plan.invited.sum() == 5
        assert plan.local_steps.max() == 40

    def test_dear_messages_mean_few_participants(self, situation_of):
        invited = []
        for price in (0.01, 30.0):
            situation = everyone_here(situation_of(0, price_per_gb=price))
            invited.append(int(start(participants=10, crowd_exponent=0.7).plan(situation).invited.sum()))
        assert invited[0] > invited[1]

    def test_dear_hours_mean_the_fast(self, situation_of):
        situation = everyone_here(situation_of(0, price_per_hour=500.0, price_per_gb=0.0, price_per_kg=0.0))
        knobs = {"loss_weight": 0.0, "staleness_weight": 0.0, "participants": 3, "crowd_exponent": 1.0}
        plan = start(**knobs).plan(situation)
        seconds = situation.round_s(plan.local_steps.max())[0]
        invited = plan.invited[0]
        assert seconds[invited].max() <= np.sort(seconds)[invited.sum() - 1]

    def test_dear_emissions_mean_the_clean(self, situation_of):
        carbon = np.array([40.0, 900.0, 900.0])
        situation = everyone_here(
            situation_of(
                0,
                carbon_g_per_kwh=carbon,
                carbon_forecast=np.repeat(carbon[:, None], 3, axis=1),
                compute_watts=np.full(12, 100.0),
                step_s=np.full(12, 5.0),
                price_per_kg=500.0,
            )
        )
        invited = start(participants=3).plan(situation).invited[0]
        assert (situation.clients.zone[0][invited] == 0).all()

    def test_waits_where_the_forecast_pays_for_the_hours(self, situation_of):
        now, coming = np.full(3, 800.0), np.tile([20.0, 20.0, 20.0], (3, 1))
        dear = everyone_here(
            situation_of(
                0, carbon_g_per_kwh=now, carbon_forecast=coming, price_per_kg=2000.0, price_per_hour=1e-6
            )
        )
        assert start().plan(dear).wait_s[0] == 3600.0
        rushed = dear.changed(price_per_hour=np.array([1e4]))
        assert start().plan(rushed).wait_s[0] == 0.0
        last = dear.changed(rounds_left=np.array([1]))  # a wait uses no round
        assert start().plan(last).wait_s[0] == 3600.0

    def test_cheap_hours_are_not_waited_through_to_the_last(self, situation_of):
        now, coming = np.full(3, 800.0), np.tile([20.0, 20.0, 20.0], (3, 1))
        tempting = everyone_here(
            situation_of(
                0, carbon_g_per_kwh=now, carbon_forecast=coming, price_per_kg=2000.0, price_per_hour=0.0
            )
        )
        scheduler = start(wait_slack_s=3 * 3600.0)
        waits = [scheduler.plan(tempting).wait_s[0] for _ in range(6)]
        assert waits == [3600.0] * 3 + [0.0] * 3

    def test_a_set_up_is_paid_once_not_every_round(self, situation_of):
        warm = everyone_here(situation_of(0, accuracy=0.2, price_per_hour=0.0, price_per_kg=0.0))
        cold = warm.changed(setup_bytes=np.full((1, 12), 20e9), price_per_gb=np.ones(1))
        found = []
        for situation, horizon in ((warm, 1), (cold, 1), (cold, 30)):
            scheduler = start(plateau=82.0, rate=0.1, trust=200.0, stop_margin=0.0, horizon=horizon)
            scheduler.state["rounds"][:] = 1
            found.append(scheduler.plan(situation).wait_s[0])
        assert found == [0.0, STOP_S, 0.0]

    def test_stops_where_nothing_is_left_to_gain(self, situation_of):
        situation = everyone_here(situation_of(0, accuracy=0.2, price_per_hour=10.0))
        scheduler = start(plateau=82.0, trust=200.0, stop_margin=0.0)
        assert scheduler.plan(situation).wait_s[0] == 0.0
        done = situation.changed(accuracy=np.array([0.99]), price_per_hour=np.array([100.0]))
        assert scheduler.plan(done).wait_s[0] == STOP_S

    def test_a_lucky_measurement_is_a_moment_to_stop(self, situation_of):
        knobs = {"plateau": 80.0, "trust": 200.0, "filter_gain": 0.1, "stop_margin": 0.0, "luck": 0.0}
        waits = []
        for accuracy in (0.74, 0.82):
            scheduler = start(**knobs)
            situation = everyone_here(situation_of(0, accuracy=0.74, price_per_hour=0.5))
            scheduler.plan(situation)
            waits.append(scheduler.plan(situation.changed(accuracy=np.array([accuracy]))).wait_s[0])
        assert waits == [0.0, STOP_S]

    def test_leaves_out_those_who_will_not_finish(self, situation_of):
        leaving = np.where(np.arange(12) < 9, 1.0, np.inf)[None]
        situation = everyone_here(situation_of(0), announced_left_s=leaving)
        invited = start(participants=3).plan(situation).invited[0]
        assert invited.any()
        assert not invited[:9].any()

    def test_the_stale_and_the_lossy_are_preferred(self, situation_of):
        equal = {key: np.full(12, 1.0) for key in ("step_s", "compute_watts", "last_loss")}
        equal |= {"target_weight": np.full(12, 1 / 12), "zone": np.zeros(12, dtype=np.int64)}
        equal |= {"rounds_since": np.ones(12, dtype=np.int64), "network_j_per_byte": np.zeros(12)}
        equal |= {"down_bytes_per_s": np.full(12, 1e7), "up_bytes_per_s": np.full(12, 1e7)}
        equal |= {"samples_held": np.full(12, 20)}
        for name in ("last_loss", "rounds_since"):
            changed = equal | {name: np.where(np.arange(12) == 7, 5, equal[name])}
            situation = everyone_here(situation_of(0, **changed))
            assert start(participants=1).plan(situation).invited[0, 7]
