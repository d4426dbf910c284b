"""Kernels of the ladder: the concave gain with its slope, and what one slot more would add; see `ladder`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.compiled import inner, kernel


@kernel(nogil=True, error_model="numpy")
def concave_gain(ladder, y):  # type: ignore[no-untyped-def]
    """Gain `[E]` of the fractions y `[E, S, J]`, and its slope `[E, S, J]`."""
    num_envs, num_slots, num_contents = y.shape
    num_tasks = ladder.requests.shape[1]
    m = num_contents // num_tasks
    gain, slope = np.zeros(num_envs), np.zeros(y.shape)
    cost, amount = np.empty(num_slots * m + 1), np.empty(num_slots * m + 1)
    key = np.empty(num_slots * m + 1)
    for e in range(num_envs):
        for i in range(num_tasks):
            r = ladder.requests[e, i]
            if r <= 0.0:
                continue
            for s in range(num_slots):
                for c in range(m):
                    j = i * m + c
                    cost[s * m + c] = ladder.cost[e, s, j]
                    amount[s * m + c] = min(ladder.capacity[e, s, j], r) * y[e, s, j]
            cost[-1], amount[-1] = ladder.hub_cost[e, i], min(ladder.hub_capacity[e, i], r)
            key[:] = cost
            key[-1] = ladder.dropped if ladder.hub_last else cost[-1]
            order = np.argsort(key, kind="mergesort")
            left, paid, edge = r, 0.0, ladder.dropped
            for o in order:
                if cost[o] >= ladder.dropped:
                    continue
                used = min(amount[o], left)
                paid += used * cost[o]
                left -= used
                if left <= 0.0:
                    edge = cost[o]
                    break
            by_hub = amount[-1] if cost[-1] < ladder.dropped else 0.0
            without = by_hub * cost[-1] + (r - by_hub) * ladder.dropped
            gain[e] += without - paid - left * ladder.dropped
            for s in range(num_slots):
                for j in range(i * m, (i + 1) * m):
                    better = edge - ladder.cost[e, s, j]
                    if better > 0.0:
                        slope[e, s, j] = min(ladder.capacity[e, s, j], r) * better
    return gain, slope


class Steps(NamedTuple):
    """Ways to answer one task's requests, one after the other."""

    cost: Floats  # points of one answer
    amount: Floats  # answers
    owner: Ints  # the slot; -1 = the hub


@inner(cache=True, error_model="numpy")
def fill_steps(ladder, content, share, e, i, steps):  # type: ignore[no-untyped-def]
    """Write into `steps` what answers a task's requests, the hub last; how many they are."""
    m = ladder.cost.shape[2] // ladder.requests.shape[1]
    r, n = ladder.requests[e, i], 0
    for s in range(content.shape[1]):
        j = content[e, s]
        if j >= 0 and j // m == i and share[e, s] > 0.0:
            steps.cost[n], steps.owner[n] = ladder.cost[e, s, j], s
            steps.amount[n] = min(ladder.capacity[e, s, j], r) * share[e, s]
            n += 1
    steps.cost[n], steps.owner[n] = ladder.hub_cost[e, i], -1
    steps.amount[n] = min(ladder.hub_capacity[e, i], r)
    return n + 1


@inner(cache=True, error_model="numpy")
def use_steps(steps, order, dropped, rank, s, r, used):  # type: ignore[no-untyped-def]
    """Write into `used` what r requests use of `steps` without slot s; its length, and what is left."""
    left, n = r, 0
    for o in order:
        other = steps.owner[o]
        if left <= 0.0:
            break
        if steps.cost[o] >= dropped or other == s:
            continue
        if other >= 0 and rank[s] >= 0 and rank[other] >= rank[s]:
            continue
        used.cost[n], used.amount[n], used.owner[n] = steps.cost[o], min(steps.amount[o], left), other
        left -= used.amount[n]
        n += 1
    return n, max(left, 0.0)


@inner(cache=True, error_model="numpy")
def displaced(used, n, left, room, price, ladder):  # type: ignore[no-untyped-def]
    """What so many answers at a price bring, in the place of what is dropped and of the dearest used."""
    taken = min(room, left)
    total = taken * (ladder.dropped - price)
    room -= taken
    k = n - 1
    while k >= 0 and room > 0.0 and (used.cost[k] > price or (ladder.hub_last and used.owner[k] < 0)):
        taken = min(room, used.amount[k])
        total += taken * (used.cost[k] - price)
        room -= taken
        k -= 1
    return total


@kernel(nogil=True, error_model="numpy")
def marginal_gains(ladder, content, share, rank, candidate):  # type: ignore[no-untyped-def]
    """What each content would add in each slot, `[E, S, J]`, whatever the slot holds now.

    Args:
        ladder: a `Ladder`.
        content: int `[E, S]`, -1 = empty.
        share: `[E, S]` of the step in which a slot serves what it holds.
        rank: int `[E, S]`; only slots of a lower rank than a slot's own count for it, and, where ranks are
            negative, all others.
        candidate: `[E, S, J]`, share of the step in which the content would serve.
    """
    num_envs, num_slots, num_contents = candidate.shape
    num_tasks, size = ladder.requests.shape[1], num_slots + 1
    m = num_contents // num_tasks
    added, key = np.zeros(candidate.shape), np.empty(size)
    steps = Steps(np.empty(size), np.empty(size), np.empty(size, dtype=np.int64))
    used = Steps(np.empty(size), np.empty(size), np.empty(size, dtype=np.int64))
    for e in range(num_envs):
        for i in range(num_tasks):
            r = ladder.requests[e, i]
            if r <= 0.0:
                continue
            n = fill_steps(ladder, content, share, e, i, steps)
            key[:n] = steps.cost[:n]
            if ladder.hub_last:
                key[n - 1] = ladder.dropped
            order = np.argsort(key[:n], kind="mergesort")
            for s in range(num_slots):
                count, left = use_steps(steps, order, ladder.dropped, rank[e], s, r, used)
                for j in range(i * m, (i + 1) * m):
                    price = ladder.cost[e, s, j]
                    room = min(ladder.capacity[e, s, j], r) * candidate[e, s, j]
                    if price < ladder.dropped and room > 0.0:
                        added[e, s, j] = displaced(used, count, left, room, price, ladder)
    return added
