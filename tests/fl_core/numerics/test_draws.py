"""Minibatch draws: the same numbers in numpy and compiled, and uniform ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.numerics import draw_rows, minibatch_positions, uniform_bits, uniform_index

COUNTER = st.integers(0, 2**40)


@settings(max_examples=50, deadline=None)
@given(COUNTER, COUNTER, COUNTER, st.integers(1, 5), st.integers(1, 40), st.integers(1, 10_000))
def test_compiled_draws_equal_the_numpy_definition(seed, round_index, client, steps, batch, held):
    sequence = np.random.default_rng(0).permutation(held + 7).astype(np.int32)[None]
    out = np.empty((steps, batch), dtype=np.int32)
    one = np.array([7], dtype=np.int64)
    draw_rows(
        np.array([seed], dtype=np.uint64),
        np.array([round_index]),
        np.array([client]),
        np.array([0, steps]),
        sequence,
        np.array([0]),
        one,
        np.array([held]),
        out,
    )
    for s in range(steps):
        expected = minibatch_positions(seed, round_index, client, s, batch, held)
        assert np.array_equal(out[s], sequence[0, 7 + expected])


def test_draws_are_uniform_and_uncorrelated_between_counters():
    bits = uniform_bits(3, np.arange(40)[:, None, None], np.arange(50)[:, None], np.arange(50))
    index = uniform_index(bits, 10)
    counts = np.bincount(index.ravel(), minlength=10)
    assert abs(counts / index.size - 0.1).max() < 4 * np.sqrt(0.09 / index.size)
    uniform = (bits >> np.uint64(11)).astype(float) * 2.0**-53
    for shifted in (
        uniform[1:] * uniform[:-1],
        uniform[:, 1:] * uniform[:, :-1],
        uniform[..., 1:] * uniform[..., :-1],
    ):
        assert abs(shifted.mean() - 0.25) < 4 * 0.22 / np.sqrt(shifted.size)


def test_every_counter_changes_the_minibatch():
    base = (1, 2, 3, 4, 32, 1000)
    first = minibatch_positions(*base)
    for position in range(4):
        other = list(base)
        other[position] += 1
        assert not np.array_equal(first, minibatch_positions(*other))
