"""Counter-based random draws: a minibatch is a pure function of who draws it, and when.

Every minibatch of the core depends on (stream seed, round, client, step, position) and on nothing else,
in particular not on which other clients or environments train beside it. That is what makes a batch of
environments, a single environment, a subprocess and a real deployment draw the same rows. The hash is the
finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
2014), chained over the counters. The numpy and the numba version return identical numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...common.arrays import AnyArray, Ints, Ints32, Seeds
from .threads import run_ranges

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)

# About 0.1 us per step and row of 32: below this, starting a thread costs more than it saves.
_STEPS_WORTH_A_THREAD = 2_000

Integers = AnyArray | int


def _mix(z: Seeds) -> Seeds:
    """Finaliser of splitmix64 over arrays."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


def _u64(value: Integers) -> Seeds:
    """At least one dimension: numpy warns of the intended wrap-around on scalars only."""
    return np.atleast_1d(np.asarray(value)).astype(np.uint64)


def uniform_bits(seed: Integers, *counters: Integers) -> Seeds:
    """Returns 64 random bits for every broadcast combination of the seed and the counters.

    Args:
        seed: Seed of the stream, non-negative.
        *counters: Non-negative integers or arrays, broadcast against each other, e.g. round, client, step.

    Returns:
        ``uint64`` of the broadcast shape (at least one dimension).
    """
    state = _mix(_u64(seed) + _GOLDEN)
    for counter in counters:
        state = _mix(state + _GOLDEN * (_u64(counter) + np.uint64(1)))
    return state


def uniform_index(bits: Seeds, size: Integers) -> Ints:
    """Maps random bits to integers in ``[0, size)`` by multiply-and-shift (bias below ``size / 2**32``)."""
    return (((bits >> _S32) * _u64(size)) >> _S32).astype(np.int64)


def minibatch_positions(
    seed: int, round_index: int, client: int, step: int, batch_size: int, held: int
) -> Ints:
    """Positions, within the rows a client holds, of one minibatch.

    Args:
        seed: The environment's stream seed.
        round_index: Index of the round in the episode.
        client: Index of the client.
        step: Index of the local step.
        batch_size: Draws to make, with replacement.
        held: Number of rows the client holds, at least 1.

    Returns:
        ``int64 [batch_size]`` in ``[0, held)``.
    """
    return uniform_index(uniform_bits(seed, round_index, client, step, np.arange(batch_size)), held)


@njit(inline="always")
def _mix_scalar(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
def _chain(state, counter):  # type: ignore[no-untyped-def]
    return _mix_scalar(state + np.uint64(0x9E3779B97F4A7C15) * (np.uint64(counter) + np.uint64(1)))


@njit(cache=True)
def normal_pair(seed, round_index, client, step, position):  # type: ignore[no-untyped-def]
    """Two standard normal numbers as a function of the counters (Box and Muller 1958); numba only."""
    state = _mix_scalar(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
    state = _chain(_chain(_chain(_chain(state, round_index), client), step), position)
    one = (np.float64(state >> np.uint64(11)) + 0.5) * 2.0**-53
    two = np.float64(_chain(state, 1) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(one))
    return radius * np.cos(2.0 * np.pi * two), radius * np.sin(2.0 * np.pi * two)


@njit(cache=True, nogil=True)
def _draw_range(  # type: ignore[no-untyped-def]
    begin, end, seed, round_index, client, first, rows, env, offset, held, out
):
    """The jobs ``begin:end`` of `draw_rows`."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    for j in range(begin, end):
        state = _mix_scalar(seed[j] + golden)
        state = _chain(_chain(state, round_index[j]), client[j])
        size = np.uint64(held[j])
        start = offset[j]
        sequence = rows[env[j]]
        for s in range(first[j], first[j + 1]):
            key = _chain(state, s - first[j])
            for b in range(out.shape[1]):
                bits = _chain(key, b) >> np.uint64(32)
                out[s, b] = sequence[start + np.int64((bits * size) >> np.uint64(32))]


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
    """Draws the minibatches of many jobs at once; same numbers as `minibatch_positions`.

    Args:
        seed: ``[J]`` stream seed of each job.
        round_index: ``[J]``.
        client: ``[J]``.
        first: ``[J + 1]``; job j makes the local steps ``first[j]:first[j + 1]`` of ``out``.
        rows: ``[E, R]`` row sequences of each environment.
        env: ``[J]``.
        offset: ``[J]`` start of the client's sequence in ``rows[env]``.
        held: ``[J]`` rows held, at least 1.
        out: ``[total steps, batch_size]``, filled with row numbers of the data set.
    """
    args = (seed, round_index, client, first, rows, env, offset, held, out)
    run_ranges(lambda begin, end: _draw_range(begin, end, *args), first, _STEPS_WORTH_A_THREAD)
