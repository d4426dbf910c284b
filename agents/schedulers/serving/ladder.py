"""The ladder of a step: every way to answer a request with its cost and capacity, and what a placement gains.

A task's requests are answered by the cheapest options first: slots that hold one of its models, then dearer
ones, the hub's share, and what is left is dropped. The gain of a placement is what it spares against the hub
alone. Over fractions y of placements (the probability that slot s holds content j) it is concave,

    G(y) = sum_i sum_k (gamma_i^{k+1} - gamma_i^k) min(r_i, sum_{k' <= k} lambda_i^{k'} y^{k'}),

with the options of task i in ascending order of cost gamma and lambda = min(capacity, r_i): the allocation
gain of Si Salem, Castellano, Neglia, Pianese & Araldo, "Toward Inference Delivery Networks: Distributing
Machine Learning With Optimality Guarantees", IEEE/ACM Transactions on Networking 32(1), 2024 (arXiv
2105.02510), with one slot's choice of one content in the place of a node's memory. Placements are the corners,
and over sets of (slot, content) the gain is monotone and submodular.

A slot's cost here is the mean over the zones that ask; the world's assignment, which knows them apart, lets
each zone have its nearest slots first, which spares a few milliseconds more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from .ladder_kernels import concave_gain, marginal_gains

EMPTY = -1
"""Content of a slot that holds nothing; content j is rung j % M of task j // M."""


class Ladder(NamedTuple):
    """Costs in points and capacities of E steps: S slots, J = I M contents, I tasks."""

    cost: Floats  # [E, S, J] of one answer
    capacity: Floats  # [E, S, J] answers in the step; 0 where the slot is away
    requests: Floats  # [E, I] of the step
    hub_cost: Floats  # [E, I] of one answer by the hub
    hub_capacity: Floats  # [E, I] its answers in the step
    dropped: float  # cost of a request that nobody answers


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
        content: int `[E, S]`, EMPTY = nothing.
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
        content: int `[E, S]`, what is held; EMPTY or to be overwritten where `free`.
        free: bool `[E, S]`.
        price: of each content in each slot, `[E, S, J]` or one number.

    Returns:
        Int `[E, S]`.
    """
    content, free = np.where(free, EMPTY, content), free.copy()
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
