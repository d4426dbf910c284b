"""Plays kept order by order: repeated exactly, changed from some decision on, and looked ahead from."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import Splice, Tape, fork, play_ahead, play_out
from frugalfl.agents.schedulers.planning import with_sight
from frugalfl.envs.contract import STOP_S
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = np.array([4, 8, 15])


@pytest.fixture(scope="module")
def world():
    return FederatedWorld(load_scenario("volunteers", max_rounds=8), 3, "val")


def orders_of(play):
    return [play.orders(row, int(play.decisions[row])) for row in range(len(SEEDS))]


class TestTape:
    def test_a_kept_play_earns_again_what_it_earned_and_stops_there(self, world):
        rule = make_scheduler("f3ast", participants=4)
        play = play_out(world, rule, SEEDS)
        tape = Tape(orders_of(play), 24)
        never = np.full(3, 99)
        again = play_out(world, Splice(tape, never, make_scheduler("random-m"), 0), SEEDS)
        assert np.array_equal(again.points, play.points)
        assert np.array_equal(again.decisions, play.decisions)
        assert (tape.at(99).wait_s == STOP_S).all()
        assert np.array_equal(play_out(world, tape, SEEDS).points, play.points)

    def test_a_splice_from_the_start_is_the_tail_alone(self, world):
        play = play_out(world, make_scheduler("random-m"), SEEDS)
        tail = make_scheduler("greenest-m", participants=3)
        spliced = play_out(world, Splice(Tape(orders_of(play), 24), np.zeros(3), tail, 0), SEEDS)
        alone = play_out(world, make_scheduler("greenest-m", participants=3), SEEDS)
        # Ties are broken by chance, which differs; grams hardly ever tie.
        assert spliced.points == pytest.approx(alone.points)

    def test_the_best_moment_to_stop_is_the_largest_running_sum(self, toy_world):
        play = play_out(toy_world(3), make_scheduler("random-m"), SEEDS)
        again = toy_world(3)
        again.reset(np.ones(3, dtype=bool), SEEDS)
        sums = np.cumsum([again.step(plan).reward for plan in play.plans], axis=0)
        assert play.points == pytest.approx(np.maximum(sums.max(axis=0), 0.0))
        gained = again.pooled_accuracy() - 0.1
        costs = sums[-1] - 100 * (again.accuracy - 0.1)
        assert play.pooled_points[-1] == pytest.approx(100 * gained + costs)


class TestLookingAhead:
    def test_a_fork_goes_on_by_itself_and_exactly(self, world):
        rule = make_scheduler("random-m")
        world.reset(np.ones(3, dtype=bool), SEEDS)
        rule.reset(np.ones(3, dtype=bool), SEEDS, 24)
        world.step(rule.plan(world.situation()))
        copy = fork(world)
        assert copy.source is world.source
        plan = rule.plan(world.situation())
        before = world.time_s
        ahead = copy.step(plan).reward
        assert np.array_equal(world.time_s, before)
        assert np.array_equal(world.step(plan).reward, ahead)

    def test_to_the_end_it_is_never_worse_than_its_base(self, world):
        base = with_sight(make_scheduler("mpc"))
        others = [with_sight(make_scheduler("mpc", local_steps=10)), make_scheduler("fastest-m")]
        alone = play_out(world, base, SEEDS)
        ahead = play_ahead(world, base, others, SEEDS, depth=8)
        assert (ahead.points >= alone.points - 1e-9).all()
        assert ahead.points.sum() > alone.points.sum()
