"""The generators of an episode are those of NumPy's seed sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.envs.episode import spawned_generators


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_children_are_seeded_as_numpy_seeds_them(seed, key, count):
    expected = np.random.SeedSequence(seed, spawn_key=(key,)).spawn(count)
    for own, child in zip(spawned_generators(seed, key, count), expected, strict=True):
        assert own.bit_generator.state == np.random.default_rng(child).bit_generator.state


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**64 - 1])
def test_so_are_the_seeds_at_the_edges_of_words(seed):
    expected = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)).spawn(1)[0])
    assert np.array_equal(spawned_generators(seed, 2, 1)[0].random(5), expected.random(5))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed: .* expected an integer from 0"):
        spawned_generators(seed, 0, 1)
