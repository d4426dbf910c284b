"""REFL: the least available first, nobody twice within five rounds, fewer while stragglers are awaited."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import survival

N = 20


def started(**knobs):
    scheduler = make_scheduler("refl", **knobs)
    scheduler.reset(np.ones(1, dtype=bool), np.array([5]), N)
    return scheduler


def bench(situation_of, **changes):
    base = dict(
        available=np.ones(N, dtype=bool), samples_held=np.full(N, 40), samples_sent=np.zeros(N, dtype=int)
    )
    base |= dict(announced_left_s=np.full(N, np.inf), completions=np.zeros(N, dtype=np.int64))
    return situation_of(0, n=N, **(base | changes))


def played(scheduler, situation, rounds, seconds=100.0, done=True):
    """Rounds of so many seconds, all of whose updates come back; who was invited in each."""
    log = []
    for _ in range(rounds):
        invited = scheduler.plan(situation).invited
        log.append(invited[0])
        situation = situation.changed(
            time_s=situation.run.time_s + seconds + situation.terms.overhead_s,
            completions=situation.clients.completions + (invited & done),
        )
    return np.array(log), situation


def test_the_least_available_by_forecast_come_first(situation_of):
    chance = np.linspace(1.0, 0.05, N)
    situation = bench(situation_of, available_forecast=np.repeat(chance[:, None], 2, axis=1))
    assert np.flatnonzero(started(participants=4).plan(situation).invited[0]).tolist() == [16, 17, 18, 19]


def test_an_announced_end_decides_where_there_is_one(situation_of):
    announced = np.full(N, np.inf)
    typical_s = np.median(bench(situation_of).round_s(10))
    announced[3], announced[4], announced[5] = 1.2 * typical_s, 1e9, 0.5 * typical_s
    situation = bench(situation_of, announced_left_s=announced, available_forecast=np.full((N, 2), 0.5))
    assert started(participants=1).plan(situation).invited[0, 3]
    assert not started(participants=18).plan(situation).invited[0, 4]


def test_who_will_be_gone_before_the_round_ends_comes_last(situation_of):
    """Least available *after* the round, but there during it."""
    typical_s = np.median(bench(situation_of).round_s(10))
    announced = np.where(np.arange(N) < 12, 0.5, 1.2) * typical_s
    situation = bench(situation_of, announced_left_s=announced)
    invited = started(participants=8).plan(situation).invited[0]
    assert np.array_equal(invited, announced > typical_s)
    assert started(participants=11).plan(situation).invited[0].sum() == 11


def test_chance_is_taken_from_one_to_two_rounds_ahead(situation_of):
    scheduler, situation = started(), bench(situation_of)
    scheduler.plan(situation)
    scheduler.state["expected_s"][:] = 1000.0
    leads = [survival(situation, np.full((1, N), lead)) for lead in (1000.0, 1500.0, 2000.0)]
    assert scheduler.stay(situation) == pytest.approx(np.mean(leads, axis=0))


def test_expected_round_follows_the_last_ones(situation_of):
    """mu <- 0.75 D + 0.25 mu, begun at the median round."""
    scheduler, situation = started(participants=5), bench(situation_of)
    first = np.median(situation.round_s(10))
    _, later = played(scheduler, situation, 2, seconds=400.0)
    assert scheduler.state["expected_s"][0] == pytest.approx(0.75 * 400 + 0.25 * first)
    played(scheduler, later, 1)
    assert scheduler.state["expected_s"][0] == pytest.approx(0.75 * 400 + 0.25 * (300 + 0.25 * first))


def test_nobody_twice_within_five_rounds(situation_of):
    """Three of twenty a round: a client rests five whole rounds."""
    log, _ = played(started(participants=3), bench(situation_of), 40)
    assert (log.sum(axis=1) == 3).all()
    for k in range(N):
        assert (np.diff(np.flatnonzero(log[:, k])) > 5).all()


def test_without_a_cooldown_the_same_come_again(situation_of):
    forecast = np.repeat(np.linspace(1.0, 0.05, N)[:, None], 2, axis=1)
    log, _ = played(started(participants=3, cooldown=0), bench(situation_of, available_forecast=forecast), 6)
    assert log[:, 17:].all()


def test_where_too_few_are_rested_the_longest_rested_fill_up(situation_of):
    log, _ = played(started(participants=8), bench(situation_of), 12)
    assert (log.sum(axis=1) == 8).all()
    gaps = np.concatenate([np.diff(np.flatnonzero(log[:, k])) for k in range(N)])
    assert gaps.min() >= 2
    assert gaps.max() <= 3


def test_apt_leaves_room_for_stragglers(situation_of):
    """Cut off but still there and nearly done: they count against the next round's target."""
    situation = bench(situation_of)
    late = np.arange(N) >= 6
    for adaptive, least, expected in ((False, 1, 10), (True, 1, None), (True, 9, None)):
        scheduler = started(participants=10, adaptive_target=adaptive, least_participants=least)
        log, later = played(scheduler, situation, 1, seconds=60.0, done=~late[None])
        stragglers = (log[0] & late).sum()
        assert stragglers > 0
        now = scheduler.plan(later).invited.sum()
        assert now == (expected or max(10 - stragglers, least))
