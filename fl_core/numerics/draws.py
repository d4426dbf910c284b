"""Counter-based random draws: a minibatch is a pure function of who draws it, and when.

Every minibatch of the core depends on (stream seed, round, client, step, position) and on nothing else,
in particular not on which other clients or environments train beside it. That is what makes a batch of
environments, a single environment, a subprocess and a real deployment draw the same rows. The hash is the
finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
2014), chained over the counters. The numpy and the numba version return identical numbers.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from ...common.arrays import AnyArray, Ints, Ints32, Seeds
from ...common.compiled import inner, kernel
from ...common.random_bits import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3, mixed
from .threads import run_ranges

_BITS_11, _BITS_32 = np.uint64(11), np.uint64(32)

# About 0.1 us per step and row of 32: below this, starting a thread costs more than it saves.
_STEPS_WORTH_A_THREAD = 2_000

Integers: TypeAlias = AnyArray | int


def _u64(value: Integers) -> Seeds:
    """At least one dimension: numpy warns of the intended wrap-around on scalars only."""
    return np.atleast_1d(np.asarray(value)).astype(np.uint64)


def uniform_bits(seed: Integers, *counters: Integers) -> Seeds:
    """Return 64 random bits for every broadcast combination of the seed and the counters.

    Args:
        seed: seed of the stream, non-negative.
        *counters: non-negative integers or arrays, broadcast against each other, e.g. round, client, step.

    Returns:
        `uint64` of the broadcast shape (at least one dimension).
    """
    state = mixed(_u64(seed) + GOLDEN)
    for counter in counters:
        state = mixed(state + GOLDEN * (_u64(counter) + np.uint64(1)))
    return state


def uniform_index(bits: Seeds, size: Integers) -> Ints:
    """Map random bits to integers in `[0, size)` by multiply-and-shift (bias below `size / 2**32`)."""
    return (((bits >> _BITS_32) * _u64(size)) >> _BITS_32).astype(np.int64)


def minibatch_positions(
    seed: int, round_index: int, client: int, step: int, batch_size: int, held: int
) -> Ints:
    """Positions, within the rows a client holds, of one minibatch.

    Args:
        seed: the environment's stream seed.
        round_index: index of the round in the episode.
        client: index of the client.
        step: index of the local step.
        batch_size: draws to make, with replacement.
        held: number of rows the client holds, at least 1.

    Returns:
        int `[batch_size]` in `[0, held)`.
    """
    return uniform_index(uniform_bits(seed, round_index, client, step, np.arange(batch_size)), held)


@inner(inline="always")
def _mix_scalar(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return z ^ (z >> SHIFT_3)


@inner(inline="always")
def _chain(state, counter):  # type: ignore[no-untyped-def]
    return _mix_scalar(state + GOLDEN * (np.uint64(counter) + np.uint64(1)))


@inner(cache=True)
def normal_pair(seed, round_index, client, step, position):  # type: ignore[no-untyped-def]
    """Two standard normal numbers as a function of the counters (Box and Muller 1958); for kernels only."""
    state = _mix_scalar(np.uint64(seed) + GOLDEN)
    state = _chain(_chain(_chain(_chain(state, round_index), client), step), position)
    one = (np.float64(state >> _BITS_11) + 0.5) * 2.0**-53
    two = np.float64(_chain(state, 1) >> _BITS_11) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(one))
    return radius * np.cos(2.0 * np.pi * two), radius * np.sin(2.0 * np.pi * two)


class DrawJobs(NamedTuple):
    """Who draws, one row per job; see `draw_rows`."""

    seed: Seeds
    round_index: Ints
    client: Ints
    first: Ints
    env: Ints
    offset: Ints
    held: Ints


@kernel(nogil=True)
def draw_range(begin, end, drawers, rows, out):  # type: ignore[no-untyped-def]
    """The jobs `begin:end` of `draw_rows`; `drawers` is `DrawJobs` as a plain tuple, read faster by numba."""
    jobs = DrawJobs(*drawers)
    for j in range(begin, end):
        state = _mix_scalar(jobs.seed[j] + GOLDEN)
        state = _chain(_chain(state, jobs.round_index[j]), jobs.client[j])
        size = np.uint64(jobs.held[j])
        start = jobs.offset[j]
        sequence = rows[jobs.env[j]]
        begins = jobs.first[j]
        for s in range(begins, jobs.first[j + 1]):
            key = _chain(state, s - begins)
            for b in range(out.shape[1]):
                bits = _chain(key, b) >> _BITS_32
                out[s, b] = sequence[start + np.int64((bits * size) >> _BITS_32)]


def draw_rows(
    seed: Seeds,
    round_index: Ints,
    client: Ints,
    first: Ints,
    rows: Ints32,
    env: Ints,
    offset: Ints,
    held: Ints,
    out: Ints32,
) -> None:
    """Draw the minibatches of many jobs at once; same numbers as `minibatch_positions`.

    Args:
        seed: `[J]` stream seed of each job.
        round_index: `[J]`.
        client: `[J]`.
        first: `[J + 1]`; job j makes the local steps `first[j]:first[j + 1]` of `out`.
        rows: `[E, R]` row sequences of each environment.
        env: `[J]`.
        offset: `[J]` start of the client's sequence in `rows[env]`.
        held: `[J]` rows held, at least 1.
        out: `[total steps, batch_size]`, filled with row numbers of the data set.
    """
    jobs = tuple(DrawJobs(seed, round_index, client, first, env, offset, held))
    run_ranges(lambda begin, end: draw_range(begin, end, jobs, rows, out), first, _STEPS_WORTH_A_THREAD)
