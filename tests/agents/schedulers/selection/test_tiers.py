"""FedCS against its algorithm written out plainly, and TiFL's tiers, chances and credits."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.selection import greedy_set


def started(name, n=12, rows=1, seed=5, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(rows, dtype=bool), np.arange(seed, seed + rows), n)
    return scheduler


def everyone(situation, **changes):
    full = dict(
        available=np.ones_like(situation.clients.available),
        samples_held=np.full_like(situation.clients.samples_held, 50),
    )
    return situation.changed(**(full | changes))


def round_length(order, broadcast_s, update_s, upload_s):
    """The paper's timeline: one broadcast at the slowest's pace, then uploads one after the other."""
    theta = 0.0
    for k in order:
        theta = max(theta, update_s[k]) + upload_s[k]
    return max((broadcast_s[k] for k in order), default=0.0) + theta


def plain_greedy(broadcast_s, update_s, upload_s, asked, limit_s, most):
    """Algorithm 3 of the paper, client by client; at least one."""
    chosen, left = [], list(np.flatnonzero(asked))
    while left and len(chosen) < most:
        longer = {k: round_length([*chosen, k], broadcast_s, update_s, upload_s) for k in left}
        best = min(left, key=lambda k: longer[k])
        if longer[best] >= limit_s and chosen:
            break
        chosen.append(best)
        left.remove(best)
    return chosen


class TestFedCs:
    @given(st.integers(0, 2**31), st.integers(1, 8), st.floats(1, 60))
    @settings(deadline=None, max_examples=150)
    def test_is_the_papers_greedy_step_by_step(self, seed, n, limit_s):
        rng = np.random.default_rng(seed)
        times = [rng.uniform(0.5, 10, (3, n)) for _ in range(3)]
        asked, most = rng.random((3, n)) < 0.8, int(rng.integers(1, n + 1))
        chosen = greedy_set(*times, asked, limit_s, most)
        for row in range(3):
            expected = plain_greedy(*(each[row] for each in times), asked[row], limit_s, most)
            assert set(np.flatnonzero(chosen[row])) == set(expected)

    @given(st.integers(0, 2**31))
    @settings(deadline=None, max_examples=50)
    def test_each_step_adds_the_least_seconds(self, seed):
        """Brute force over all clients: no other next client would make the round shorter."""
        rng = np.random.default_rng(seed)
        times = [rng.uniform(0.5, 10, 6) for _ in range(3)]
        order = []
        for size in range(1, 7):
            chosen = greedy_set(*(each[None] for each in times), np.ones((1, 6), dtype=bool), 1e9, size)[0]
            (added,) = set(np.flatnonzero(chosen)) - set(order)
            others = set(range(6)) - set(order)
            assert round_length([*order, added], *times) <= min(
                round_length([*order, k], *times) + 1e-9 for k in others
            )
            order.append(added)

    def test_nearly_as_many_as_the_best_set_of_any(self):
        """The greedy set is at most one client short of the largest that fits, on small cases."""
        rng, short = np.random.default_rng(0), []
        for _ in range(30):
            times = [rng.uniform(0.5, 5, 6) for _ in range(3)]
            greedy = greedy_set(*(each[None] for each in times), np.ones((1, 6), dtype=bool), 15.0, 6).sum()
            for size in range(6, 0, -1):
                # In order of their update times the uploads wait least (Johnson's rule, release dates).
                sets = (sorted(each, key=lambda k, t=times: t[1][k]) for each in combinations(range(6), size))
                if any(round_length(each, *times) < 15.0 for each in sets):
                    short.append(size - greedy)
                    break
        assert max(short) <= 1
        assert np.mean(short) < 0.5

    def test_a_longer_deadline_never_takes_fewer(self, situation_of):
        situation = everyone(situation_of(0))
        counts = [
            started("fedcs", round_deadline_s=limit).plan(situation).invited.sum()
            for limit in (30.0, 100.0, 300.0, 1000.0, 20000.0)
        ]
        assert counts == sorted(counts)
        assert counts[0] >= 1
        assert counts[-1] == 12

    def test_takes_those_who_are_set_up_where_the_others_do_not_fit(self, situation_of):
        warm = np.arange(12) < 5
        situation = everyone(situation_of(0, setup_bytes=np.where(warm, 0.0, 1e12)))
        chosen = started("fedcs", round_deadline_s=20000.0).plan(situation).invited[0]
        assert np.array_equal(chosen, warm)

    def test_prefers_the_fast_and_polls_only_a_share(self, situation_of):
        situation = everyone(situation_of(0))
        plan = started("fedcs", round_deadline_s=200.0).plan(situation)
        seconds = situation.round_s(10)[0]
        assert np.median(seconds[plan.invited[0]]) < np.median(seconds[~plan.invited[0]])
        polled = started("fedcs", round_deadline_s=20000.0, polled=0.25).plan(situation)
        assert polled.invited.sum() == 3


class TestTifl:
    def test_tiers_are_of_equal_size_by_latency(self, situation_of):
        situation, scheduler = everyone(situation_of(0)), started("tifl", tiers=4)
        scheduler.plan(situation)
        tier, seconds = scheduler.state["tier"][0], situation.round_s(10)[0]
        assert np.bincount(tier).tolist() == [3, 3, 3, 3]
        assert all(seconds[tier == t].max() <= seconds[tier == t + 1].min() for t in range(3))

    def test_a_round_stays_inside_one_tier(self, situation_of):
        situation, scheduler = everyone(situation_of(0)), started("tifl", tiers=3, participants=3)
        for _ in range(20):
            plan = scheduler.plan(situation)
            assert len(set(scheduler.state["tier"][0, plan.invited[0]])) == 1
            assert plan.invited.sum() == 3

    def test_tiers_are_drawn_alike_and_clients_uniformly(self, situation_of):
        situation = everyone(situation_of(0))
        scheduler = started("tifl", tiers=3, participants=2, adaptive=False)
        counts = sum(scheduler.plan(situation).invited[0] for _ in range(3000)) / 3000
        assert counts == pytest.approx(2 / 12, abs=0.03)

    def test_tiers_with_nobody_there_are_not_drawn(self, situation_of):
        situation, scheduler = everyone(situation_of(0)), started("tifl", tiers=3, participants=2)
        scheduler.plan(situation)
        away = situation.changed(available=scheduler.state["tier"] == 1)
        for _ in range(10):
            plan = scheduler.plan(away)
            assert plan.invited.sum() == 2
            assert not plan.invited[0, ~away.clients.available[0]].any()

    def test_worse_tiers_are_drawn_in_proportion_to_their_rank(self, situation_of):
        situation, scheduler = everyone(situation_of(0)), started("tifl", tiers=3, interval=4)
        scheduler.plan(situation)
        losses = np.array([2.0, 0.5, 1.0])[scheduler.state["tier"]]
        for _ in range(9):
            scheduler.plan(situation.changed(last_loss=losses))
        assert scheduler.state["chance"][0] == pytest.approx([3 / 6, 1 / 6, 2 / 6])

    def test_chances_stay_while_the_tier_improves(self, situation_of):
        situation, scheduler = everyone(situation_of(0)), started("tifl", tiers=3, interval=4)
        for index in range(40):
            scheduler.plan(situation.changed(last_loss=np.full((1, 12), 3.0 - 0.05 * index)))
        assert scheduler.state["chance"][0] == pytest.approx(1 / 3)

    def test_credits_limit_a_tier_until_all_are_spent(self, situation_of):
        """One equal share each: over the episode every tier trains equally often."""
        situation = everyone(situation_of(0, round_index=0, rounds_left=30))
        scheduler, used = started("tifl", tiers=3, credits=1.0, participants=2), np.zeros(3)
        scheduler.state["chance"][0] = [0.98, 0.01, 0.01]
        for _ in range(30):
            scheduler.plan(situation)
            used[scheduler.state["current"][0]] += 1
        assert used.tolist() == [10, 10, 10]
        assert scheduler.plan(situation).invited.any()


def test_fedcs_reckons_with_the_bytes_that_are_uploaded(situation_of):
    """Compressed updates leave room for more clients within the deadline."""
    situation = everyone(situation_of(0))
    model = situation.terms.model_bytes[0]
    situation = situation.changed(
        step_s=np.ones((1, 12)),
        down_bytes_per_s=np.full((1, 12), model),
        up_bytes_per_s=np.full((1, 12), model / 30.0),
    )
    small = situation.changed(upload_bytes=0.1 * situation.terms.upload_bytes)
    limit_s = float(situation.terms.overhead_s[0]) + 115.0
    counts = [
        int(started("fedcs", round_deadline_s=limit_s).plan(each).invited.sum())
        for each in (situation, small)
    ]
    assert counts == [3, 12]
