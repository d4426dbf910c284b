"""The handcrafted schedulers: what each prefers, what all share, and that a batch is many singles."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers import SCHEDULERS, TUNABLE, make_scheduler
from frugalfl.agents.schedulers.base import (
    IDLE_WAIT_S,
    Rule,
    draw_settings,
    plan_for,
    settings_of,
    standardised,
    top_m,
)
from frugalfl.envs.contract import STOP_S, Scheduler, survival

EVERY = np.ones(1, dtype=bool)
PLAYABLE = [name for name in SCHEDULERS if name != "clairvoyant"]


def start(name: str, num_envs: int = 1, n: int = 12, seed: int = 5, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(seed, seed + num_envs), n)
    return scheduler


def everyone_here(situation, **changes):
    return situation.changed(available=np.ones_like(situation.clients.available), **changes)


def play(scheduler, world, seeds, clairvoyant=False):
    """All plans and rewards of a batch of toy episodes."""
    everyone = np.ones(world.num_envs, dtype=bool)
    world.reset(everyone, seeds)
    scheduler.reset(everyone, seeds, world.n)
    plans, rewards = [], np.zeros(world.num_envs)
    while world.running.any():
        plan = scheduler.plan(world.situation(clairvoyant))
        rewards += world.step(plan).reward
        plans.append(plan)
    return plans, rewards


class TestTopM:
    @given(
        st.lists(
            st.lists(st.sampled_from([-1.0, 0.0, 1.0, np.nan]), min_size=6, max_size=6),
            min_size=1,
            max_size=4,
        ),
        st.integers(0, 8),
        st.integers(0, 2**31),
    )
    def test_agrees_with_sorting_by_hand(self, scores, m, seed):
        scores = np.array(scores)
        rng = np.random.default_rng(seed)
        allowed, ties = rng.random(scores.shape) < 0.6, rng.random(scores.shape)
        chosen = top_m(scores, m, allowed, ties)
        for row in range(scores.shape[0]):
            value = np.where(np.isnan(scores[row]), -np.inf, scores[row])
            order = sorted(np.flatnonzero(allowed[row]), key=lambda k: (-value[k], ties[row, k]))
            assert set(np.flatnonzero(chosen[row])) == set(order[:m])

    def test_takes_a_number_per_environment(self):
        chosen = top_m(np.zeros((2, 4)), np.array([1, 3]), np.ones((2, 4), dtype=bool))
        assert chosen.sum(axis=1).tolist() == [1, 3]


class TestHelpers:
    def test_plan_for_waits_where_nobody_is_chosen(self, situation_of, stacked):
        situation = stacked(situation_of(0), situation_of(1))
        chosen = np.zeros((2, 12), dtype=bool)
        chosen[1, 3] = True
        plan = plan_for(situation, chosen, 7, transfer=10_000).validate(2, 12)
        assert plan.wait_s.tolist() == [IDLE_WAIT_S, 0.0]
        assert plan.local_steps[1, 3] == 7
        assert plan.local_steps.sum() == 7
        assert plan.transfer_samples[1, 3] == situation.clients.storage_left[1, 3]

    def test_standardised_ignores_unknown_and_flat_values(self):
        values = np.array([[1.0, 3.0, np.nan, 100.0], [0.3, 0.3, 0.3, 0.3]])
        among = np.array([[True, True, True, False], [True] * 4])
        assert standardised(values, among).tolist() == [[-1.0, 1.0, 0.0, 0.0], [0.0] * 4]


class TestEveryScheduler:
    @pytest.mark.parametrize("name", PLAYABLE)
    def test_follows_the_protocol_and_explains_itself(self, name):
        scheduler = make_scheduler(name)
        assert isinstance(scheduler, Scheduler)
        assert scheduler.name == name
        text = type(scheduler).__doc__
        assert all(word in text for word in ("Paper:", "Needs:", "Defaults:"))

    @pytest.mark.parametrize("name", PLAYABLE)
    @settings(max_examples=12, deadline=None)
    @given(seed=st.integers(0, 10_000))
    def test_any_declared_setting_gives_valid_plans_for_available_clients(self, name, seed, request):
        world = request.getfixturevalue("toy_world")(2, rounds=4)
        rng = np.random.default_rng(seed)
        knobs = draw_settings(SCHEDULERS[name], rng) if name in TUNABLE else {}
        scheduler = make_scheduler(name, **knobs)
        seeds = np.array([seed, seed + 1])
        world.reset(np.ones(2, dtype=bool), seeds)
        scheduler.reset(np.ones(2, dtype=bool), seeds, world.n)
        for _ in range(4):
            situation = world.situation()
            plan = scheduler.plan(situation).validate(2, world.n, (0.01, 100.0))
            assert not ((plan.invited | plan.probed) & ~situation.clients.available).any()
            assert ((plan.invited | plan.probed).any(axis=1) | (plan.wait_s > 0)).all()
            assert (plan.transfer_samples <= situation.clients.storage_left).all()
            assert plan.local_steps.dtype == np.int32
            world.step(plan)

    @pytest.mark.parametrize("name", PLAYABLE)
    def test_row_of_a_batch_is_the_single_run_exactly(self, name, toy_world):
        knobs = (
            {
                "stop_gain": 1.0,
                "stop_after_rounds": 5,
                "stop_price_power": 0.5,
                "wait_saving": 0.05,
                "balance": 0.5,
            }
            if name in TUNABLE
            else {}
        )
        seeds = np.array([3, 11, 4])
        batch, rewards = play(make_scheduler(name, **knobs), toy_world(3), seeds)
        for row, seed in enumerate(seeds):
            single, reward = play(make_scheduler(name, **knobs), toy_world(1), np.array([seed]))
            assert reward[0] == rewards[row]
            for one, many in zip(single, batch, strict=False):
                assert np.array_equal(one.local_steps[0], many.local_steps[row])
                assert one.wait_s[0] == many.wait_s[row]
                assert one.quorum[0] == many.quorum[row]
                assert np.array_equal(one.probed[0], many.probed[row])
                if one.weights is not None:
                    assert np.array_equal(one.weights[0], many.weights[row])

    @pytest.mark.parametrize("name", TUNABLE)
    @pytest.mark.parametrize("knobs", [{}, {"stop_price_power": 0.5, "stop_price": 0.001}])
    def test_all_have_the_same_stop(self, name, knobs, toy_world):
        """Three rounds where a round costs what it is meant to, or fewer at hundreds of times that price."""
        scheduler = make_scheduler(name, stop_after_rounds=3, **knobs)
        plans, _ = play(scheduler, toy_world(2, rounds=40), np.array([3, 4]), scheduler.clairvoyant)
        trained = sum(plan.invited.any(axis=1).astype(int) for plan in plans)
        assert trained.max() <= (1 if knobs else 3)
        assert all(np.isinf(np.stack([plan.wait_s for plan in plans])).any(axis=0))

    @pytest.mark.parametrize("name", PLAYABLE)
    def test_reset_of_some_rows_leaves_the_others_alone(self, name, situation_of, stacked):
        situation = stacked(*(everyone_here(situation_of(seed)) for seed in (1, 2)))
        kept, restarted = start(name, 2), start(name, 2)
        for scheduler in (kept, restarted):
            scheduler.plan(situation)
        restarted.reset(np.array([False, True]), np.array([99, 99]), 12)
        mine, other = kept.plan(situation), restarted.plan(situation)
        assert np.array_equal(mine.local_steps[0], other.local_steps[0])

    @pytest.mark.parametrize("name", PLAYABLE)
    def test_waits_when_nobody_is_available(self, name, situation_of):
        plan = start(name).plan(situation_of(0, available=np.zeros(12, dtype=bool)))
        assert plan.wait_s[0] >= IDLE_WAIT_S
        assert not plan.invited.any()

    def test_plan_before_reset_is_refused(self, situation_of):
        with pytest.raises(ValueError, match="call reset"):
            make_scheduler("random-m").plan(situation_of(0))


class TestWhatEachPrefers:
    def test_random_m_takes_m_or_all(self, situation_of):
        situation = everyone_here(situation_of(0))
        assert start("random-m", participants=5).plan(situation).invited.sum() == 5
        assert start("random-m", participants=50).plan(situation).invited.all()

    def test_random_m_is_uniform(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("random-m", participants=3)
        counts = sum(scheduler.plan(situation).invited[0] for _ in range(2000))
        assert np.abs(counts / 2000 - 0.25).max() < 0.04

    @pytest.mark.parametrize(("m", "answers"), [(10, 10), (3, 3), (7, 7)])
    def test_over_selection_closes_at_m_answers(self, situation_of, m, answers):
        situation = everyone_here(situation_of(0, n=40))
        plan = start("random-m", n=40, participants=m, over_selection=1.3).plan(situation)
        invited = int(plan.invited.sum())
        assert invited == math.ceil(1.3 * m - 1e-9)
        assert math.ceil(plan.quorum[0] * invited) == answers

    def test_all_available_takes_everyone_there(self, situation_of):
        situation = situation_of(0)
        for mean in ("active", "all", "known-probability"):
            plan = start("all-available", mean=mean).plan(situation)
            assert np.array_equal(plan.invited, situation.clients.available)

    def test_means_of_all_available(self, situation_of):
        situation = situation_of(0)
        alpha = np.where(situation.clients.available, situation.clients.target_weight, 0)
        assert start("all-available", mean="active").plan(situation).weights is None
        assert np.array_equal(start("all-available", mean="all").plan(situation).weights, alpha)
        known = start("all-available", mean="known-probability").plan(situation).weights
        assert (known >= alpha - 1e-15).all()

    def test_round_robin_invites_everyone_equally_often(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("round-robin", participants=5)
        counts = sum(scheduler.plan(situation).invited[0].astype(int) for _ in range(12))
        assert counts.tolist() == [5] * 12

    def test_greenest_and_fastest(self, situation_of):
        situation = everyone_here(situation_of(0))
        grams, seconds = situation.round_g(10)[0], situation.round_s(10)[0]
        green = start("greenest-m", participants=4).plan(situation).invited[0]
        fast = start("fastest-m", participants=4).plan(situation).invited[0]
        assert grams[green].max() < grams[~green].min()
        assert seconds[fast].max() < seconds[~fast].min()

    def test_power_of_choice_with_all_drawn_is_greedy_by_loss(self, situation_of):
        losses = np.arange(12.0)
        losses[2] = np.nan
        situation = everyone_here(situation_of(0, last_loss=losses))
        plan = start("power-of-choice", participants=3, choice_ratio=10.0).plan(situation)
        assert np.flatnonzero(plan.invited[0]).tolist() == [2, 10, 11]
        assert np.unique(plan.weights[0, [2, 10, 11]]).size == 1

    def test_power_of_choice_draws_by_alpha(self, situation_of):
        alpha = np.full(12, 0.05)
        alpha[0] = 0.45
        situation = everyone_here(situation_of(0, target_weight=alpha))
        scheduler = start("power-of-choice", participants=1, choice_ratio=1.0)
        counts = sum(scheduler.plan(situation).invited[0] for _ in range(2000))
        assert counts[0] / 2000 == pytest.approx(0.45, abs=0.04)

    def test_f3ast_reaches_the_optimal_rates(self, situation_of):
        """POLICIES 2.4: with everyone there, H(r) comes within 1% of its optimum r_k ~ alpha_k."""
        alpha = np.arange(1.0, 13.0)
        alpha /= alpha.sum()
        situation = everyone_here(situation_of(0, target_weight=alpha))
        scheduler = start("f3ast", participants=3, beta=0.002)
        counts = np.zeros(12)
        for index in range(6000):
            counts += scheduler.plan(situation).invited[0] * (index >= 2000)
        rates = counts / 4000
        best = capped_proportional(alpha, 3)
        assert (alpha**2 / rates).sum() <= 1.01 * (alpha**2 / best).sum()

    def test_f3ast_weights_are_unbiased_over_time(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("f3ast", participants=4, beta=0.005)
        total = np.zeros(12)
        for index in range(6000):
            total += scheduler.plan(situation).weights[0] * (index >= 2000)
        assert total / 4000 == pytest.approx(situation.clients.target_weight[0], rel=0.05)

    def test_drift_plus_penalty_turns_green_as_the_debt_grows(self, situation_of):
        situation = everyone_here(situation_of(0, kilograms=0.0))
        scheduler = start("drift-plus-penalty", participants=6, tradeoff=1.0, allowance=0.5)
        first = scheduler.plan(situation)
        grams = situation.round_g(10)[0]
        debt = grams.mean() * 40 / 1e3
        later = scheduler.plan(situation.changed(kilograms=np.array([debt])))
        assert first.invited.sum() == 6
        assert later.invited.sum() < 6
        if later.invited.any():
            assert grams[later.invited[0]].mean() < grams[first.invited[0]].mean()

    def test_drift_plus_penalty_pays_its_debt_back(self, situation_of):
        situation = everyone_here(situation_of(0, kilograms=0.0))
        scheduler = start("drift-plus-penalty", participants=6, allowance=1.0)
        for kilograms in (0.0, 3 * situation.round_g(10).sum() / 1e3):
            scheduler.plan(situation.changed(kilograms=np.array([kilograms])))
        owed = scheduler.state["queue"][0]
        scheduler.plan(situation.changed(kilograms=np.array([kilograms])))
        assert 0 < scheduler.state["queue"][0] < owed

    def test_tuned_rule_contains_the_single_criteria(self, situation_of):
        situation = everyone_here(situation_of(0))
        none = {f"{key}_weight": 0.0 for key in ("loss", "carbon", "staleness", "speed", "session", "share")}
        for weight, twin in (("carbon_weight", "greenest-m"), ("speed_weight", "fastest-m")):
            knobs = none | {weight: 1.0, "noise": 0.0, "participants": 4}
            mine = start("tuned-rule", **knobs).plan(situation).invited
            assert np.array_equal(mine, start(twin, participants=4).plan(situation).invited)

    def test_never_stops_at_once(self, situation_of):
        assert start("never").plan(situation_of(0)).wait_s.tolist() == [STOP_S]


class TestWhatAllShare:
    def test_losses_are_avoided_by_announcement_and_forecast(self, situation_of):
        situation = everyone_here(situation_of(3))
        needed_s = situation.round_s(10)
        plan = start("random-m", participants=100, avoid_losses=True, loss_margin=1.5).plan(situation)
        assert np.array_equal(plan.invited, situation.clients.announced_left_s >= 1.5 * needed_s)
        plan = start("random-m", participants=100, min_survival=0.9).plan(situation)
        assert np.array_equal(plan.invited, survival(situation, needed_s) >= 0.9)

    def test_slow_clients_are_left_out(self, situation_of):
        situation = everyone_here(situation_of(3))
        limit = float(np.median(situation.round_s(10)))
        plan = start("random-m", participants=100, max_round_s=limit).plan(situation)
        assert np.array_equal(plan.invited, situation.round_s(10) <= limit)

    def test_balance_equalises_time(self, situation_of):
        situation = everyone_here(situation_of(3))
        plan = start("all-available", local_steps=100, balance=1.0, most_steps=1000).plan(situation)
        seconds = plan.local_steps * situation.clients.step_s
        assert seconds.max() / seconds.min() < 1.1

    def test_no_client_makes_more_than_the_most_steps(self, situation_of):
        plan = start("all-available", local_steps=60, balance=1.0, most_steps=50).plan(situation_of(3))
        assert plan.local_steps.max() == 50

    def test_decay_shrinks_the_steps(self, situation_of):
        scheduler = start("all-available", local_steps=40, decay=0.25)
        for index, expected in ((0, 40), (10, 20), (20, 10)):
            situation = everyone_here(situation_of(0, round_index=index, rounds_left=20 - index))
            assert scheduler.plan(situation).local_steps.max() == expected

    def test_transfers_stop_at_the_goal_and_the_storage(self, situation_of):
        sent, room = np.full(12, 20), np.full(12, 25)
        situation = everyone_here(situation_of(0, samples_sent=sent, storage_left=room))
        assert start("all-available", transfer_samples=40).plan(situation).transfer_samples.max() == 20
        assert start("all-available", transfer_samples=60).plan(situation).transfer_samples.max() == 25
        assert start("all-available").plan(situation).transfer_samples.max() == 0

    def test_clients_without_data_are_sent_some_or_left_alone(self, situation_of):
        nothing, room = np.zeros(12, dtype=np.int64), np.repeat([0, 30], 6)
        situation = everyone_here(situation_of(0, samples_held=nothing, storage_left=room))
        plan = start("all-available").plan(situation)
        assert plan.invited[0].tolist() == [False] * 6 + [True] * 6
        assert (plan.transfer_samples[0, 6:] == 30).all()

    def test_waits_for_the_cleanest_hour_within_its_slack(self, situation_of):
        falling = np.tile([280.0, 200.0, 240.0], (3, 1))
        situation = everyone_here(
            situation_of(0, carbon_g_per_kwh=np.full(3, 300.0), carbon_forecast=falling)
        )
        first_s, lead_s = situation.zones.carbon_leads_s[:2]
        knobs = {"wait_saving": 0.3, "wait_slack_s": 2.5 * lead_s}
        scheduler = start("random-m", **knobs)
        waits = [scheduler.plan(situation).wait_s[0] for _ in range(4)]
        assert waits == [lead_s, lead_s, 0, 0]
        assert start("random-m", **(knobs | {"wait_saving": 0.34})).plan(situation).wait_s[0] == 0
        # With less slack than that the minimum is sought among the hours before.
        short = start("random-m", wait_saving=0.05, wait_slack_s=max(1.1 * first_s, 3600.0))
        assert short.plan(situation).wait_s[0] == first_s

    def test_no_wait_is_longer_than_the_hours_left_allow(self, situation_of):
        falling = np.tile([280.0, 200.0, 100.0], (3, 1))
        situation = everyone_here(
            situation_of(0, carbon_g_per_kwh=np.full(3, 300.0), carbon_forecast=falling)
        )
        leads_s = situation.zones.carbon_leads_s
        round_s = situation.round_s(10).max() + situation.terms.overhead_s[0]
        for lead_s in leads_s:
            budget = np.array([[(lead_s + round_s + 1.0) / 3600.0, np.inf, np.inf]])
            scheduler = start("all-available", wait_saving=0.05, wait_slack_s=172800.0)
            assert scheduler.plan(situation.changed(budget_left=budget)).wait_s[0] == lead_s
        budget = np.array([[leads_s[0] / 3600.0, np.inf, np.inf]])
        assert (
            start("all-available", wait_saving=0.05).plan(situation.changed(budget_left=budget)).wait_s[0]
            == 0
        )

    def test_dear_samples_are_fewer(self, situation_of):
        """The goal at a price of one point for a hundred samples, times price^-power."""
        bare = {"samples_sent": np.zeros(12, dtype=np.int64), "samples_held": np.full(12, 30)}
        situation = everyone_here(situation_of(0, storage_left=np.full(12, 10**6), **bare))
        gigabytes = 100 * situation.terms.sample_bytes[0] / 1e9
        for points, sent in ((1.0, 100), (4.0, 50), (0.25, 200), (0.0, 10**5)):
            there = situation.changed(price_per_gb=np.array([points / gigabytes]))
            plan = start("all-available", transfer_samples=100, transfer_price_power=0.5).plan(there)
            assert (plan.transfer_samples == sent).all()
            assert (start("all-available", transfer_samples=100).plan(there).transfer_samples == 100).all()
            assert not start("all-available", transfer_price_power=0.5).plan(there).transfer_samples.any()

    def test_stops_after_its_rounds(self, situation_of):
        scheduler = start("random-m", stop_after_rounds=3)
        waits = [scheduler.plan(everyone_here(situation_of(0))).wait_s[0] for _ in range(4)]
        assert waits == [0, 0, 0, STOP_S]

    @pytest.mark.parametrize(("price", "last"), [(0.25, 12), (1.0, 6), (4.0, 3), (100.0, 1)])
    def test_stops_earlier_where_rounds_are_dear(self, situation_of, price, last):
        """Six rounds at one point each; with power 0.5 half as many where they cost four times as much."""
        scheduler = start("random-m", stop_after_rounds=6, stop_price_power=0.5)
        waits = [
            scheduler.plan(
                everyone_here(
                    situation_of(0, hours=1.0 * index, gigabytes=0.0, kilograms=0.0, price_per_hour=price)
                )
            ).wait_s[0]
            for index in range(14)
        ]
        assert waits.index(STOP_S) == last

    def test_rounds_for_nothing_do_not_stop(self, situation_of):
        scheduler = start("random-m", stop_after_rounds=3, stop_price_power=0.5)
        free = everyone_here(situation_of(0, hours=0.0, gigabytes=0.0, kilograms=0.0))
        assert not any(scheduler.plan(free).wait_s[0] for _ in range(20))

    def test_stops_when_the_gain_no_longer_pays(self, situation_of):
        scheduler = start("random-m", stop_gain=1.0, stop_window=3)
        waits = []
        for index in range(8):
            accuracy = 0.1 + 0.05 * min(index, 4)
            situation = everyone_here(
                situation_of(0, accuracy=accuracy, hours=0.1 * index, price_per_hour=20.0)
            )
            waits.append(scheduler.plan(situation).wait_s[0])
        # 5 points a round for a price of 2: the window of 3 rounds falls short once two of them are flat.
        assert waits.index(STOP_S) == 6

    @given(st.sampled_from(TUNABLE), st.integers(0, 2**32))
    @settings(max_examples=40, deadline=None)
    def test_drawn_settings_are_legal_and_survive_json(self, name, seed):
        rng = np.random.default_rng(seed)
        knobs = draw_settings(SCHEDULERS[name], rng)
        scheduler = make_scheduler(name, **knobs)
        assert isinstance(scheduler, Rule)
        again = make_scheduler(name, **json.loads(json.dumps(settings_of(scheduler), allow_nan=False)))
        assert again == scheduler


class TestRegistry:
    def test_ones_own_class_is_registered_by_name(self):
        @SCHEDULERS.register("mine")
        class Mine(type(make_scheduler("random-m"))):
            """A rule of one's own."""

            name = "mine"

        try:
            assert make_scheduler("mine", participants=4).participants == 4
            with pytest.raises(ValueError, match="did you mean 'participants'"):
                make_scheduler("mine", participant=4)
            with pytest.raises(ValueError, match="registered already"):
                SCHEDULERS.register("mine")(object)
        finally:
            SCHEDULERS.remove("mine")
        with pytest.raises(ValueError, match="'mine' is unknown"):
            make_scheduler("mine")

    def test_unknown_names_get_a_suggestion(self):
        with pytest.raises(ValueError, match="did you mean 'greenest-m'"):
            make_scheduler("grenest-m")
        with pytest.raises(ValueError, match="did you mean 'participants'"):
            make_scheduler("random-m", particpants=3)

    @pytest.mark.parametrize(
        ("knobs", "message"),
        [
            ({"participants": 0}, "random-m.participants: 0, expected a whole number from 1 to 100"),
            ({"participants": 2.5}, "participants: 2.5"),
            ({"quorum": "all"}, "quorum: 'all', expected a number"),
            ({"avoid_losses": 1}, "avoid_losses: 1, expected one of"),
            ({"stop_gain": -1.0}, "stop_gain: -1.0"),
            ({"decay": float("nan")}, "decay: nan"),
        ],
    )
    def test_bad_values_are_refused_in_one_line(self, knobs, message):
        with pytest.raises(ValueError, match=message) as caught:
            make_scheduler("random-m", **knobs)
        assert "\n" not in str(caught.value)

    def test_ones_own_scheduler_by_dotted_name(self):
        scheduler = make_scheduler("frugalfl.agents.schedulers.baselines.random_m:RandomM", participants=3)
        assert scheduler.participants == 3
        for name, reason in (
            ("no.such:Thing", "cannot import"),
            ("json:Nothing", "has no"),
            ("json:dumps", "obj"),
        ):
            with pytest.raises(ValueError, match=reason):
                make_scheduler(name)
        with pytest.raises(ValueError, match="no plan"):
            make_scheduler("collections:OrderedDict")


class TestClairvoyant:
    def test_is_at_least_as_good_as_every_candidate_in_every_episode(self, toy_world):
        seeds = np.arange(20, 24)
        ceiling = make_scheduler("clairvoyant", max_candidates=12, splices=3, mutations=8)
        ceiling.prepare(toy_world, seeds, batch=3)
        _, best = play(ceiling, toy_world(4), seeds, clairvoyant=True)
        assert best == pytest.approx([ceiling.plays[seed].net_points for seed in seeds.tolist()])
        for name in {each.name for each in ceiling.candidates}:
            for knobs in ({}, {"stop_after_rounds": 6}, {"stop_gain": 1.0}):
                own = {"f3ast": {"unbiased_mean": False}, "power-of-choice": {"plain_mean": False}}.get(
                    name, {}
                )
                _, rewards = play(make_scheduler(name, **own, **knobs), toy_world(4), seeds)
                assert (best >= rewards - 1e-9).all()

    def test_refuses_episodes_it_did_not_prepare(self, toy_world):
        ceiling = make_scheduler("clairvoyant", max_candidates=1, splices=0, mutations=0)
        ceiling.prepare(toy_world, [1])
        with pytest.raises(ValueError, match="seed 2 was not prepared"):
            ceiling.reset(EVERY, np.array([2]), 12)

    def test_the_cost_is_bounded(self):
        assert len(make_scheduler("clairvoyant").candidates) <= 24
        assert len(make_scheduler("clairvoyant", max_candidates=3).candidates) <= 3


def capped_proportional(alpha: np.ndarray, m: int) -> np.ndarray:
    """argmin of sum alpha^2 / r with sum r = m and r <= 1: proportional to alpha, the largest capped."""
    rates, capped = np.zeros_like(alpha), np.zeros(alpha.size, dtype=bool)
    while True:
        rates[~capped] = (m - capped.sum()) * alpha[~capped] / alpha[~capped].sum()
        rates[capped] = 1.0
        if rates.max() <= 1 + 1e-12:
            return rates
        capped |= rates > 1
