"""Pools of interchangeable nodes: a count over time turned into nodes that come and go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....common.arrays import Floats, Ints

# A pool larger than this is a mistake of unit.
MAX_NODES = 10_000


def nodes_of_counts(times_s: Floats, counts: Ints, end_s: float) -> tuple[Ints, Floats, Floats]:
    """Sessions of the nodes of one pool.

    Node i runs while the count exceeds i: the last to come is the first to go, which is the choice that
    needs the fewest comings and goings.

    Args:
        times_s: `[K]`, ascending, from when each count holds.
        counts: `[K]`.
        end_s: when the last one ends.

    Returns:
        Node, start and end of each session.
    """
    most = int(counts.max(initial=0))
    nodes: list[Ints] = []
    starts: list[Floats] = []
    ends: list[Floats] = []
    edges = np.append(times_s, end_s)
    for node in range(most):
        on = np.concatenate([[False], counts > node, [False]])
        turn = np.flatnonzero(on[1:] != on[:-1])
        starts.append(edges[turn[0::2]])
        ends.append(edges[turn[1::2]])
        nodes.append(np.full(turn.size // 2, node))
    if not nodes:
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
    return np.concatenate(nodes), np.concatenate(starts), np.concatenate(ends)


def pooled(
    pools: Sequence[tuple[str, Floats, Ints, float]],
) -> tuple[tuple[str, ...], tuple[str, ...], Floats, Floats, Ints, Floats, Floats]:
    """Columns of several pools that share a clock: names, groups, begins, ends, owners, starts, stops."""
    names: list[str] = []
    groups: list[str] = []
    begin, end, owner, start, stop = [], [], [], [], []
    for pool, times_s, counts, end_s in pools:
        most = max(int(counts.max(initial=0)), 1)
        node, begins, ends = nodes_of_counts(times_s, counts, end_s)
        owner.append(node + len(names))
        start.append(begins)
        stop.append(ends)
        names += [pool if most == 1 else f"{pool}/{index}" for index in range(most)]
        groups += [pool] * most
        begin += [float(times_s[0])] * most
        end += [end_s] * most
    return (
        tuple(names),
        tuple(groups),
        np.array(begin),
        np.array(end),
        np.concatenate(owner),
        np.concatenate(start),
        np.concatenate(stop),
    )
