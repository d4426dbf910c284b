"""Compiled memories of clients: what is kept of labelled rows that come one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32, Seeds
from ....common.compiled import inner, kernel
from ....common.random_bits import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3

FIFO, RESERVOIR, STATIC, BALANCED = range(4)

_HALF = np.uint64(32)


@inner(cache=True, nogil=True)
def _bits(seed, client, number):  # type: ignore[no-untyped-def]
    """64 random bits, as a function of the counters."""
    state = np.uint64(seed)
    for counter in (np.uint64(client), np.uint64(number)):
        state = state + GOLDEN * (counter + np.uint64(1))
        state = (state ^ (state >> SHIFT_1)) * MIX_1
        state = (state ^ (state >> SHIFT_2)) * MIX_2
        state = state ^ (state >> SHIFT_3)
    return state


@inner(cache=True, nogil=True)
def _below(bits, size):  # type: ignore[no-untyped-def]
    """An integer in [0, size) from random bits."""
    return np.int64(((bits >> _HALF) * np.uint64(size)) >> _HALF)


@inner(cache=True, nogil=True)
def _balanced_place(kept, labels, label, offered, full, in_memory, bits):  # type: ignore[no-untyped-def]
    """Where a row goes in a full memory by class-balancing reservoir sampling; -1: nowhere.

    A row of a label that never was the largest replaces one of the largest; another one takes part in the
    reservoir of its label (Chrysakis and Moens 2020, algorithm 1).
    """
    in_memory[:] = 0
    for m in range(kept.size):
        in_memory[labels[kept[m]]] += 1
    largest = in_memory.max()
    for other in range(in_memory.size):
        full[other] |= in_memory[other] == largest
    victim = label if full[label] else np.argmax(in_memory)
    chance = offered[label] if full[label] else largest
    drawn = _below(bits, chance)
    for m in range(kept.size):
        if labels[kept[m]] == victim:
            if drawn == 0:
                return m
            drawn -= 1
    return -1


class Tables(NamedTuple):
    """What the memories hold, `[E, N, ...]`."""

    kept: Ints32  # [E, N, M] rows of the data set
    since_s: Floats  # [E, N, M] when each arrived
    held: Ints  # [E, N] rows kept
    seen: Ints  # [E, N] rows offered so far
    offered: Ints  # [E, N, L] of each label
    full: Bools  # [E, N, L] labels that were the largest in a full memory


@kernel(nogil=True)
def remember(
    rule: int,
    seeds: Seeds,
    env: Ints,
    client: Ints,
    rows: Ints32,
    moments_s: Floats,
    labels: Ints32,
    tables: Tables,
) -> None:
    """Offer labelled rows to the clients' memories, in their order.

    Args:
        rule: `FIFO`, `RESERVOIR`, `STATIC` or `BALANCED`.
        seeds: `[E]`.
        env: `[R]`.
        client: `[R]`.
        rows: `[R]`.
        moments_s: `[R]`, when each arrived.
        labels: of all rows of the data set.
        tables: changed.
    """
    size = tables.kept.shape[2]
    in_memory = np.zeros(tables.offered.shape[2], dtype=np.int64)
    for r in range(rows.size):
        e, k = env[r], client[r]
        number, label = tables.seen[e, k], labels[rows[r]]
        tables.seen[e, k] = number + 1
        tables.offered[e, k, label] += 1
        place = -1
        if tables.held[e, k] < size:
            place = tables.held[e, k]
            tables.held[e, k] += 1
        elif rule == FIFO:
            place = number % size
        elif rule == RESERVOIR:
            place = _below(_bits(seeds[e], k, number), number + 1)
        elif rule == BALANCED:
            offered, full = tables.offered[e, k], tables.full[e, k]
            bits = _bits(seeds[e], k, number)
            place = _balanced_place(tables.kept[e, k], labels, label, offered, full, in_memory, bits)
        if 0 <= place < size:
            tables.kept[e, k, place] = rows[r]
            tables.since_s[e, k, place] = moments_s[r]
