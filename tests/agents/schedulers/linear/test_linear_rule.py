"""The linear rule: any weights give valid plans, candidates are independent, frozen means constant."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.players import describe
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.linear import (
    CLIENT_FEATURES,
    DECISIONS,
    FREEZABLE,
    RUN_FEATURES,
    SERVED_CLIENT_FEATURES,
    SERVED_DECISIONS,
    SERVED_RUN_FEATURES,
    SPREAD,
    START,
    WEIGHTS,
    LinearRule,
    Middle,
    by_name,
    free_weights,
    theta_rows,
)
from frugalfl.envs.contract import STOP_S, StreamFacts, rollout
from frugalfl.envs.scenario import load_scenario, scenario_names
from frugalfl.envs.world import FederatedWorld
from frugalfl.testing import check_scheduler

SEEDS = np.array([3, 11, 4], dtype=np.int64)


def draws(seed, rows=1, size=1.0):
    """Random weights `[rows, P]` around the start."""
    rng = np.random.default_rng(seed)
    return START + size * SPREAD * rng.standard_normal((rows, len(WEIGHTS)))


def plans_of(rule, seeds=SEEDS, world="quadratic", decisions=12):
    """The plans, situations and totals of some episodes."""
    place, turns = FederatedWorld(load_scenario(world), len(seeds), "val"), []
    for turn in rollout(place, rule, seeds):
        turns.append(turn)
        if len(turns) == decisions:
            break
    return turns


class TestContract:
    @pytest.mark.parametrize("world", scenario_names())
    @pytest.mark.parametrize("seed", [None, 1])
    def test_keeps_the_contract_in_every_world(self, world, seed):
        check_scheduler(LinearRule(None if seed is None else draws(seed, size=2.0)), [world], decisions=6)

    @pytest.mark.parametrize("knowledge", ["ends", "carbon", "both"])
    def test_with_knowledge_too(self, knowledge):
        rule = LinearRule(knowledge=knowledge)
        assert (rule.clairvoyant, rule.kind) == (True, "ceiling")
        check_scheduler(rule, ["quadratic"], decisions=4)

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 2**32), size=st.floats(0, 30))
    def test_any_weights_give_valid_plans(self, seed, size, request):
        world = request.getfixturevalue("toy_world")(3, rounds=5)
        rule, everyone = LinearRule(draws(seed, 3, size)), np.ones(3, dtype=bool)
        world.reset(everyone, SEEDS)
        rule.reset(everyone, SEEDS, world.n)
        for _ in range(5):
            situation = world.situation()
            plan = rule.plan(situation).validate(3, world.n)
            assert not (plan.invited & ~situation.clients.available).any()
            world.step(plan)

    def test_plan_before_reset_is_refused(self, situation_of):
        with pytest.raises(ValueError, match="call reset"):
            LinearRule().plan(situation_of(0))


class TestCandidates:
    @pytest.mark.parametrize("world", ["quadratic", "spotmarket"])
    def test_a_row_plays_as_its_weights_alone(self, world):
        thetas = draws(5, rows=3)
        batch = plans_of(LinearRule(thetas), world=world)
        for row in range(3):
            alone = plans_of(LinearRule(thetas[row]), SEEDS[row : row + 1], world)
            for one, many in zip(alone, batch, strict=False):
                if not one.running[0]:
                    break
                for field in ("local_steps", "transfer_samples", "quorum", "wait_s"):
                    assert np.array_equal(getattr(one.plan, field)[0], getattr(many.plan, field)[row]), field

    def test_another_number_of_rows_is_refused(self):
        with pytest.raises(ValueError, match="theta: 2 rows, expected 1 or one for each of 3"):
            plans_of(LinearRule(draws(0, rows=2)))


class TestFrozen:
    """A frozen decision is its constant, whatever the weights, and its weights mean nothing."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("who", 0),
            ("participants", 2),
            ("local_steps", 7),
            ("transfer_samples", 5),
            ("wait", 0),
            ("stop_after_rounds", 4),
        ],
    )
    def test_its_weights_mean_nothing_and_all_others_do_not_freeze(self, name, value):
        theta, freeze = draws(8)[0], {name: value}
        noise = np.random.default_rng(1).standard_normal(len(WEIGHTS))
        moved = np.where(free_weights(freeze), theta, theta + noise)
        assert not np.array_equal(theta, moved)
        one, other = (plans_of(LinearRule(each, freeze=freeze)) for each in (theta, moved))
        for mine, yours in zip(one, other, strict=True):
            assert np.array_equal(mine.plan.local_steps, yours.plan.local_steps)
            assert np.array_equal(mine.plan.wait_s, yours.plan.wait_s)
            assert np.array_equal(mine.plan.quorum, yours.plan.quorum)
            assert np.array_equal(mine.plan.transfer_samples, yours.plan.transfer_samples)

    def test_participants(self):
        for turn in plans_of(LinearRule(draws(2), freeze={"participants": 2, "wait": 0})):
            count = turn.plan.invited.sum(axis=1)
            assert (count <= 2).all()
            assert (turn.plan.quorum == 1.0).all()

    def test_local_steps(self):
        for turn in plans_of(LinearRule(draws(2), freeze={"local_steps": 7})):
            assert (turn.plan.local_steps[turn.plan.invited] == 7).all()

    def test_transfer_samples(self):
        for turn in plans_of(LinearRule(draws(2), freeze={"transfer_samples": 5})):
            held, sent = turn.situation.clients.samples_held, turn.situation.clients.samples_sent
            goal = np.clip(5 - sent, 0, turn.situation.clients.storage_left)
            told = turn.plan.invited & (held > 0)
            assert np.array_equal(turn.plan.transfer_samples[told], goal[told])

    def test_wait(self):
        eager = {"wait.1": -30.0, "wait.hours": -30.0}
        waited = lambda rule: [(t.plan.wait_s > 0) & (t.plan.wait_s < STOP_S) for t in plans_of(rule)]
        assert np.any(waited(LinearRule(eager)))
        for turn in plans_of(LinearRule(eager, freeze={"wait": 0})):
            idle = ~turn.situation.clients.available.any(axis=1)
            assert ((turn.plan.wait_s == 0) | (turn.plan.wait_s == STOP_S) | idle).all()

    def test_stop_after_rounds(self):
        freeze = {"stop_after_rounds": 4, "wait": 0}
        for turn in plans_of(LinearRule({"stop.1": -30.0}, freeze=freeze)):
            stops = turn.plan.wait_s == STOP_S
            assert np.array_equal(stops, turn.situation.run.round_index >= 4)

    def test_who_is_at_random_and_draws_the_same_numbers(self, situation_of):
        situation = situation_of(0)
        situation = situation.changed(available=np.ones_like(situation.clients.available))
        rule = LinearRule({"min-survival": 0.0}, freeze={"who": 0, "participants": 3, "wait": 0})
        rule.reset(np.ones(1, dtype=bool), np.array([5]), situation.num_clients)
        counts = sum(rule.plan(situation).invited[0] for _ in range(2000))
        within = situation.round_s(15)[0] <= situation.terms.deadline_s[0]
        assert np.abs(counts / 2000 - 3 / max(within.sum(), 3))[within].max() < 0.05

    @pytest.mark.parametrize(
        ("freeze", "message"),
        [
            ({"wohin": 1}, "'wohin' is no decision"),
            ({"who": 1}, "who is 1, expected 0"),
            ({"participants": 0}, "participants is 0, expected a whole number of at least 1"),
            ({"local_steps": 2.5}, "local_steps is 2.5"),
        ],
    )
    def test_bad_constants_are_refused(self, freeze, message):
        with pytest.raises(ValueError, match=message):
            LinearRule(freeze=freeze)

    def test_every_weight_but_the_filter_belongs_to_a_decision(self):
        owned = ~free_weights(
            {name: max(each.low, 1) if each.high is None else 0 for name, each in FREEZABLE.items()}
        )
        assert [name for name, mine in zip(WEIGHTS, owned, strict=True) if not mine] == ["min-survival"]


class TestDecisions:
    def test_who_follows_the_score(self, situation_of):
        """Without chance the three fastest are taken by who looks at speed alone."""
        situation = situation_of(0)
        situation = situation.changed(available=np.ones_like(situation.clients.available))
        alone = {f"who.{name}": 0.0 for name in CLIENT_FEATURES} | {"who.speed": 1.0, "who.noise": -30.0}
        theta = alone | {
            "min-survival": 0.0,
            "balance": 0.0,
            "over-selection.1": 0.0,
            "participants.progress": 0.0,
        }
        rule = LinearRule(theta, freeze={"wait": 0, "transfer_samples": 0})
        rule.reset(np.ones(1, dtype=bool), np.array([5]), situation.num_clients)
        plan = rule.plan(situation)
        seconds = situation.round_s(plan.local_steps.max())[0]
        assert set(np.flatnonzero(plan.invited[0])) == set(np.argsort(seconds)[:3])

    def test_waits_for_the_lead_that_saves_most(self, situation_of):
        situation = situation_of(0)
        situation = situation.changed(available=np.ones_like(situation.clients.available))
        now, leads = situation.zones.carbon_g_per_kwh, situation.zones.carbon_leads_s
        assert leads.size >= 2
        forecast = np.repeat(now[:, :, None], leads.size, axis=2) * 0.9
        forecast[:, :, 1] = 0.3 * now
        situation = situation.changed(carbon_forecast=forecast, price_per_hour=np.zeros(1))
        for odds, expected in ((0.0, leads[1]), (1.5, 0.0)):  # it saves 70%; half, then 82% is asked for
            rule = LinearRule({"wait.1": odds})
            rule.reset(np.ones(1, dtype=bool), np.array([5]), situation.num_clients)
            assert rule.plan(situation).wait_s[0] == expected
        late = situation.changed(budget_left=np.array([[leads[1] / 3600 * 1.1, np.inf, np.inf]]))
        rule = LinearRule({"wait.1": 0.0})
        rule.reset(np.ones(1, dtype=bool), np.array([5]), situation.num_clients)
        assert rule.plan(late).wait_s[0] == 0

    def test_true_ends_are_used_when_they_are_shown(self):
        """Nobody is invited who will leave too early, unless nobody else could be invited."""
        rule = LinearRule({"min-survival": 0.5}, freeze={"local_steps": 15, "wait": 0}, knowledge="ends")
        guessed = LinearRule({"min-survival": 0.5}, freeze={"local_steps": 15, "wait": 0})
        seeds, lost = np.arange(8), {}
        for each in (rule, guessed):
            leaving = []
            for turn in plans_of(each, seeds, decisions=20):
                need_s = turn.situation.round_s(turn.plan.local_steps, turn.plan.transfer_samples)
                if turn.situation.future is not None:
                    early = turn.situation.future.session_left_s < need_s
                    stays = turn.situation.future.session_left_s >= turn.situation.round_s(15, 40)
                    assert not (turn.plan.invited & early)[stays.any(axis=1)].any()
                leaving.append(turn.result.outcome.lost.sum())
            lost[each.knowledge] = sum(leaving)
        assert lost["ends"] < lost["real"]


class TestServing:
    """Where models serve: what it sees, how long it pauses, whom it sends the new model."""

    @pytest.fixture
    def served(self, situation_of):
        """A situation of ten clients of which something is known, `changes` of it."""
        half = np.full((1, 10), 0.5)

        def build(time_h=0.0, **changes):
            facts = dict.fromkeys(("arrived", "labels", "right", "version_lag"), np.zeros((1, 10), int))
            facts |= {"requests": np.full((1, 10), 50), "memory_rows": np.full((1, 10), 40)}
            facts |= {
                "memory_age_s": np.full((1, 10), 3600.0),
                "right_share": half,
                "most_rows": np.full(1, 40),
            }
            facts |= {name: half[:, 0] for name in ("right_fast", "right_slow")}
            facts |= {"page_hinkley": np.zeros(1), "requests_hour": np.full(1, 240.0)}
            stream = StreamFacts(**(facts | {"points_per_request": np.full(1, 0.01)} | changes))
            there = dict(available=np.ones(10, dtype=bool), samples_held=np.full(10, 40))
            return situation_of(0, n=10, **there).changed(stream=stream, time_s=np.full(1, 3600.0 * time_h))

        return build

    def plan(self, rule, *situations):
        rule.reset(np.ones(1, dtype=bool), np.arange(1), 10)
        return [rule.plan(each) for each in situations]

    def test_a_pause_is_a_function_or_a_constant(self, served):
        looks = [served(hours) for hours in (0.0, 0.5, 0.9, 1.5)]
        hourly = {"pause.1": np.log(2), "wait.1": 30.0, "stop.1": 30.0}
        for arguments, expected in (
            ({"theta": hourly}, [0.0, 1800.0, 360.0, 0.0]),
            ({"theta": hourly | {"pause.page-hinkley": -9.0}}, [0.0, 1800.0, 360.0, 0.0]),
            ({"theta": hourly, "freeze": {"pause": 4}}, [0.0, 1800.0, 1800.0, 1800.0]),
            ({"theta": hourly, "freeze": {"pause": 0}}, [0.0] * 4),
            ({"theta": hourly, "freeze": {"wait": 0}}, [0.0] * 4),
        ):
            plans = self.plan(LinearRule(**arguments), *looks)
            assert [plan.wait_s[0] for plan in plans] == pytest.approx(expected), arguments
        alarmed = [served(hours, page_hinkley=np.ones(1)) for hours in (0.0, 0.5)]
        plans = self.plan(LinearRule(hourly | {"pause.page-hinkley": -9.0}), *alarmed)
        assert [plan.wait_s[0] for plan in plans] == [0.0, 0.0]
        still = [each.changed(stream=None) for each in looks]
        assert all(plan.wait_s[0] == 0 for plan in self.plan(LinearRule(hourly), *still))

    def test_who_is_sent_the_model_is_a_function_or_a_constant_of_what_is_offered(self, served):
        for arguments, expected in (
            ({"refresh": (0, 1, 2)}, 2),
            ({"refresh": (0, 1)}, 1),
            ({"refresh": (0, 1, 2), "theta": {"refresh.1": 0.9}}, 1),
            ({"refresh": (0, 1, 2), "theta": {"refresh.version-lag": -9.0}}, 2),
            ({"refresh": (0, 2), "freeze": {"refresh": 0}}, 0),
        ):
            rule = LinearRule(**arguments)
            assert self.plan(rule, served())[0].refresh.tolist() == [expected]
            assert LinearRule(**rule.settings).settings == rule.settings
        lagging = served(version_lag=np.full((1, 10), 20))
        rule = LinearRule({"refresh.version-lag": -9.0}, refresh=(0, 1, 2))
        assert self.plan(rule, lagging)[0].refresh.tolist() == [0]
        assert self.plan(LinearRule(), served())[0].refresh is None
        assert self.plan(rule, served().changed(stream=None))[0].refresh is None

    @pytest.mark.parametrize("name", SERVED_CLIENT_FEATURES)
    def test_clients_are_told_apart_by_what_they_answer_and_remember(self, served, name):
        odd = {"version-lag": "version_lag", "memory-age": "memory_age_s", "wrong": "right_share"}
        values = np.where(np.arange(10) == 7, 0, 90)[None]
        values = 90 - values if name in ("version-lag", "asked") else values
        seen = served(**{odd.get(name, "requests"): values})
        quiet = {each: 0.0 for each in WEIGHTS if each.startswith("who.")}
        one = {"participants.1": 0.0, "over-selection.1": 0.0, "min-survival": 0.0}
        rule = LinearRule(quiet | one | {"who.noise": -6.0, f"who.{name}": 3.0})
        assert np.flatnonzero(self.plan(rule, seen)[0].invited[0]).tolist() == [7]

    def test_none_of_it_means_anything_elsewhere(self):
        theta = draws(5)[0]
        served = np.array([weight.served for weight in WEIGHTS.values()])
        moved = np.where(served, theta + 1.0, theta)
        assert not (free_weights({}) & served).any()
        assert (free_weights({}, served=True) | ~served).all()
        for mine, yours in zip(plans_of(LinearRule(theta)), plans_of(LinearRule(moved)), strict=True):
            assert np.array_equal(mine.plan.local_steps, yours.plan.local_steps)
            assert np.array_equal(mine.plan.wait_s, yours.plan.wait_s)

    def test_levels_that_make_no_sense_are_refused(self):
        with pytest.raises(
            ValueError, match=r"refresh: \[2, 1\], expected some of \[0, 1, 2\] in this order"
        ):
            LinearRule(refresh=(2, 1))
        with pytest.raises(
            ValueError, match="refresh is 3, expected a whole number of at least 0 and at most 2"
        ):
            LinearRule(freeze={"refresh": 3})


class TestBits:
    def test_bits_are_a_function_or_a_constant_where_they_are_a_decision(self, situation_of):
        situation = situation_of(0).changed(upload_bits=np.full(1, 16))
        bits = {"fewest_bits": 4, "most_bits": 16}
        for arguments, expected in (
            ({}, 8),
            ({"theta": {"upload-bits.1": 0.0}}, 4),
            ({"theta": {"upload-bits.1": 9.0}}, 16),
            ({"freeze": {"upload_bits": 5}}, 5),
            ({"freeze": {"upload_bits": 0}}, 16),
        ):
            rule = LinearRule(**arguments, **bits)
            rule.reset(np.ones(1, dtype=bool), np.arange(1), situation.num_clients)
            assert rule.plan(situation).upload_bits.tolist() == [expected]
            assert LinearRule(**rule.settings).settings == rule.settings
        plain = LinearRule()
        plain.reset(np.ones(1, dtype=bool), np.arange(1), situation.num_clients)
        assert plain.plan(situation).upload_bits.tolist() == [16]
        assert plain.plan(situation_of(0)).upload_bits is None

    def test_bits_that_make_no_sense_are_refused(self):
        with pytest.raises(ValueError, match="fewest_bits: 8, expected 0 to most_bits, 4"):
            LinearRule(fewest_bits=8, most_bits=4)


class TestWeights:
    def test_there_is_one_for_each_decision_and_feature(self):
        plain = {name: each for name, each in WEIGHTS.items() if not each.served}
        forms = len(DECISIONS) * len(RUN_FEATURES)
        over_time = sum(each.over_time for each in CLIENT_FEATURES.values())
        assert len(plain) == forms + len(CLIENT_FEATURES) + over_time + 5
        served = len(DECISIONS) * len(SERVED_RUN_FEATURES)
        served += len(SERVED_DECISIONS) * len(RUN_FEATURES | SERVED_RUN_FEATURES)
        over_time = sum(each.over_time for each in SERVED_CLIENT_FEATURES.values())
        assert len(WEIGHTS) - len(plain) == served + len(SERVED_CLIENT_FEATURES) + over_time
        assert list(WEIGHTS)[: len(plain)] == list(plain), "vectors of them begin alike everywhere"
        assert START.shape == SPREAD.shape == (len(WEIGHTS),)
        assert (SPREAD > 0).all()

    def test_names_and_vectors_say_the_same(self):
        theta = draws(3)[0]
        assert np.array_equal(theta_rows(by_name(theta))[0], theta)
        assert np.array_equal(
            theta_rows({"wait.1": 2.0})[0], np.where([n == "wait.1" for n in WEIGHTS], 2.0, START)
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"theta": {"wiat.1": 1.0}}, "did you mean 'wait.1'"),
            ({"theta": [1.0, 2.0]}, "theta: shape"),
            ({"theta": np.full(len(WEIGHTS), np.nan)}, "theta: not finite"),
            ({"knowledge": "all"}, "knowledge: 'all'"),
            ({"most_steps": 0}, "most_steps: 0"),
            (
                {"middle": {"price_per_hour": 0.0, "price_per_gb": 1, "price_per_kg": 1, "hours": 1}},
                "middle: price_per",
            ),
        ],
    )
    def test_bad_arguments_are_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            LinearRule(**arguments)

    def test_settings_are_json_and_build_the_same_rule(self):
        middle = Middle.of(load_scenario("quadratic"))
        rule = LinearRule(draws(4)[0], middle, 40, {"wait": 0})
        again = make_scheduler("linear-rule", **json.loads(json.dumps(rule.settings, allow_nan=False)))
        assert again.settings == rule.settings == describe("linear-rule", rule)
        for one, other in zip(plans_of(rule), plans_of(again), strict=True):
            assert np.array_equal(one.plan.local_steps, other.plan.local_steps)

    def test_the_middle_of_a_range_is_geometric(self):
        scenario = load_scenario(
            "quadratic", preferences={"price_per_hour": [0.1, 1.6]}, budgets={"hours": [4, 64]}
        )
        middle = Middle.of(scenario)
        assert (middle.price_per_hour, middle.hours) == pytest.approx((0.4, 16.0))
