"""Exact placements of tiny worlds: a dynamic program over all loads of all slots, with the true future."""

from __future__ import annotations

import itertools
from typing import TypeAlias

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from ....envs.serving_view import coming_content, gain_of, joined_rows, ladder_of, load_delays, load_prices

_MOST_JOINT = 64
"""Joint orders of all slots that are compared in a step, at most."""

Slot: TypeAlias = tuple[int, float]
"""What a slot holds, and the second (from now on) at which that serves."""
Found: TypeAlias = tuple[float, tuple[tuple[int, ...], ...]]
"""A value, and the orders of the slots step by step."""


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
    program = _Program(situation, row, steps)
    held, delays_s = coming_content(situation)[row], load_delays(situation)[row]
    start = tuple((int(j), float(delays_s[s, j]) if j >= 0 else 0.0) for s, j in enumerate(held))
    value, orders = program.best(0, start)
    return value, np.array(orders, dtype=np.int64)


class _Program:
    """Best values of states of one environment's slots, from each step on."""

    def __init__(self, situation: ServingSituation, row: int, steps: int) -> None:
        future, slots = situation.future, situation.slots
        assert future is not None
        self.steps, self.step_s = min(steps, future.requests.shape[3]), situation.terms.step_s
        self.shares = future.available_share[row]
        self.present = _present(slots.available[row], self.shares)
        self.busy_s = slots.loading_left_s[row]
        self.first_prices = load_prices(situation)[row]
        prices = np.tile(slots.load_points[row], (1, situation.num_tasks))
        self.prices = prices * situation.terms.expected_requests[row]
        self.loads_s = np.tile(slots.load_s[row], (1, situation.num_tasks))
        requests = (future.requests[..., h] for h in range(self.steps))
        self.ladders = [
            joined_rows([ladder_of(situation, each, away=True, hub_last=True)], row) for each in requests
        ]
        self.known: dict[tuple[int, tuple[Slot, ...]], Found] = {}

    def best(self, h: int, state: tuple[Slot, ...]) -> Found:
        """The best value from step h on, and the orders that bring it."""
        if h == self.steps:
            return 0.0, ()
        if (h, state) in self.known:
            return self.known[h, state]
        found: Found = (-np.inf, ())
        for joint in itertools.product(*(self.choices(held, s, h) for s, held in enumerate(state))):
            content = np.array([[held[0] for held, _, _ in joint]])
            share = np.array([[self.serves(held, s, h) for s, (held, _, _) in enumerate(joint)]])
            gain = float(gain_of(self.ladders[h], content, share)[0]) - sum(price for _, _, price in joint)
            after = tuple(
                held if self.stays(s, h) else (NOTHING, 0.0) for s, (held, _, _) in enumerate(joint)
            )
            later, orders = self.best(h + 1, after)
            if gain + later > found[0] + 1e-12:
                found = gain + later, (tuple(each[1] for each in joint), *orders)
        self.known[h, state] = found
        return found

    def choices(self, held: Slot, slot: int, h: int) -> list[tuple[Slot, int, float]]:
        """What a slot may do at the beginning of a step: what it holds then, the order, its price."""
        found = [(held, NOTHING, 0.0)]
        loading = held[1] > h * self.step_s + 1e-9 or (h == 0 and self.busy_s[slot] > 0)
        if self.present[slot, h] and not loading:
            prices = self.first_prices if h == 0 else self.prices
            for j in range(self.loads_s.shape[1]):
                if j != held[0] and self.ladders[h].capacity[0, slot, j] > 0:
                    ready_s = h * self.step_s + float(self.loads_s[slot, j])
                    found.append(((j, ready_s), j, float(prices[slot, j])))
        return found

    def serves(self, held: Slot, slot: int, h: int) -> float:
        """Share of a step in which a slot serves what it holds."""
        ends_s = (h + (self.shares[slot, h] if self.present[slot, h] else 0.0)) * self.step_s
        return float(max(ends_s - max(held[1], h * self.step_s), 0.0) / self.step_s)

    def stays(self, slot: int, h: int) -> bool:
        """Whether a slot's session lasts into the next step."""
        return bool(h + 1 < self.steps and self.present[slot, h + 1] and self.shares[slot, h] >= 1)


def _present(now: Bools, shares: Floats) -> Bools:
    """Bool `[S, H]`: whether a slot is there at the beginning of each step, of shares `[S, H]`."""
    there = np.zeros(shares.shape, dtype=bool)
    there[:, 0] = now
    there[:, 1:] = (shares[:, 1:] >= 1) | ((shares[:, 1:] > 0) & (shares[:, :-1] >= 1))
    return there
