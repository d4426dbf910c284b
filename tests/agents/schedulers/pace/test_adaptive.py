"""Schedulers that adapt: the quorum (DBW), the local steps (JSAC, AdaComm), and the data they move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.pace import (
    best_answers,
    drift,
    expected_gain,
    jsac_tau,
    marginal_samples,
    sample_points,
    skew_price,
    threshold_samples,
)

POSITIVE = st.floats(1e-3, 1e3)


def start(name: str, num_envs: int = 1, n: int = 12, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs), n)
    return scheduler


def everyone_here(situation, **changes):
    return situation.changed(available=np.ones_like(situation.clients.available), **changes)


class TestDynamicBackup:
    round_s = np.array([[10.0, 12.0, 15.0, 30.0, 90.0]])

    def best(self, signal, noise):
        return int(best_answers(expected_gain(np.array([signal]), np.array([noise]), 5), self.round_s)[0])

    def test_without_noise_one_answer_and_with_much_all(self):
        """POLICIES 5.3: sigma = 0 => 1, sigma -> infinity => n."""
        assert self.best(1.0, 0.0) == 1
        assert self.best(1.0, 1e9) == 5
        assert self.best(0.0, 0.0) == 5

    @given(st.lists(st.floats(1.0, 100.0), min_size=5, max_size=5))
    def test_more_noise_never_asks_for_fewer(self, times):
        rounds = np.sort(np.array(times))[None]
        answers = [
            int(best_answers(expected_gain(np.ones(1), np.array([noise]), 5), rounds)[0])
            for noise in (0.0, 0.3, 0.6, 0.9)
        ]
        assert answers == sorted(answers)

    def test_the_gain_per_second_is_what_counts(self):
        gain = expected_gain(np.array([1.0]), np.array([0.9]), 5)
        rate = gain / self.round_s
        assert best_answers(gain, self.round_s)[0] == rate.argmax() + 1

    def test_times_are_made_to_grow_with_the_answers(self):
        gain = np.array([[1.0, 1.1, 1.2]])
        assert best_answers(gain, np.array([[10.0, 1.0, 10.0]]))[0] == 3

    def answers(self, plan):
        return math.ceil(plan.quorum[0] * plan.invited.sum())

    def test_closes_the_round_at_its_answers_and_learns_the_noise(self, situation_of):
        """Decreases that follow 1 - noise / k teach k: hardly any noise asks for fewer than much."""
        asked = {}
        for noise in (0.02, 0.9):
            situation = everyone_here(situation_of(4))
            scheduler = start("dynamic-backup", participants=8, memory=30.0)
            loss, arrived = 1.0, 0
            rng = np.random.default_rng(1)
            for _ in range(40):
                completions = np.zeros((1, 12), dtype=np.int64)
                completions[0, 0] = arrived
                now = situation.changed(loss=np.array([loss]), completions=completions)
                plan = scheduler.plan(now)
                k = min(self.answers(plan), int(plan.invited.sum()))
                k = int(rng.integers(1, 9)) if _ < 20 else k
                arrived += k
                loss *= 1 - 0.05 * (1 - noise / k)
            asked[noise] = self.answers(plan)
        assert asked[0.02] < asked[0.9]

    def test_a_loss_that_rose_raises_the_answers(self, situation_of):
        situation = everyone_here(situation_of(4))
        scheduler = start("dynamic-backup", participants=8, noise_ratio=0.05)
        before = self.answers(scheduler.plan(situation))
        completions = situation.clients.completions + 1
        worse = situation.changed(loss=situation.run.loss * 2, completions=completions)
        assert self.answers(scheduler.plan(worse)) > before


class TestJsacTau:
    def tau(self, delta, b=5.0, most=100):
        one = np.ones(1)
        limit = np.array([most])
        return int(jsac_tau(0.01, 5 * one, 2 * one, delta * one, 1000 * one, one, b * one, 0.025, limit)[0])

    def test_the_drift_is_nothing_at_nought_and_one_step(self):
        assert drift([0, 1], 0.01, 5.0, 3.0) == pytest.approx([0, 0], abs=1e-15)
        assert (np.diff(drift(np.arange(1, 50), 0.01, 5.0, 3.0)) > 0).all()

    def test_published_behaviour(self):
        """POLICIES 5.3: delta = 0 => max; 36, 18, 8, 4 for delta = .01, .1, 1, 10; b = 0 => 1."""
        assert self.tau(0.0) == 100
        assert [self.tau(delta) for delta in (0.01, 0.1, 1.0, 10.0)] == [36, 18, 8, 4]
        assert self.tau(1.0, b=0.0) == 1
        assert self.tau(0.0, most=7) == 7

    @given(POSITIVE, POSITIVE, POSITIVE)
    @settings(max_examples=40, deadline=None)
    def test_is_the_best_of_all(self, delta, b, resource):
        one = np.ones(1)
        found = int(jsac_tau(0.01, 5 * one, 2 * one, delta * one, resource * one, one, b * one)[0])

        def bound(x):
            total, h = resource * x / (x + b), drift(x, 0.01, 5.0, delta)
            root = np.sqrt(1 + 4 * total**2 * 0.025 * 2 * 0.01 * h / x)
            return (1 + root) / (2 * total * 0.01 * 0.025) + 2 * h

        assert bound(found) <= min(bound(x) for x in range(1, 101)) * (1 + 1e-9)

    def test_starts_with_one_step_and_grows_at_most_tenfold(self, situation_of):
        situation = everyone_here(situation_of(3))
        scheduler = start("jsac-tau", most_steps=1000, divergence=0.001)
        assert scheduler.plan(situation).local_steps.max() == 1
        norm = np.linspace(0.9, 1.1, 12)[None]
        reported = situation.changed(
            last_norm=norm,
            rounds_since=np.ones((1, 12), dtype=np.int64),
            loss=situation.run.loss * 0.9,
        )
        second = scheduler.plan(reported).local_steps.max()
        assert 1 < second <= 10

    def test_a_wait_brings_no_new_reports(self, situation_of):
        situation = everyone_here(situation_of(3))
        norm, one = np.linspace(0.9, 1.1, 12)[None], np.ones((1, 12), dtype=np.int64)
        scheduler = start("jsac-tau")
        scheduler.plan(situation)
        reported = situation.changed(last_norm=norm, rounds_since=one, loss=situation.run.loss * 0.9)
        scheduler.plan(reported.changed(available=np.zeros((1, 12), dtype=bool)))
        known = {key: scheduler.state[key].copy() for key in ("rho", "delta")}
        assert np.isfinite(known["rho"]).all()
        louder = reported.changed(loss=reported.run.loss * 3, available=np.zeros((1, 12), dtype=bool))
        assert scheduler.plan(louder).wait_s[0] > 0
        for key, value in known.items():
            assert np.array_equal(scheduler.state[key], value)

    def test_diverging_clients_make_fewer_steps(self, situation_of):
        steps = []
        for spread in (0.001, 0.5):
            situation = everyone_here(situation_of(3))
            scheduler = start("jsac-tau", most_steps=1000)
            norm = np.where(np.arange(12) % 2, 1 + spread, 1 - spread)[None]
            for index in range(4):
                now = situation.changed(
                    last_norm=norm if index else np.full((1, 12), np.nan),
                    rounds_since=np.ones((1, 12), dtype=np.int64),
                    loss=situation.run.loss * 0.9**index,
                )
                plan = scheduler.plan(now)
            steps.append(plan.local_steps.max())
        assert steps[0] > steps[1]


class TestAdacomm:
    def test_tau_falls_with_the_root_of_the_loss_or_by_gamma(self, situation_of):
        situation = everyone_here(situation_of(3))
        scheduler = start("adacomm", local_steps=20, interval_s=3600.0, gamma=0.5)
        story = ((0.0, 1.0), (3599.0, 0.5), (3600.0, 0.25), (5000.0, 0.01), (7200.0, 0.25), (10800.0, 0.16))
        seen = []
        for time_s, share in story:
            now = situation.changed(time_s=np.array([time_s]), loss=share * situation.run.loss)
            seen.append(int(scheduler.plan(now).local_steps.max()))
        assert seen == [20, 20, 10, 10, 5, 3]

    def test_never_below_one(self, situation_of):
        situation = everyone_here(situation_of(3))
        scheduler = start("adacomm", local_steps=3, interval_s=600.0)
        for hour in range(12):
            plan = scheduler.plan(situation.changed(time_s=np.array([3600.0 * hour])))
        assert plan.local_steps.max() == 1


class TestTransfers:
    def test_a_samples_cost_is_what_sending_it_adds(self, situation_of):
        situation = situation_of(5)
        points = situation.round_points(3, 1000) - situation.round_points(3, 0)
        hours = (situation.round_s(3, 1000) - situation.round_s(3, 0)) / 3600
        expected = (points + situation.terms.price_per_hour[:, None] * hours) / 1000
        assert sample_points(situation) == pytest.approx(expected)

    def test_linear_error_is_a_threshold(self):
        cost = np.array([[0.1, 0.5, 0.9]])
        assert threshold_samples(cost, np.zeros((1, 3)), 0.5, False).tolist() == [[np.inf, 0.0, 0.0]]

    @given(POSITIVE, st.floats(1.0, 500.0), POSITIVE)
    def test_convex_error_stops_where_a_sample_no_longer_pays(self, cost, held, worth):
        moved = float(threshold_samples(np.array([[cost]]), np.array([[held]]), worth, True)[0, 0])
        marginal = worth / (2 * (held + moved) ** 1.5)
        assert marginal == pytest.approx(cost) if moved > 0 else marginal <= cost * (1 + 1e-9)

    @given(POSITIVE, st.floats(1.0, 500.0), POSITIVE)
    def test_marginal_rule_stops_where_the_saving_of_mixing_equals_the_cost(self, cost, own, price):
        moved = float(
            marginal_samples(np.array([[cost]]), np.array([[own]]), np.zeros((1, 1)), np.array([[price]]))[
                0, 0
            ]
        )

        def total(x):
            return price * (own / (own + x)) ** 2 + cost * x

        steps = np.array([0.0, 0.5, 0.9, 1.1, 2.0]) * max(moved, 1e-3)
        assert all(total(moved) <= total(x) * (1 + 1e-9) + 1e-12 for x in steps)

    def test_nobody_is_sent_anything_for_a_price_of_nothing(self):
        none = marginal_samples(np.ones((1, 2)), np.full((1, 2), 9.0), np.zeros((1, 2)), np.zeros((1, 2)))
        assert not none.any()

    def test_what_was_moved_before_counts(self):
        args = (np.full((1, 1), 0.01), np.full((1, 1), 20.0))
        first = marginal_samples(*args, np.zeros((1, 1)), np.full((1, 1), 5.0))
        assert marginal_samples(*args, first, np.full((1, 1), 5.0)) == pytest.approx(0.0, abs=1e-9)

    def test_rare_skewed_and_correlated_clients_cost_more(self, situation_of):
        base = everyone_here(
            situation_of(
                5,
                sightings=np.full(12, 2),
                last_norm=np.ones(12),
                target_weight=np.full(12, 1 / 12),
                available_forecast=np.full((12, 2), 0.6),
            )
        )
        assert skew_price(base) == pytest.approx(np.ones((1, 12)))
        for name, value in (("sightings", 1), ("last_norm", 2.0), ("target_weight", 0.2)):
            changed = base.flat()[name].copy()
            changed[0, 3] = value
            assert skew_price(base.changed(**{name: changed}))[0, 3] > 1
        forecast = base.clients.available_forecast.copy()
        forecast[0, 3] = 0.99
        assert skew_price(base.changed(available_forecast=forecast))[0, 3] > 1

    @pytest.mark.parametrize("name", ["transfer-threshold", "transfer-marginal"])
    def test_cheap_links_are_used_up_to_the_storage_and_dear_ones_not_at_all(self, situation_of, name):
        room = np.full(12, 33)
        cheap = everyone_here(
            situation_of(5, storage_left=room, price_per_gb=1e-9, price_per_hour=0.0, price_per_kg=0.0)
        )
        dear = cheap.changed(price_per_gb=np.array([1e9]))
        assert start(name).plan(cheap).transfer_samples[0].max() == 33
        assert start(name).plan(dear).transfer_samples.max() == 0
