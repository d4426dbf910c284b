"""The random streams of an episode: what `SeedSequence.spawn` gives, for a fraction of its price.

An episode draws from half a dozen generators, and making them the usual way takes longer than all their
draws. Here the words that seed them are computed in one compiled call; a test holds that they are
`numpy.random.SeedSequence`'s (whose algorithm NumPy promises not to change, NEP 19).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.random.bit_generator import ISeedSequence

from ...common.arrays import AnyArray, Seeds


class _Words(ISeedSequence):
    """A seed sequence that has only the words PCG64 asks for."""

    def __init__(self, words: Seeds):
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> AnyArray:
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
    words = _child_words(np.uint64(seed), np.uint64(key), count)
    # NumPy takes any ISeedSequence; its annotations know only its own.
    return [np.random.Generator(np.random.PCG64(_Words(row))) for row in words]  # type: ignore[arg-type]


_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(16)
_HALF = np.uint64(32)


@njit(cache=True, nogil=True)
def _stirred(value, const):  # type: ignore[no-untyped-def]
    """One word hashed, and the next constant; 32-bit arithmetic in 64-bit words."""
    after = (const * np.uint64(0x931E8875)) & _MASK
    value = ((value ^ const) * after) & _MASK
    return value ^ (value >> _SHIFT), after


@njit(cache=True, nogil=True)
def _mixed(x, y):  # type: ignore[no-untyped-def]
    value = (np.uint64(0xCA01F9DD) * x - np.uint64(0x4973F715) * y) & _MASK
    return value ^ (value >> _SHIFT)


@njit(cache=True, nogil=True)
def _child_words(seed, key, count):  # type: ignore[no-untyped-def]
    """`[count, 4]`, `SeedSequence(seed, spawn_key=(key, i)).generate_state(4, uint64)` of every child i."""
    out = np.empty((count, 4), dtype=np.uint64)
    entropy, pool = np.zeros(6, dtype=np.uint64), np.empty(4, dtype=np.uint64)
    entropy[0], entropy[1], entropy[4] = seed & _MASK, seed >> _HALF, key
    for child in range(count):
        entropy[5] = child
        const = np.uint64(0x43B0D7E5)
        for i in range(4):
            pool[i], const = _stirred(entropy[i], const)
        for source in range(6):
            for target in range(4):
                if source != target:
                    word = pool[source] if source < 4 else entropy[source]
                    word, const = _stirred(word, const)
                    pool[target] = _mixed(pool[target], word)
        const = np.uint64(0x8B51F9DD)
        for i in range(8):
            word = pool[i % 4] ^ const
            const = (const * np.uint64(0x58F38DED)) & _MASK
            word = (word * const) & _MASK
            word ^= word >> _SHIFT
            out[child, i // 2] = word if i % 2 == 0 else out[child, i // 2] | (word << _HALF)
    return out
