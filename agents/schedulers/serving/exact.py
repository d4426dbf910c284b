"""Exact placements of tiny worlds: a dynamic program over all loads of all slots, with the true future."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from .ladder import Ladder, coming_content, gain_of, ladder_of, load_delays, load_prices

_MOST_JOINT = 64
"""Joint orders of all slots that are compared in a step, at most."""

Slot = tuple[int, float]
"""What a slot holds, and the second (from now on) at which that serves."""


def small_enough(num_slots: int, num_contents: int) -> bool:
    """Whether all orders of all slots can be compared in each step."""
    return bool((num_contents + 1) ** num_slots <= _MOST_JOINT)


def plan_exactly(situation: ServingSituation, steps: int) -> Ints:
    """The first step of the best plan over the coming steps, int `[E, S]`; NOTHING = keep.

    Args:
        situation: with its future, of a world that is `small_enough`.
        steps: ahead; those behind the future that is shown count as nothing.
    """
    return np.stack([best_schedule(situation, e, steps)[1][0] for e in range(situation.num_envs)])


def best_schedule(situation: ServingSituation, row: int, steps: int) -> tuple[float, Ints]:
    """The best plan of one environment: its gain in points of one request, and its orders `[H, S]`.

    A step gains what its ladder does, each slot serving from the end of its load while its session lasts,
    less the prices of the loads ordered in it. A session that ends takes what its slots hold; a slot may be
    loaded at the first step that begins in a new session.

    Args:
        situation: with its future.
        row: the environment.
        steps: ahead.
    """
    future = situation.future
    assert future is not None
    steps = min(steps, future.requests.shape[3])
    step_s = situation.terms.step_s
    shares = future.available_share[row]
    present = _present(situation.slots.available[row], shares)
    prices, delays = load_prices(situation)[row], load_delays(situation)[row]
    loads_s = np.tile(situation.slots.load_s[row], (1, situation.num_tasks))
    full_prices = np.tile(situation.slots.load_points[row], (1, situation.num_tasks))
    full_prices = full_prices * situation.terms.expected_requests[row]
    ladders = [
        _row(ladder_of(situation, future.requests[..., h], away=True, hub_last=True), row)
        for h in range(steps)
    ]
    busy_s = situation.slots.loading_left_s[row]

    def order(held: Slot, slot: int, h: int) -> Iterator[tuple[Slot, int, float]]:
        """What a slot may do at the beginning of a step: what it holds then, the order, its price."""
        yield held, NOTHING, 0.0
        loading = held[1] > h * step_s + 1e-9 or (h == 0 and busy_s[slot] > 0)
        if not present[slot, h] or loading:
            return
        for j in range(loads_s.shape[1]):
            if j != held[0] and ladders[h].capacity[0, slot, j] > 0:
                price = prices[slot, j] if h == 0 else full_prices[slot, j]
                yield (j, h * step_s + loads_s[slot, j]), j, float(price)

    def serves(held: Slot, slot: int, h: int) -> float:
        """Share of a step in which a slot serves what it holds."""
        ends_s = (h + (shares[slot, h] if present[slot, h] else 0.0)) * step_s
        return float(max(ends_s - max(held[1], h * step_s), 0.0) / step_s)

    @cache
    def best(h: int, state: tuple[Slot, ...]) -> tuple[float, tuple[tuple[int, ...], ...]]:
        if h == steps:
            return 0.0, ()
        found: tuple[float, tuple[tuple[int, ...], ...]] = (-np.inf, ())
        choices = [list(order(held, slot, h)) for slot, held in enumerate(state)]
        for joint in itertools.product(*choices):
            content = np.array([[held[0] for held, _, _ in joint]])
            share = np.array([[serves(held, slot, h) for slot, (held, _, _) in enumerate(joint)]])
            gain = float(gain_of(ladders[h], content, share)[0]) - sum(price for _, _, price in joint)
            stays = [h + 1 < steps and present[s, h + 1] and shares[s, h] >= 1 for s in range(len(joint))]
            after = tuple(
                each[0] if stay else (NOTHING, 0.0) for each, stay in zip(joint, stays, strict=True)
            )
            later, orders = best(h + 1, after)
            if gain + later > found[0] + 1e-12:
                found = gain + later, (tuple(each[1] for each in joint), *orders)
        return found

    held = coming_content(situation)[row]
    start = tuple((int(j), float(delays[s, j]) if j >= 0 else 0.0) for s, j in enumerate(held))
    value, orders = best(0, start)
    return value, np.array(orders, dtype=np.int64)


def _present(now: Floats, shares: Floats) -> Floats:
    """Bool `[S, H]`: whether a slot is there at the beginning of each step, of shares `[S, H]`."""
    there = np.zeros(shares.shape, dtype=bool)
    there[:, 0] = now
    there[:, 1:] = (shares[:, 1:] >= 1) | ((shares[:, 1:] > 0) & (shares[:, :-1] >= 1))
    return there


def _row(ladder: Ladder, row: int) -> Ladder:
    parts = (each[row : row + 1] for each in ladder[:5])
    return Ladder(*parts, ladder.dropped, ladder.hub_last)
