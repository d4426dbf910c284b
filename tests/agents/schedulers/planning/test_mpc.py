"""Model-predictive control and the gain curve it predicts with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import GainCurve, integral_ahead
from frugalfl.envs.contract import STOP_S
from frugalfl.envs.scenario import load_scenario

GOOD = dict(participants=1, local_steps=30, decay=0.4, crowd_exponent=0.05, avoid_losses=True)
GOOD |= dict(transfer_samples=40, stop_after_rounds=35, luck=0.4, loss_weight=0.6)
"""Settings that earn much in Volunteers."""


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
        scheduler = start()
        waits = [scheduler.plan(tempting).wait_s[0] for _ in range(6)]
        assert waits == [3600.0, 0.0] * 3  # a round after every wait

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

    def test_those_never_heard_of_may_be_worth_a_try(self, situation_of):
        heard = np.where(np.arange(12) == 7, np.nan, 1.0)
        situation = everyone_here(situation_of(0, last_loss=heard, rounds_since=np.ones(12, dtype=np.int64)))
        everyone = np.ones((1, 12), dtype=bool)
        plain, curious = (
            start(untried_bonus=bonus, share_weight=0.0).utility(situation, everyone)[0]
            for bonus in (0.0, 1.0)
        )
        assert plain == pytest.approx(np.ones(12))
        assert curious[7] == pytest.approx(2.0 * curious[0])

    def test_after_a_wait_comes_a_round(self, situation_of):
        situation = everyone_here(falling(situation_of))
        scheduler = start()
        waits = [scheduler.plan(situation).wait_s[0] for _ in range(4)]
        assert waits[0] > 0
        assert waits[1] == 0
        assert waits[2] > 0
        assert waits[3] == 0

    def test_all_waits_together_last_no_longer_than_the_slack(self, situation_of):
        situation = everyone_here(falling(situation_of))
        waited_s = {}
        for slack_s in (3600.0, 9000.0, 172800.0):
            scheduler = start(wait_slack_s=slack_s)
            waited_s[slack_s] = sum(scheduler.plan(situation).wait_s[0] for _ in range(8))
        assert 0 < waited_s[3600.0] <= 3600.0
        assert waited_s[3600.0] < waited_s[9000.0] <= 9000.0 < waited_s[172800.0]

    def test_waits_only_while_the_rounds_still_fit(self, situation_of):
        """Half of the emissions would be saved; but with few hours left the wait would cost the rounds."""
        situation = everyone_here(falling(situation_of))
        waited = []
        for hours in (1000.0, 1.05):
            budget = np.array([[hours, np.inf, np.inf]])
            waited.append(start().plan(situation.changed(budget_left=budget)).wait_s[0])
        assert waited[0] > 0
        assert waited[1] == 0

    def test_small_savings_are_not_waited_for(self, situation_of):
        situation = everyone_here(falling(situation_of))
        assert start(wait_margin=0.01).plan(situation).wait_s[0] > 0
        cheap = situation.changed(price_per_kg=0.01 * situation.terms.price_per_kg)
        assert start(wait_margin=5.0).plan(cheap).wait_s[0] == 0

    def test_no_run_is_planned_beyond_the_hours_left(self, situation_of):
        """The value of the best plan falls with the hours, and one round is always allowed."""
        scheduler, values = start(participants=2), []
        for hours in (100.0, 0.3, 0.1, 0.01):
            budget = np.array([[hours, np.inf, np.inf]])
            situation = everyone_here(situation_of(0, budget_left=budget[0], price_per_hour=0.0))
            scheduler.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64), 12)
            seen = []
            scheduler._wait_or_stop = lambda s, c, value, p, later, seen=seen: (
                seen.append(value) or np.zeros(1)
            )
            assert scheduler.plan(situation).invited.any()
            values.append(seen[0][0])
        assert values[0] > values[1] > values[2] > values[3] > -np.inf

    @pytest.mark.parametrize("price_per_hour", [0.0, 0.02])
    def test_cheap_hours_are_no_trap(self, price_per_hour):
        """Dear carbon and cheap hours: it emits less than without waiting, at no large loss of net points.

        A rule that counts a wait's hours only at their price waits through the whole budget of hours.
        """
        prices = {"price_per_hour": price_per_hour, "price_per_kg": 100.0}
        world = load_scenario("volunteers", preferences=prices)
        players = {
            "free": make_scheduler("mpc", **GOOD),
            "still": make_scheduler("mpc", **GOOD, wait_margin=5.0),
        }
        played = evaluate(players, world, episodes=8, split="val", progress=False)
        net, kilograms = (
            {name: played.values(name, metric).mean() for name in players}
            for metric in ("val_net_points", "kilograms")
        )
        assert kilograms["free"] < 0.97 * kilograms["still"]
        assert net["free"] > net["still"] - 4.0

    def test_free_hours_do_not_cost_the_run(self):
        """At the shipped prices or with hours for nothing: never less than at a price, but for a margin."""
        net = {}
        for price in (0.5, 0.0):
            world = load_scenario("volunteers", preferences={"price_per_hour": price})
            played = evaluate(
                {"mpc": make_scheduler("mpc", **GOOD)}, world, episodes=8, split="val", progress=False
            )
            net[price] = played.values("mpc", "val_net_points").mean()
        assert net[0.0] > net[0.5] - 2.0


def falling(situation_of):
    """Carbon that will be half of what it is; emissions dear and hours for nothing."""
    coming = np.tile([400.0, 400.0, 400.0], (3, 1))
    prices = {"price_per_kg": 2000.0, "price_per_hour": 0.0}
    return situation_of(
        0, carbon_g_per_kwh=np.full(3, 800.0), carbon_forecast=coming, rounds_left=30, **prices
    )


class TestIntegral:
    @given(
        st.lists(st.floats(0.0, 900.0), min_size=4, max_size=4),
        st.lists(st.floats(0.0, 40_000.0), min_size=1, max_size=5),
    )
    @settings(max_examples=50, deadline=None)
    def test_is_the_area_under_the_curve(self, values, ends_s):
        leads_s = np.array([1800.0, 7200.0, 21600.0])
        places_s = np.concatenate([[0.0], leads_s])
        found = integral_ahead(np.array(values), leads_s, np.array(ends_s))
        mean = trapezoid(values, places_s) / leads_s[-1]
        for area, end_s in zip(found, ends_s, strict=True):
            inside = np.unique(np.concatenate([places_s[places_s < end_s], [min(end_s, leads_s[-1])]]))
            expected = trapezoid(np.interp(inside, places_s, values), inside)
            expected += max(end_s - leads_s[-1], 0.0) * mean
            assert area == pytest.approx(expected, rel=1e-9, abs=1e-6)

    def test_without_a_forecast_the_present_stays(self):
        assert integral_ahead(np.array([3.0]), np.zeros(0), np.array([0.0, 10.0])).tolist() == [0.0, 30.0]
