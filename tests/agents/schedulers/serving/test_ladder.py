"""The ladder: gain against a plain statement, slope against finite differences, bounds against HiGHS."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from frugalfl.agents.schedulers.serving.regret import (
    PSI,
    best_fixed,
    look_back,
    relaxed_bound,
    relaxed_by_program,
)
from frugalfl.common.compiled import uses_numba
from frugalfl.envs.serving import NOTHING
from frugalfl.envs.serving_view import (
    Ladder,
    fill_greedily,
    gain_and_slope,
    gain_of,
    marginals,
)
from frugalfl.envs.serving_view import ladder_kernels as kernels


def ladders(steps, slots, tasks, rungs, seed, hub_last=False):
    """Random steps: dear and cheap contents, some slots away, a hub for part of the load."""
    rng = np.random.default_rng(seed)
    contents = tasks * rungs
    capacity = rng.uniform(5, 60, (1, slots, contents)) * (rng.random((steps, slots, 1)) < 0.8)
    return Ladder(
        cost=np.broadcast_to(rng.uniform(5, 60, (1, slots, contents)), (steps, slots, contents)).copy(),
        capacity=capacity,
        requests=rng.uniform(0, 120, (steps, tasks)),
        hub_cost=rng.uniform(20, 40, (steps, tasks)),
        hub_capacity=rng.uniform(0, 30, (steps, tasks)),
        dropped=100.0,
        hub_last=hub_last,
    )


def plain_gain(ladder, y, e):
    """Cheapest options first, one request type after the other, in the plainest words."""
    total = 0.0
    tasks = ladder.requests.shape[1]
    rungs = ladder.cost.shape[2] // tasks
    for i in range(tasks):
        r = ladder.requests[e, i]
        hub = [(ladder.hub_cost[e, i], min(ladder.hub_capacity[e, i], r))]
        slots = [
            (ladder.cost[e, s, j], min(ladder.capacity[e, s, j], r) * y[e, s, j])
            for s in range(ladder.cost.shape[1])
            for j in range(i * rungs, (i + 1) * rungs)
        ]
        paid = []
        for options in (hub, hub + slots):
            left, cost = r, 0.0
            first = sorted(options[1:]) + hub if ladder.hub_last and len(options) > 1 else sorted(options)
            for price, amount in first:
                used = min(amount, left) if price < ladder.dropped else 0.0
                cost, left = cost + used * price, left - used
            paid.append(cost + left * ladder.dropped)
        total += paid[0] - paid[1]
    return total


class TestGain:
    """G(y) and its slope."""

    @pytest.mark.parametrize("hub_last", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_is_that_of_cheapest_first(self, seed, hub_last):
        ladder = ladders(3, 5, 2, 3, seed, hub_last)
        y = np.random.default_rng(seed).dirichlet(np.ones(6), (3, 5))
        gain, _ = gain_and_slope(ladder, y)
        assert gain == pytest.approx([plain_gain(ladder, y, e) for e in range(3)], rel=1e-12)

    @pytest.mark.parametrize("seed", range(4))
    def test_the_slope_is_a_finite_difference(self, seed):
        ladder = ladders(2, 4, 2, 2, seed)
        y = np.random.default_rng(seed).dirichlet(np.ones(4), (2, 4))
        gain, slope = gain_and_slope(ladder, y)
        width = 1e-7
        for s, j in itertools.product(range(4), range(4)):
            moved = y.copy()
            moved[:, s, j] += width
            right = (gain_and_slope(ladder, moved)[0] - gain) / width
            assert right == pytest.approx(slope[:, s, j], rel=1e-4, abs=1e-3)

    def test_it_is_concave(self):
        ladder = ladders(8, 5, 2, 3, 1)
        rng = np.random.default_rng(2)
        y, z = rng.dirichlet(np.ones(6), (8, 5)), rng.dirichlet(np.ones(6), (8, 5))
        gain, slope = gain_and_slope(ladder, y)
        other, _ = gain_and_slope(ladder, z)
        middle, _ = gain_and_slope(ladder, (y + z) / 2)
        assert (middle >= (gain + other) / 2 - 1e-9).all()
        assert (other <= gain + (slope * (z - y)).sum(axis=(1, 2)) + 1e-9).all()

    def test_a_hub_that_is_last_gains_no_more(self):
        first, last = (ladders(6, 5, 2, 3, 4, hub_last) for hub_last in (False, True))
        content = np.random.default_rng(1).integers(-1, 6, (6, 5))
        assert (gain_of(last, content) <= gain_of(first, content) + 1e-9).all()
        assert (gain_of(last, content) < gain_of(first, content) - 1.0).any()

    def test_rounding_keeps_its_share(self):
        ladder = ladders(1, 4, 2, 2, 3)
        y = np.random.default_rng(4).dirichlet(np.ones(4), (1, 4))
        mean = sum(
            np.prod([y[0, s, j] for s, j in enumerate(each)]) * gain_of(ladder, np.array([each]))[0]
            for each in itertools.product(range(4), repeat=4)
        )
        concave = gain_and_slope(ladder, y)[0][0]
        assert PSI * concave <= mean <= concave + 1e-9


class TestMarginals:
    """What one slot more would add."""

    @pytest.mark.parametrize("hub_last", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_are_differences_of_gains(self, seed, hub_last):
        ladder = ladders(3, 5, 2, 3, seed, hub_last)
        rng = np.random.default_rng(seed)
        content = rng.integers(-1, 6, (3, 5))
        share = rng.uniform(0, 1, (3, 5)) * (content >= 0)
        candidate = rng.uniform(0, 1, (3, 5, 6))
        added = marginals(ladder, content, share, candidate)
        for s, j in itertools.product(range(5), range(6)):
            without, part = content.copy(), share.copy()
            without[:, s] = NOTHING
            before = gain_of(ladder, without, part)
            without[:, s], part[:, s] = j, candidate[:, s, j]
            assert added[:, s, j] == pytest.approx(gain_of(ladder, without, part) - before, abs=1e-7)

    def test_of_lower_ranks_only(self):
        ladder = ladders(2, 4, 2, 3, 5)
        content = np.random.default_rng(1).integers(0, 6, (2, 4))
        rank = np.array([[2, 0, 3, 1], [0, 1, 2, 3]])
        added = marginals(ladder, content, rank=rank)
        for e, s in itertools.product(range(2), range(4)):
            before = np.where(rank[e] < rank[e, s], content[e], NOTHING)
            one = Ladder(*(each[e : e + 1] for each in ladder[:5]), *ladder[5:])
            assert added[e, s] == pytest.approx(marginals(one, before[None])[0, s], abs=1e-9)

    def test_they_fall_as_slots_fill(self):
        ladder = ladders(4, 6, 2, 3, 6)
        content = np.random.default_rng(1).integers(0, 6, (4, 6))
        fewer = np.where(np.arange(6) < 3, content, NOTHING)
        assert (marginals(ladder, content) <= marginals(ladder, fewer) + 1e-9)[:, 3:].all()


@pytest.mark.skipif(not uses_numba(), reason="nothing is compiled")
@pytest.mark.parametrize("hub_last", [False, True])
def test_plain_python_agrees_with_the_compiled_kernels(hub_last):
    ladder = ladders(3, 5, 2, 3, 9, hub_last)
    rng = np.random.default_rng(2)
    y, content = rng.dirichlet(np.ones(6), (3, 5)), rng.integers(-1, 6, (3, 5))
    for compiled, plain in zip(
        kernels.concave_gain(ladder, y), kernels.concave_gain.python(ladder, y), strict=True
    ):
        assert np.array_equal(compiled, plain)
    arguments = (ladder, content, rng.random((3, 5)), np.full((3, 5), -1), rng.random((3, 5, 6)))
    assert np.array_equal(kernels.marginal_gains(*arguments), kernels.marginal_gains.python(*arguments))


class TestHindsight:
    """The best fixed placement and what bounds it."""

    @pytest.mark.parametrize("seed", range(3))
    def test_greedy_with_exchanges_is_near_the_best_and_below_the_bounds(self, seed):
        ladder = ladders(6, 3, 2, 2, seed)
        every = [
            gain_of(ladder, np.broadcast_to(np.array(each), (6, 3))).sum()
            for each in itertools.product(range(-1, 4), repeat=3)
        ]
        found = look_back(ladder, 150)
        exact = relaxed_by_program(ladder)
        assert found.best <= max(every) + 1e-9
        assert found.best >= PSI * exact
        assert max(every) <= exact + 1e-6
        assert exact - 1e-6 <= found.relaxed <= exact * 1.1

    def test_greedy_is_at_least_its_share_of_the_relaxation(self):
        for seed in range(6):
            ladder = ladders(4, 6, 2, 3, seed)

            def added(content, ladder=ladder):
                return marginals(ladder, np.broadcast_to(content, (4, 6))).sum(axis=0, keepdims=True)

            greedy = fill_greedily(added, np.full((1, 6), NOTHING), np.ones((1, 6), dtype=bool))
            gain = gain_of(ladder, np.broadcast_to(greedy[0], (4, 6))).sum()
            assert gain >= PSI * relaxed_by_program(ladder)

    def test_no_schedule_gains_more_than_the_relaxation_of_schedules(self):
        ladder = ladders(3, 2, 2, 2, 8)
        best = 0.0
        for step in range(3):
            one = Ladder(*(each[step : step + 1] for each in ladder[:5]), *ladder[5:])
            best += max(
                gain_of(one, np.array([each]))[0] for each in itertools.product(range(-1, 4), repeat=2)
            )
        free = relaxed_by_program(ladder, fixed=False)
        assert best <= free + 1e-6
        assert relaxed_by_program(ladder) <= free + 1e-6

    def test_a_fixed_placement_gains_nothing_while_its_slots_are_away(self):
        ladder = ladders(4, 3, 2, 2, 2)
        away = ladder._replace(capacity=np.zeros_like(ladder.capacity))
        assert gain_of(away, np.broadcast_to(best_fixed(ladder), (4, 3))).sum() == 0.0
        assert relaxed_bound(away) == pytest.approx(0.0, abs=1e-9)
