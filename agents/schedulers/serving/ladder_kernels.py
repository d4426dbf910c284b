"""Kernels of the ladder: the concave gain with its slope, and what one slot more would add; see `ladder`."""

from __future__ import annotations

import numpy as np

from ....common.compiled import kernel


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
    num_tasks = ladder.requests.shape[1]
    m = num_contents // num_tasks
    added = np.zeros(candidate.shape)
    cost, amount = np.empty(num_slots + 1), np.empty(num_slots + 1)
    owner = np.empty(num_slots + 1, dtype=np.int64)
    step_cost, step_used = np.empty(num_slots + 1), np.empty(num_slots + 1)
    key, step_must = np.empty(num_slots + 1), np.empty(num_slots + 1, dtype=np.bool_)
    for e in range(num_envs):
        for i in range(num_tasks):
            r = ladder.requests[e, i]
            if r <= 0.0:
                continue
            n = 0
            for s in range(num_slots):
                j = content[e, s]
                if j >= 0 and j // m == i and share[e, s] > 0.0:
                    cost[n], owner[n] = ladder.cost[e, s, j], s
                    amount[n] = min(ladder.capacity[e, s, j], r) * share[e, s]
                    n += 1
            cost[n], owner[n] = ladder.hub_cost[e, i], -1
            amount[n] = min(ladder.hub_capacity[e, i], r)
            key[: n + 1] = cost[: n + 1]
            key[n] = ladder.dropped if ladder.hub_last else cost[n]
            order = np.argsort(key[: n + 1], kind="mergesort")
            for s in range(num_slots):
                left, steps = r, 0
                for o in order:
                    other = owner[o]
                    if left <= 0.0:
                        break
                    if cost[o] >= ladder.dropped:
                        continue
                    if other == s or (other >= 0 and rank[e, s] >= 0 and rank[e, other] >= rank[e, s]):
                        continue
                    step_cost[steps], step_used[steps] = cost[o], min(amount[o], left)
                    step_must[steps] = ladder.hub_last and other < 0
                    left -= step_used[steps]
                    steps += 1
                for j in range(i * m, (i + 1) * m):
                    price = ladder.cost[e, s, j]
                    room = min(ladder.capacity[e, s, j], r) * candidate[e, s, j]
                    if price >= ladder.dropped or room <= 0.0:
                        continue
                    taken = min(room, max(left, 0.0))
                    total = taken * (ladder.dropped - price)
                    room -= taken
                    k = steps - 1
                    while k >= 0 and room > 0.0 and (step_must[k] or step_cost[k] > price):
                        taken = min(room, step_used[k])
                        total += taken * (step_cost[k] - price)
                        room -= taken
                        k -= 1
                    added[e, s, j] = total
    return added
