"""Compiled assignment of requests, see `assignment`."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.compiled import kernel


@kernel(nogil=True, error_model="numpy")
def fill_cheapest_first(
    requests: Floats,
    task: Ints,
    cost: Floats,
    capacity: Floats,
    share: Floats,
    hub_cost: Floats,
    hub_capacity: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Flows to slots `[E, Z, S]`, to the hub `[E, Z, I]`, and what is dropped `[E, Z, I]`; see `Options`."""
    e, z, i = requests.shape
    s = task.shape[1]
    slots, hub, left = np.zeros((e, z, s)), np.zeros((e, z, i)), requests.copy()
    pair_cost, pair = np.empty(z * s), np.empty(z * s, dtype=np.int64)
    for env in range(e):
        count = 0
        for slot in range(s):
            if task[env, slot] >= 0 and capacity[env, slot] > 0 and share[env, slot] > 0:
                for zone in range(z):
                    pair_cost[count], pair[count] = cost[env, zone, slot], zone * s + slot
                    count += 1
        room = capacity[env].copy()
        for index in np.argsort(pair_cost[:count], kind="mergesort"):
            zone, slot = pair[index] // s, pair[index] % s
            asked = task[env, slot]
            most = min(room[slot], share[env, slot] * requests[env, zone, asked])
            flow = min(left[env, zone, asked], most)
            if flow > 0:
                slots[env, zone, slot] = flow
                left[env, zone, asked] -= flow
                room[slot] -= flow
        room_left = hub_capacity[env]
        for index in np.argsort(hub_cost[env].copy().reshape(-1), kind="mergesort"):
            zone, asked = index // i, index % i
            flow = min(left[env, zone, asked], room_left)
            hub[env, zone, asked] = flow
            left[env, zone, asked] -= flow
            room_left -= flow
    return slots, hub, left
