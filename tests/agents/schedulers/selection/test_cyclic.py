"""Clients that take turns: cyclic groups and blocks of the day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.base import IDLE_WAIT_S
from frugalfl.envs.round import step_shares
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticProblem
from frugalfl.fl_core.theory import (
    ParticipationChain,
    affine_rounds,
    cyclic_fixed_point,
    expected_gap,
    markov_moments,
)


def start(name: str, num_envs: int = 1, n: int = 12, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs), n)
    return scheduler


def shares(plan):
    """The plan's coefficients as the world uses them if everybody invited answers."""
    return step_shares(plan.weights, plan.invited)


def everyone_here(situation, **changes):
    return situation.changed(available=np.ones_like(situation.clients.available), **changes)


def twelve():
    """Twelve quadratics in four dimensions with spectra from 0.5 to 3."""
    rng = np.random.default_rng(5)
    hessian = []
    for _ in range(12):
        basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
        spectrum = rng.uniform(0.5, 3, size=4)
        spectrum[0], spectrum[-1] = 0.5, 3
        hessian.append(basis @ np.diag(spectrum) @ basis.T)
    rows = np.full(12, 10, dtype=np.int32)
    centre = rng.normal(size=(12, 4))
    return QuadraticProblem(np.array(hessian), centre, np.full(12, 1 / 12), rows, rows, np.zeros(4))


class TestCyclic:
    def test_groups_take_turns_and_m_of_them_train(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("cyclic", groups=4, participants=2)
        for index in range(8):
            plan = scheduler.plan(situation)
            chosen = np.flatnonzero(plan.invited[0])
            assert chosen.size == 2
            assert (chosen % 4 == index % 4).all()
            assert shares(plan)[0, chosen].tolist() == [0.5, 0.5]

    def test_members_of_a_group_are_drawn_uniformly(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("cyclic", groups=3, participants=2)
        counts = sum(scheduler.plan(situation).invited[0] for _ in range(1500))
        assert np.abs(counts / 500 - 0.5).max() < 0.1

    def test_zones_may_be_the_groups(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("cyclic", groups=3, by="zone", participants=100)
        for index in range(6):
            assert np.array_equal(
                scheduler.plan(situation).invited[0], situation.clients.zone[0] == index % 3
            )

    def test_a_group_of_which_nobody_is_there_is_passed_over(self, situation_of):
        here = np.arange(12) % 4 != 1
        situation = situation_of(0, available=here)
        scheduler = start("cyclic", groups=4, participants=100)
        turns = [np.flatnonzero(scheduler.plan(situation).invited[0])[0] for _ in range(6)]
        assert turns == [0, 2, 3, 0, 2, 3]

    def test_waits_do_not_use_up_a_slot(self, situation_of):
        situation = situation_of(0, available=np.ones(12, dtype=bool))
        scheduler = start("cyclic", groups=4)
        scheduler.plan(situation)
        for _ in range(3):
            scheduler.plan(situation.changed(available=np.zeros((1, 12), dtype=bool)))
        assert np.flatnonzero(scheduler.plan(situation).invited[0])[0] == 1

    def test_random_order_draws_every_group_equally_often(self, situation_of):
        situation = everyone_here(situation_of(0))
        scheduler = start("cyclic", groups=4, order="random", participants=100)
        first = [int(np.flatnonzero(scheduler.plan(situation).invited[0])[0]) for _ in range(1600)]
        assert np.abs(np.bincount(first, minlength=4) / 1600 - 0.25).max() < 0.05


class TestCyclicAgainstUniform:
    """POLICIES 2.7 and 5.3, item 6: four groups of three, whole groups take part."""

    def gaps(self, situation_of, learning_rate, steps=1):
        """Exact gaps at the fixed points of the scheduler's own cycle, and of its groups drawn at random."""
        problem = twelve()
        situation = everyone_here(situation_of(0, target_weight=problem.target_weight))
        scheduler = start("cyclic", groups=4, participants=3)
        omega = np.concatenate([shares(scheduler.plan(situation)) for _ in range(4)])
        rounds = affine_rounds(problem, omega, learning_rate, steps)
        drawn = ParticipationChain(omega > 0, np.full((4, 4), 0.25), np.full(4, 0.25))
        uniform = expected_gap(problem, *markov_moments(rounds, drawn))
        return problem.gap(cyclic_fixed_point(rounds)), uniform

    @pytest.mark.parametrize(("steps", "cyclic", "uniform"), [(1, 4.02, 2.01), (5, 3.92, 1.99)])
    def test_halving_the_step_divides_the_gaps_by_four_and_two(self, situation_of, steps, cyclic, uniform):
        whole, half = (self.gaps(situation_of, rate, steps) for rate in (0.01, 0.005))
        assert whole[0] / half[0] == pytest.approx(cyclic, abs=0.01)
        assert whole[1] / half[1] == pytest.approx(uniform, abs=0.01)

    def test_gaps_are_the_published_ones(self, situation_of):
        assert self.gaps(situation_of, 0.01) == pytest.approx((6.9e-5, 5.9e-3), rel=0.02)

    def test_training_ends_at_the_fixed_point_of_the_cycle(self, situation_of):
        problem = twelve()
        core = QuadraticCore({"dimension": 4}, 1, 12, {"learning_rate": 0.05})
        core.reset(0, problem, 0)
        situation = everyone_here(situation_of(0, target_weight=problem.target_weight))
        scheduler = start("cyclic", groups=4, participants=3, local_steps=2)
        omega = []
        for index in range(800):
            plan = scheduler.plan(situation)
            core.run_round(TrainingOrders(plan.local_steps, shares(plan), np.array([index])))
            omega.append(shares(plan)[0])
        expected = cyclic_fixed_point(affine_rounds(problem, np.array(omega[-4:]), 0.05, 2))
        assert core.parameters()[0] == pytest.approx(expected, abs=1e-12)


class TestSemiCyclic:
    def test_trains_whose_hour_it_is(self, situation_of):
        local_h = np.array([1.0, 3.9, 4.1])
        situation = everyone_here(situation_of(0, local_hour=local_h))
        plan = start("semi-cyclic", participants=100).plan(situation)
        assert np.array_equal(plan.invited[0], situation.clients.zone[0] < 2)
        plan = start("semi-cyclic", participants=100, opens_h=22.0, blocks=12).plan(situation)
        assert not plan.invited.any()
        plan = start("semi-cyclic", participants=2).plan(situation)
        assert plan.invited.sum() == 2

    def test_zones_may_be_dealt_to_the_blocks(self, situation_of):
        for hour, zone in ((0.0, 0), (7.9, 0), (8.0, 1), (23.9, 2)):
            situation = everyone_here(situation_of(0, utc_hour=hour))
            plan = start("semi-cyclic", participants=100, blocks=3, by="zone").plan(situation)
            assert np.array_equal(plan.invited[0], situation.clients.zone[0] == zone)

    def test_waits_until_the_next_block_opens(self, situation_of):
        situation = everyone_here(situation_of(0, local_hour=np.array([21.5, 20.0, 12.0])))
        assert start("semi-cyclic").plan(situation).wait_s[0] == pytest.approx(2.5 * 3600)
        nearly = situation.changed(local_hour=np.array([[23.99, 20.0, 12.0]]))
        assert start("semi-cyclic").plan(nearly).wait_s[0] == IDLE_WAIT_S
        nobody = situation_of(0, local_hour=np.array([1.0, 9.0, 9.0]), available=np.zeros(12, dtype=bool))
        assert start("semi-cyclic").plan(nobody).wait_s[0] == IDLE_WAIT_S

    def test_a_model_per_block_beats_the_single_one_where_blocks_differ(self, situation_of):
        """POLICIES 2.6: the iterate at the end of each block serves that block better than any one model."""
        rng = np.random.default_rng(0)
        zone = np.arange(12) % 3
        centre = 3 * rng.normal(size=(3, 4))[zone] + 0.1 * rng.normal(size=(12, 4))
        problem = replace(twelve(), centre=centre)
        core = QuadraticCore({"dimension": 4}, 1, 12, {"learning_rate": 0.05})
        core.reset(0, problem, 0)
        scheduler = start("semi-cyclic", participants=100, blocks=3, by="zone")
        base = everyone_here(situation_of(0, zone=zone, target_weight=problem.target_weight))
        snapshots = np.zeros((3, 4))
        for index in range(24):
            block = index // 4 % 3
            plan = scheduler.plan(base.changed(utc_hour=np.array([8.0 * block])))
            assert np.array_equal(plan.invited[0], zone == block)
            core.run_round(TrainingOrders(plan.local_steps, None, np.array([index])))
            snapshots[block] = core.parameters()[0]
        own = [problem.client_losses(snapshots[block])[zone == block].mean() for block in range(3)]
        single, ideal = problem.loss(core.parameters()[0]), problem.loss(problem.optimum())
        assert np.mean(own) < 0.1 * ideal < ideal < single
