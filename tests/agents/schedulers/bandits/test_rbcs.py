"""RBCS-F: its set by brute force, its regression, its guaranteed shares."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.bandits import best_set

N = 8


@given(st.integers(0, 2**31), st.booleans())
@settings(deadline=None, max_examples=150)
def test_the_set_is_the_best_of_all(seed, ties):
    rng = np.random.default_rng(seed)
    cost, queue = rng.uniform(0, 3, (2, 3, 7))
    if ties:
        cost, queue = np.round(cost), np.round(queue)
    allowed = rng.random((3, 7)) < 0.7
    places = np.minimum(rng.integers(1, 8, 3), allowed.sum(axis=1))
    chosen = best_set(cost, queue, allowed, places)
    assert not (chosen & ~allowed).any()
    assert chosen.sum(axis=1).tolist() == places.tolist()
    for row in np.flatnonzero(places > 0):
        best = min(
            max(cost[row, k] for k in each) - sum(queue[row, k] for k in each)
            for each in combinations(np.flatnonzero(allowed[row]), places[row])
        )
        assert cost[row, chosen[row]].max() - queue[row, chosen[row]].sum() == pytest.approx(best)


def play(situation_of, rounds, success=1.0, **knobs):
    """Rounds with everybody there; the scheduler, who was invited when, the last situation."""
    step_s = np.array([1.0, 1.2, 1.5, 3.0, 5.0, 8.0, 9.0, 10.0])
    base = dict(available=np.ones(N, dtype=bool), samples_held=np.full(N, 50), step_s=step_s)
    situation = situation_of(0, n=N, completions=np.zeros(N, dtype=np.int64), **base)
    scheduler, rng, log = make_scheduler("rbcs-f", **knobs), np.random.default_rng(0), []
    scheduler.reset(np.ones(1, dtype=bool), np.array([5]), N)
    for _ in range(rounds):
        invited = scheduler.plan(situation).invited
        log.append(invited[0])
        came = invited & (rng.random(N) < success)
        situation = situation.changed(completions=situation.clients.completions + came)
    return scheduler, np.array(log), situation


def test_the_regression_learns_each_clients_times(situation_of):
    scheduler, log, situation = play(situation_of, 400, participants=4, width=0.0, guarantee=0.9)
    scheduler.plan(situation)
    known = log.sum(axis=0) > 100
    assert known.sum() >= 4
    truth = (situation.round_s(10) / np.median(situation.round_s(10)))[0]
    assert scheduler.expected_times()[0, known] == pytest.approx(truth[known], rel=0.1)


def test_lost_updates_teach_no_times(situation_of):
    scheduler, _, situation = play(situation_of, 20, success=0.0, participants=3)
    scheduler.plan(situation)
    assert not scheduler.state["moment"].any()


@pytest.mark.parametrize("tradeoff", [0.5, 5.0, 50.0])
def test_everyone_gets_its_share_and_speed_the_rest(tradeoff, situation_of):
    scheduler, log, _ = play(situation_of, 1500, participants=3, guarantee=0.6, tradeoff=tradeoff)
    late = log[500:].mean(axis=0)
    # A larger V lets the queues grow longer before they are served: the share is met up to V / T.
    assert late.min() >= 0.6 * 3 / 8 - 0.02 - 0.001 * tradeoff
    assert late[:3].mean() > late[5:].mean() + 0.1
    assert scheduler.state["queue"].max() < 5 + 3 * tradeoff


def test_rounds_get_shorter_as_v_grows(situation_of):
    lengths = []
    for tradeoff in (0.05, 5.0, 100.0):
        _, log, situation = play(situation_of, 400, participants=3, guarantee=0.3, tradeoff=tradeoff)
        seconds = situation.round_s(10)[0]
        lengths.append(np.mean([seconds[row].max() for row in log[100:]]))
    assert lengths[0] > lengths[1] >= lengths[2]
