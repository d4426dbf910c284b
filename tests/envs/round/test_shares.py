"""A scheduler's coefficients are shares of the step; how far the step goes is a decision of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from own_worlds import plain

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts.hindsight import Tape
from frugalfl.envs.contract import RoundPlan, choose_plans
from frugalfl.envs.round import step_shares
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = np.array([3, 4])
ALL = np.ones(2, dtype=bool)
FACTORS = {"levels": {"server_step": [0.5, 1.0, 4.0]}}
SHAPE = (3, 5)


def world_of(name="volunteers", **changes):
    world = FederatedWorld(plain(name, **changes), 2, "val")
    world.reset(ALL, SEEDS)
    return world


def plan_of(world, steps=5, quorum=1.0, weights=None, server_step=None, only=None):
    chosen = world.situation().clients.available if only is None else only
    steps = np.where(chosen, steps, 0).astype(np.int32)
    factors = None if server_step is None else np.array(server_step, dtype=float)
    return RoundPlan(
        steps, np.zeros_like(steps), np.full(2, quorum), np.zeros(2), weights, server_step=factors
    )


coefficients = hnp.arrays(float, SHAPE, elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)))
arrivals = hnp.arrays(bool, SHAPE)


class TestShares:
    @given(coefficients, arrivals, st.floats(1e-6, 1e6))
    def test_scale_does_not_matter_and_the_sum_is_one(self, weights, arrived, factor):
        shares = step_shares(weights, arrived)
        np.testing.assert_allclose(step_shares(factor * weights, arrived), shares, rtol=1e-12)
        heavy = np.where(arrived, weights, 0).sum(axis=1) > 0
        np.testing.assert_allclose(shares.sum(axis=1), heavy, atol=1e-12)
        assert not shares[~arrived].any()
        there = np.where(arrived, weights, 0)
        np.testing.assert_allclose(shares * there.sum(axis=1, keepdims=True), there, rtol=1e-9)

    @given(coefficients, arrivals, st.integers(0, 2))
    def test_a_row_depends_on_itself_and_the_aggregators_rows_stay_its_own(self, weights, arrived, row):
        weights[row] = np.nan
        shares = step_shares(weights, arrived)
        assert np.isnan(shares[row]).all()
        for e in range(3):
            alone = step_shares(weights[e : e + 1], arrived[e : e + 1])
            np.testing.assert_array_equal(alone[0], shares[e])

    def test_beside_updates_without_coefficients_the_others_share_what_is_theirs_by_number(self):
        weights = np.array([[3.0, 1.0, np.nan, np.nan, 7.0]])
        shares = step_shares(weights, np.array([[True, True, True, True, False]]))
        np.testing.assert_allclose(shares, [[0.375, 0.125, np.nan, np.nan, 0.0]])

    def test_no_coefficients_are_no_shares(self):
        assert step_shares(None, np.ones(SHAPE, dtype=bool)) is None


class TestInTheWorld:
    @pytest.mark.parametrize("late", [{}, {"late": {"kind": "keep"}}])
    @pytest.mark.parametrize("name", ["volunteers", "quadratic"])
    def test_scaling_a_plans_coefficients_changes_nothing(self, name, late):
        worlds = [world_of(name, **late) for _ in range(2)]
        rng = np.random.default_rng(0)
        for _ in range(4):
            weights = rng.uniform(0.1, 1, worlds[0].available.shape)
            for world, scale in zip(worlds, (1.0, 1024.0), strict=True):
                world.step(plan_of(world, weights=weights * scale, quorum=0.5))
        np.testing.assert_array_equal(worlds[0].parameters(), worlds[1].parameters())

    def test_equal_coefficients_are_the_plain_mean_of_those_who_arrive(self):
        own, plain = world_of(), world_of(aggregator="uniform")
        for _ in range(3):
            ones = np.ones(own.available.shape)
            outcome = own.step(plan_of(own, quorum=0.4, weights=ones)).outcome
            plain.step(plan_of(plain, quorum=0.4))
        assert outcome.cancelled.any()
        np.testing.assert_allclose(own.parameters(), plain.parameters(), atol=1e-6)

    @pytest.mark.parametrize(
        "name", ["power-of-choice", "cyclic", "f3ast", "unbiased", "all-mean", "oga", "all-available"]
    )
    def test_those_who_were_cancelled_do_not_shrink_the_step(self, name):
        """The step is that of a round to which nobody else had been invited."""
        knobs = {"mean": "all"} if name == "all-available" else {}
        scheduler = make_scheduler(name, participants=8, over_selection=2.0, quorum=0.4, **knobs)
        scheduler.reset(ALL, SEEDS, 24)
        crowd, few = world_of(), world_of()
        plan = scheduler.plan(crowd.situation())
        outcome = crowd.step(plan).outcome
        assert (outcome.cancelled | outcome.lost).any()
        steps = np.where(outcome.completed, plan.local_steps, 0).astype(np.int32)
        few.step(replace(plan, local_steps=steps, quorum=np.ones(2)))
        np.testing.assert_allclose(few.parameters(), crowd.parameters(), atol=1e-6)

    def test_where_all_that_arrive_weigh_nothing_the_model_stays(self):
        world = world_of()
        before = world.parameters()
        weights = np.ones(world.available.shape)
        weights[0] = 0.0
        world.step(plan_of(world, weights=weights))
        moved = (world.parameters() != before).any(axis=1)
        assert moved.tolist() == [False, True]


class TestServerStep:
    @pytest.mark.parametrize(
        "changes",
        [{}, {"late": {"kind": "keep"}}, {"aggregator": {"kind": "fedavgm"}}, {"aggregator": "scaffold"}],
    )
    @pytest.mark.parametrize("name", ["volunteers", "quadratic"])
    def test_a_factor_goes_so_many_times_as_far(self, name, changes):
        plain, scaled = world_of(name, **FACTORS, **changes), world_of(name, **FACTORS, **changes)
        before = plain.parameters()
        plain.step(plan_of(plain))
        scaled.step(plan_of(scaled, server_step=[0.5, 4.0]))
        one, many = plain.parameters() - before, scaled.parameters() - before
        assert one.any()
        np.testing.assert_allclose(many, one * [[0.5], [4.0]], rtol=1e-4, atol=1e-6)

    def test_a_mixture_of_models_takes_it_too(self):
        mixture = {"evaluation": {"personal": "mixture", "components": 2}}
        worlds = [world_of(**FACTORS, **mixture) for _ in range(2)]
        before = [each.params.copy() for each in worlds[0]._execution.personal._mixtures]
        for world, factors in zip(worlds, (None, [0.5, 4.0]), strict=True):
            world.step(plan_of(world, server_step=factors))
        for row, factor in enumerate([0.5, 4.0]):
            one, many = (w._execution.personal._mixtures[row].params - before[row] for w in worlds)
            np.testing.assert_allclose(many, factor * one, rtol=1e-4, atol=1e-6)

    def test_ones_change_nothing_to_the_last_bit(self):
        worlds = world_of(), world_of(**FACTORS)
        for _ in range(3):
            for world, factors in zip(worlds, (None, [1.0, 1.0]), strict=True):
                world.step(plan_of(world, server_step=factors))
        np.testing.assert_array_equal(worlds[0].parameters(), worlds[1].parameters())

    @pytest.mark.parametrize(
        ("changes", "factor", "expected"),
        [({}, 2.0, "1 everywhere"), ({}, 0.5, "1 everywhere"), (FACTORS, 4.1, "from 0.5 to 4"),
         (FACTORS, np.nan, "finite"), (FACTORS, 0.0, "from 0.5 to 4")],
    )  # fmt: skip
    def test_a_factor_that_is_not_offered_is_refused(self, changes, factor, expected):
        world = world_of(**changes)
        before = world.totals()
        with pytest.raises(ValueError, match=rf"RoundPlan\.server_step: .*expected .*{expected}"):
            world.step(plan_of(world, server_step=[1.0, factor]))
        for name, values in world.totals().items():
            np.testing.assert_array_equal(values, before[name])

    def test_whatever_lies_between_two_levels_is_offered(self):
        world = world_of(**FACTORS)
        world.step(plan_of(world, server_step=[0.7, 3.3]))

    def test_choosing_among_plans_carries_it(self):
        world = world_of(**FACTORS)
        plans = [plan_of(world), plan_of(world, server_step=[4.0, 0.5])]
        assert choose_plans(plans, np.array([0, 1])).server_step.tolist() == [1.0, 0.5]
        assert choose_plans(plans[:1], np.array([0, 0])).server_step is None

    @pytest.mark.parametrize("levels", [[], [0.5, 2.0], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]])
    def test_odd_levels_are_refused(self, levels):
        with pytest.raises(ValueError, match="server_step"):
            load_scenario("volunteers", levels={"server_step": levels})

    def test_one_client_has_no_such_levels(self):
        with pytest.raises(
            ValueError, match="server_step: several levels, expected one in a world of 1 clients"
        ):
            load_scenario("quadratic", clients=1, zones=1, **FACTORS)

    @pytest.mark.parametrize("name", ["random-m", "mpc", "pow-d"])
    def test_a_rules_factor_goes_from_the_first_to_the_last(self, name):
        world = world_of(max_rounds=8, **FACTORS)
        scheduler = make_scheduler(name, server_step=4.0, last_server_step=0.5)
        scheduler.reset(ALL, SEEDS, 24)
        found = []
        while world.running.any():
            plan = scheduler.plan(world.situation())
            found.append(plan.server_step.copy())
            world.step(plan)
        assert found[0].tolist() == [4.0, 4.0]
        assert (np.diff(found, axis=0) <= 0).all() and found[-1].max() < 1.0
        steady = make_scheduler(name, server_step=2.0)
        steady.reset(ALL, SEEDS, 24)
        assert steady.plan(world_of(**FACTORS).situation()).server_step.tolist() == [2.0, 2.0]

    def test_kept_orders_keep_it(self):
        world = world_of(**FACTORS)
        rows = [[plan_of(world, server_step=[4.0, 0.5])], [plan_of(world)]]
        halves = [[each[0].rows(slice(row, row + 1))] for row, each in enumerate(rows)]
        assert Tape(halves, 24).at(0).server_step.tolist() == [4.0, 1.0]
        assert Tape(halves[1:], 24).at(0).server_step is None
