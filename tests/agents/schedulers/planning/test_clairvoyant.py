"""Best known in hindsight: nobody is ahead, whatever the batch, an interruption, or more search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import Play, play_out
from frugalfl.agents.schedulers.planning import BestKnown, Clairvoyant
from frugalfl.envs.contract import RoundPlan, SchedulerKind
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = [3, 14, 15]


@pytest.fixture(scope="module")
def short():
    return load_scenario("volunteers", max_rounds=6, name="short")


@pytest.fixture(scope="module")
def take(short):
    shelf = {}
    return lambda size: shelf.setdefault(size, FederatedWorld(short, size, "val"))


def search(mutations=12, splices=2, **settings):
    rules = [make_scheduler("random-m", participants=4), make_scheduler("fastest-m", participants=4)]
    return Clairvoyant(rules, 4, splices, mutations, **settings)


def plan_of(num_envs):
    nobody = np.zeros((num_envs, 2), dtype=np.int32)
    return RoundPlan(nobody, nobody, np.ones(num_envs), np.zeros(num_envs))


def play_of(points, pooled):
    """One episode's play with given scores after each decision."""
    start = np.zeros((1, 1))
    tables = (np.concatenate([start, np.reshape(each, (-1, 1))]) for each in (points, pooled))
    return Play(*tables, tuple(plan_of(1) for _ in points))


SCORES = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=5)


class TestBestKnown:
    @given(given=st.lists(SCORES, min_size=1, max_size=4), found=st.lists(SCORES, max_size=4))
    def test_nobody_admitted_is_ahead_and_pooled_points_only_rise(self, given, found):
        known, one = BestKnown(), np.array([7])
        floor = 0.0
        for scores in given:
            known.admit("given", play_of(*np.array(scores, dtype=float).T), one)
            floor = max(floor, max(points for points, _ in scores))
            assert known.plays[7].net_points >= floor
        for scores in found:
            before = known.plays[7]
            known.offer("found", play_of(*np.array(scores, dtype=float).T), one)
            after = known.plays[7]
            assert after.net_points >= floor
            best = max([pooled for points, pooled in [*scores, (0, 0)] if points >= floor], default=-99)
            assert after.pooled_points == max(before.pooled_points, best)

    def test_a_later_one_that_is_ahead_replaces_a_play_with_more_pooled_points(self):
        known, one = BestKnown(), np.array([7])
        known.admit("first", play_of([1.0], [9.0]), one)
        known.admit("ahead", play_of([2.0], [3.0]), one)
        assert known.plays[7].name == "ahead"

    def test_several_plays_of_one_episode_are_offered_at_once(self):
        known = BestKnown()
        known.admit("given", play_of([1.0], [1.0]), np.array([7]))
        both = np.array([[0.0, 0.0], [2.0, 3.0]])
        known.offer("found", Play(both, both, (plan_of(2),)), np.array([7, 7]))
        assert known.plays[7].net_points == 3.0


class TestSearch:
    def test_everybody_in_an_evaluation_is_behind_in_every_episode(self, short):
        players = {"clairvoyant": search(mutations=0, splices=0)}
        for name in ("mpc", "cyclic", "power-of-choice", "round-robin", "unbiased"):
            players[name] = make_scheduler(name, "volunteers")
        result = evaluate(players, short, 5, "test", batch=2, progress=False)
        best = result.values("clairvoyant", "val_net_points")
        for name in players:
            assert (best >= result.values(name, "val_net_points") - 1e-9).all()

    def test_it_does_not_depend_on_the_batch(self, take):
        one, two = search(), search()
        one.prepare(take, SEEDS, batch=3)
        two.prepare(take, SEEDS, batch=2)
        assert [one.plays[seed].net_points for seed in SEEDS] == [
            two.plays[seed].net_points for seed in SEEDS
        ]

    def test_more_search_finds_more_and_says_what_it_cost(self, take):
        seen = []
        little, much = search(mutations=0, splices=0), search(mutations=40, splices=0, watch=seen.append)
        little.prepare(take, SEEDS)
        much.prepare(take, SEEDS)
        gains = [much.plays[seed].pooled_points - little.plays[seed].pooled_points for seed in SEEDS]
        assert min(gains) >= 0.0
        assert max(gains) > 0.5
        assert seen == much.history
        assert [each.plays for each in seen] == [1, 2, 3, 4, *range(8, 45, 4)]
        assert {each.of_plays for each in seen} == {44}
        found = np.mean([play.net_points for play in much.plays.values()])
        assert seen[-1].net_points == pytest.approx(found)

    def test_an_interrupted_search_begins_with_what_it_had(self, take):
        def stop(progress):
            if progress.plays > 12:
                raise KeyboardInterrupt

        scheduler = search(mutations=40, splices=0, watch=stop)
        with pytest.raises(KeyboardInterrupt):
            scheduler.prepare(take, SEEDS)
        before = scheduler.plays
        scheduler.watch = lambda progress: None
        scheduler.prepare(take, SEEDS)
        for seed in SEEDS:
            assert scheduler.plays[seed].pooled_points >= before[seed].pooled_points

    def test_plays_are_recalled_and_still_meet_new_rivals(self, take):
        found = search()
        found.prepare(take, SEEDS)
        later = search()
        later.recall(found.plays)
        later.prepare(take, SEEDS)
        assert later.plays == found.plays
        assert later.history == []
        rival = Repeating(found.plays)
        poor = search(mutations=0, splices=0)
        poor.prepare(take, SEEDS)
        poor.prepare(take, SEEDS, rivals=[rival])
        ahead = play_out(take(3), rival, np.array(SEEDS)).points
        assert (np.array([poor.plays[seed].net_points for seed in SEEDS]) >= ahead).all()

    @pytest.mark.parametrize("setting", ["splices", "mutations"])
    def test_refuses_negative_effort(self, setting):
        with pytest.raises(ValueError, match=f"clairvoyant.{setting}: -1"):
            search(**{setting: -1})


class Repeating:
    """Somebody who is as good as a search: it repeats what that has found, and so has to know the episode."""

    name = "repeating"
    kind: SchedulerKind = "ceiling"
    clairvoyant = True

    def __init__(self, plays):
        self._scheduler = search()
        self._scheduler.recall(plays)

    def reset(self, envs, seeds, num_clients):
        self._scheduler.reset(envs, seeds, num_clients)

    def plan(self, situation):
        return self._scheduler.plan(situation)
