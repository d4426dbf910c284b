"""Compiled contents of requests: which row a client is asked, as a function of its number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....common.arrays import Floats, Ints, Ints32, Seeds
from ....common.compiled import inner, kernel
from ....common.random_bits import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3

_BITS_11, _HALF = np.uint64(11), np.uint64(32)


class Sources(NamedTuple):
    """What the clients of E environments are asked."""

    seeds: Seeds  # [E]
    rows: Ints32  # [E, R] the clients' own rows of concept 0, one client after another
    offset: Ints  # [E, N + 1] where each client's begin
    cumulative: Floats  # [E, N, M, L] label frequencies so far, by stage of the mix; M = 1 if it stays
    by_label: Ints32  # [n] rows of concept 0 in the order of their labels
    label_first: Ints  # [L + 1] where each label's begin


@inner(cache=True, nogil=True)
def _chain(state, counter):  # type: ignore[no-untyped-def]
    z = state + GOLDEN * (np.uint64(counter) + np.uint64(1))
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return z ^ (z >> SHIFT_3)


@kernel(nogil=True)
def rows_asked(
    env: Ints, client: Ints, begin: Ints, first: Ints, stage: Ints, mixed: bool, sources: Sources
) -> Ints32:
    """Rows of concept 0 of the requests of J spans, one span after another.

    Args:
        env: `[J]`.
        client: `[J]`.
        begin: `[J]`, number of the span's first request.
        first: `[J + 1]`, where the spans begin in the result.
        stage: `[J]`, of the client's mix.
        mixed: rows are drawn from all of a label; else a client's own come one after another.
        sources: what is asked.
    """
    out = np.empty(first[-1], dtype=np.int32)
    for j in range(env.size):
        e, k = env[j], client[j]
        key = _chain(sources.seeds[e], k)
        offset = sources.offset[e, k]
        held = sources.offset[e, k + 1] - offset
        cumulative = sources.cumulative[e, k, stage[j]]
        for at in range(first[j], first[j + 1]):
            number = begin[j] + at - first[j]
            if not mixed:
                out[at] = sources.rows[e, offset + number % held]
                continue
            bits = _chain(key, number)
            share = np.float64(bits >> _BITS_11) * 2.0**-53 * cumulative[-1]
            label = 0
            while label < cumulative.size - 1 and cumulative[label] <= share:
                label += 1
            begins = sources.label_first[label]
            size = np.uint64(sources.label_first[label + 1] - begins)
            out[at] = sources.by_label[begins + np.int64(((_chain(bits, 1) >> _HALF) * size) >> _HALF)]
    return out


@kernel(nogil=True)
def which_labelled(seeds: Seeds, env: Ints, client: Ints, number: Ints, share: float) -> Ints:
    """Positions of the requests `[R]` whose label is ever known."""
    out = np.empty(env.size, dtype=np.int64)
    count = 0
    for r in range(env.size):
        bits = _chain(_chain(seeds[env[r]], client[r]), number[r])
        if np.float64(bits >> _BITS_11) * 2.0**-53 < share:
            out[count] = r
            count += 1
    return out[:count]
