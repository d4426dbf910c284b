"""The ladder of a step: every way to answer a request with its cost and capacity, and what a placement gains.

A task's requests are answered by the cheapest options first: slots that hold one of its models, then dearer
ones, the hub's share, and what is left is dropped. The gain of a placement is what it spares against the hub
alone. Over fractions y of placements (the probability that slot s holds content j) it is concave,

    G(y) = sum_i sum_k (gamma_i^{k+1} - gamma_i^k) min(r_i, sum_{k' <= k} lambda_i^{k'} y^{k'}),

with the options of task i in ascending order of cost gamma and lambda = min(capacity, r_i): the allocation
gain of Si Salem, Castellano, Neglia, Pianese & Araldo, "Toward Inference Delivery Networks: Distributing
Machine Learning With Optimality Guarantees", IEEE/ACM Transactions on Networking 32(1), 2024 (arXiv
2105.02510), with one slot's choice of one content in the place of a node's memory. Placements are the
corners, and over sets of (slot, content) the gain is monotone and submodular. Content j is rung j % M of task
j // M.

A slot's cost here is the mean over the zones that ask, and the hub is shared in proportion to what is asked;
the world's assignment, which knows zones apart and lets tasks compete for the hub, spares a little more. It
also sends requests to the hub only when no slot has room, so that a poor model can do harm: `hub_last` says
the same here. The gain is then neither concave nor monotone; it is never above the concave one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ..serving import NOTHING, POINTS_PER_ANSWER, ServingSituation
from .ladder_kernels import concave_gain, marginal_gains


class Ladder(NamedTuple):
    """Costs in points and capacities of E steps: S slots, J = I M contents, I tasks."""

    cost: Floats  # [E, S, J] of one answer
    capacity: Floats  # [E, S, J] answers in the step; 0 where the slot is away
    requests: Floats  # [E, I] of the step
    hub_cost: Floats  # [E, I] of one answer by the hub
    hub_capacity: Floats  # [E, I] its answers in the step
    dropped: float  # cost of a request that nobody answers
    hub_last: bool = False  # whether the hub answers only what slots have no room for, whatever it costs


def gain_and_slope(ladder: Ladder, fractions: Floats) -> tuple[Floats, Floats]:
    """G(y) `[E]` of fractions `[E, S, J]`, in points of one request, and a supergradient `[E, S, J]`.

    The slope is min(capacity, r) (gamma* - gamma)+ with gamma* the cost of the last option that y needs.
    """
    gain, slope = concave_gain(ladder, np.ascontiguousarray(fractions, dtype=np.float64))
    return gain, slope


def gain_of(ladder: Ladder, content: Ints, share: Floats | None = None) -> Floats:
    """The gain `[E]` of a placement.

    Args:
        ladder: of the step.
        content: int `[E, S]`, NOTHING = nothing.
        share: `[E, S]`, part of the step in which each slot serves; None: all of it.
    """
    fractions = np.zeros(ladder.cost.shape)
    rows, slots = np.nonzero(content >= 0)
    fractions[rows, slots, content[rows, slots]] = 1.0 if share is None else share[rows, slots]
    return gain_and_slope(ladder, fractions)[0]


def marginals(
    ladder: Ladder,
    content: Ints,
    share: Floats | None = None,
    candidate: Floats | None = None,
    rank: Ints | None = None,
) -> Floats:
    """What each content would add in each slot, `[E, S, J]`, given what the other slots hold.

    Args:
        ladder: of the step.
        content: int `[E, S]`; a slot's own content plays no part in its row.
        share: `[E, S]`, part of the step in which each slot serves what it holds; None: all of it.
        candidate: `[E, S, J]`, part of it in which the content would serve; None: all of it.
        rank: int `[E, S]`; only slots of lower rank count; None: all others.
    """
    size = content.shape
    added: Floats = marginal_gains(
        ladder,
        np.ascontiguousarray(content, dtype=np.int64),
        np.ones(size) if share is None else np.ascontiguousarray(share, dtype=np.float64),
        np.full(size, -1) if rank is None else np.ascontiguousarray(rank, dtype=np.int64),
        np.ones(ladder.cost.shape) if candidate is None else np.ascontiguousarray(candidate),
    )
    return added


def fill_greedily(
    added: Callable[[Ints], Floats], content: Ints, free: Bools, price: Floats | float = 0.0
) -> Ints:
    """Fill free slots one after the other, each time with what adds most, while it adds more than its price.

    Over independent sets of a partition matroid this gives at least half of the best gain, and with equal
    slots 1 - 1/e of it (Nemhauser, Wolsey & Fisher 1978; Fisher, Nemhauser & Wolsey 1978).

    Args:
        added: marginal gains `[E, S, J]` of a placement, such as `marginals`.
        content: int `[E, S]`, what is held; NOTHING or to be overwritten where `free`.
        free: bool `[E, S]`.
        price: of each content in each slot, `[E, S, J]` or one number.

    Returns:
        Int `[E, S]`.
    """
    content, free = np.where(free, NOTHING, content), free.copy()
    rows = np.arange(content.shape[0])
    while free.any():
        worth = np.where(free[:, :, None], added(content) - price, -np.inf)
        flat = worth.reshape(rows.size, -1)
        best = flat.argmax(axis=1)
        slot, chosen = np.divmod(best, worth.shape[2])
        takes = flat[rows, best] > 0.0
        content[rows[takes], slot[takes]] = chosen[takes]
        free[rows, slot] = False
        free[~takes] = False
    return content


def ladder_of(
    situation: ServingSituation,
    requests: Floats,
    away: bool = False,
    timeless: bool = False,
    hub_last: bool = False,
) -> Ladder:
    """The ladder of one step.

    Args:
        situation: E of them; slots that are away have no capacity.
        requests: `[E, Z, I]` of the step.
        away: whether those that are away count all the same.
        timeless: whether time costs nothing.
        hub_last: see `Ladder`.
    """
    s, terms = situation, situation.terms
    there = np.ones_like(s.slots.available) if away else s.slots.available
    per_ms = terms.points_per_ms * (0.0 if timeless else 1.0)
    tasks, rungs = s.num_tasks, s.num_rungs
    asked = requests.sum(axis=1)
    even = 1.0 / requests.shape[1]
    origin = np.where(asked[:, None] > 0, requests / np.maximum(asked, 1e-300)[:, None], even)
    # way_ms [E, S, I]: mean over the zones that ask for the task.
    way_ms = np.einsum("ezi,zes->esi", origin, s.hub.rtt_ms[:, s.slots.zone])
    wrong = POINTS_PER_ANSWER * (1.0 - s.tasks.accuracy_known)
    grams = s.slots.grams_per_request * terms.points_per_gram[:, None, None]
    runs = np.isfinite(s.slots.latency_ms)
    own = grams + np.where(runs, s.slots.latency_ms, 0.0) * per_ms[:, None, None]
    cost = wrong[None, None] + own[:, :, None, :] + (way_ms * per_ms[:, None, None])[..., None]
    room = np.where(runs & there[:, :, None], s.slots.capacity_per_step, 0.0)
    hub = (origin * s.hub.latency_ms[:, :, None]).sum(axis=1) * per_ms[:, None]
    hub = hub + (s.hub.grams_per_request * terms.points_per_gram)[:, None]
    part = asked / np.maximum(asked.sum(axis=1, keepdims=True), 1e-300)
    return Ladder(
        cost=np.ascontiguousarray(cost.reshape(*cost.shape[:2], tasks * rungs)),
        capacity=np.ascontiguousarray(np.tile(room, (1, 1, tasks))),
        requests=np.ascontiguousarray(asked),
        hub_cost=np.ascontiguousarray(hub + wrong[:, -1]),
        hub_capacity=np.ascontiguousarray(s.hub.capacity_per_step[:, None] * part),
        dropped=POINTS_PER_ANSWER,
        hub_last=hub_last,
    )


def joined_rows(ladders: list[Ladder], row: int) -> Ladder:
    """One environment's row of several steps' ladders, as a ladder of so many rows."""
    return Ladder(
        cost=np.stack([each.cost[row] for each in ladders]),
        capacity=np.stack([each.capacity[row] for each in ladders]),
        requests=np.stack([each.requests[row] for each in ladders]),
        hub_cost=np.stack([each.hub_cost[row] for each in ladders]),
        hub_capacity=np.stack([each.hub_capacity[row] for each in ladders]),
        dropped=ladders[0].dropped,
        hub_last=ladders[0].hub_last,
    )


def coming_content(situation: ServingSituation) -> Ints:
    """What each slot serves or is about to serve, int `[E, S]`; NOTHING where it is away."""
    slots = situation.slots
    held = np.where(slots.loading != NOTHING, slots.loading, slots.model)
    return np.where(slots.available, held, NOTHING)


def load_prices(situation: ServingSituation) -> Floats:
    """What a load costs, `[E, S, J]`, in points of one request; nothing where the slot has that content."""
    prices = situation.slots.load_points * situation.terms.expected_requests[:, None, None]
    prices = np.tile(prices, (1, 1, situation.num_tasks))
    held = coming_content(situation)
    rows, slots = np.nonzero(held >= 0)
    prices[rows, slots, held[rows, slots]] = 0.0
    return prices


def load_delays(situation: ServingSituation) -> Floats:
    """Seconds until a content would serve, `[E, S, J]`: what is left of its load where it is on its way."""
    slots = situation.slots
    delays = np.tile(slots.load_s, (1, 1, situation.num_tasks))
    held = coming_content(situation)
    rows, columns = np.nonzero(held >= 0)
    left_s = np.where(slots.loading != NOTHING, slots.loading_left_s, 0.0)
    delays[rows, columns, held[rows, columns]] = left_s[rows, columns]
    return delays


def at_content(values: Floats, content: Ints) -> Floats:
    """`[E, S]`, entries of `[E, S, J]` at a placement; 0 where there is nothing."""
    found = np.take_along_axis(values, np.maximum(content, 0)[:, :, None], axis=2)[:, :, 0]
    return np.where(content >= 0, found, 0.0)
