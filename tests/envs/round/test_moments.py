"""What a worker's optimiser remembers ends with its session, also where late updates wait for their round."""

from __future__ import annotations

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.envs.contract import RoundPlan

ADAMW = {"optimiser": "adamw", "learning_rate": 0.01}


def world_of(seeds, **changes):
    return begun(plain("volunteers", training=ADAMW, clients=12, **changes), seeds)


def plan_of(world, steps, quorum):
    envs, clients = world.available.shape
    orders = np.full((envs, clients), steps, dtype=np.int32)
    return RoundPlan(orders, np.zeros_like(orders), np.full(envs, quorum), np.zeros(envs))


def seen(world):
    """`[E, N]`, steps that each worker's moments have seen."""
    return world._core.state()["workers.steps"]


@pytest.mark.parametrize("late", [{"kind": "drop"}, {"kind": "keep", "max_rounds": 2}], ids=str)
def test_moments_have_seen_the_steps_of_the_running_session(late):
    world = world_of([3, 4], late=late)
    expected, kept, dropped = np.zeros((2, 12), dtype=np.int64), 0, 0
    for index in range(30):
        began_s, busy = world.time_s, world.situation().clients.busy
        steps = 5 + index
        ordered = np.where(busy, 0, steps)
        outcome = world.step(plan_of(world, steps, 0.5)).outcome
        # A late update makes the steps of the round it was ordered in, which only drop knows here.
        if late["kind"] == "drop":
            expected += np.where(outcome.completed, ordered, 0)
        else:
            expected = np.where(outcome.completed, seen(world), expected)
        sessions = world.sessions
        stayed = sessions.available & (sessions.session_start_s <= began_s[:, None])
        free = ~world.situation().clients.busy
        gone = ~stayed & free
        expected[gone] = 0
        dropped += int((gone & (outcome.completed | outcome.lost)).sum())
        now = seen(world)
        assert (now[gone] == 0).all()
        assert np.array_equal(now[stayed & free], expected[stayed & free])
        kept += int((now > steps).sum())
        if not world.running.all():
            break
    assert kept and dropped


def test_whoever_stays_goes_on_with_its_moments_and_a_new_episode_has_none():
    world = world_of([3])
    for _ in range(3):
        world.step(plan_of(world, 5, 1.0))
    assert seen(world).max() > 5
    world.reset(np.ones(1, dtype=bool), np.array([3]))
    assert not seen(world).any()
