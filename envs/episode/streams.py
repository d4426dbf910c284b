"""The random streams of an episode: what `SeedSequence.spawn` gives, for a fraction of its price.

An episode draws from half a dozen generators, and making them the usual way takes longer than all their
draws. Here the words that seed them are computed in one compiled call; a test holds that they are
`numpy.random.SeedSequence`'s (whose algorithm NumPy promises not to change, NEP 19).
"""

from __future__ import annotations

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike

from ...common.arrays import Seeds
from .streams_kernels import child_words


class _Words(ISeedSequence):
    """A seed sequence that has only the words PCG64 asks for."""

    def __init__(self, words: Seeds):
        self._words = words

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> Seeds:
        """The four words of PCG64's state and stream."""
        if n_words != self._words.size or np.dtype(dtype) != np.uint64:
            raise ValueError(f"generate_state: {n_words} of {np.dtype(dtype)}, expected 4 of uint64")
        return self._words


def spawned_generators(seed: int, key: int, count: int) -> list[np.random.Generator]:
    """Generators of the children of `SeedSequence(seed, spawn_key=(key,))`, as `default_rng` makes them.

    Args:
        seed: 0 to 2**64 - 1.
        key: 0 to 2**32 - 1.
        count: how many.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed: {seed}, expected an integer from 0 to 2**64 - 1")
    words = child_words(np.uint64(seed), np.uint64(key), count)
    # NumPy takes any ISeedSequence; its annotations know only its own.
    return [np.random.Generator(np.random.PCG64(_Words(row))) for row in words]  # type: ignore[arg-type]
