"""Compiled hashing of seeds: the words that NumPy's `SeedSequence` gives its children."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Seeds
from ...common.compiled import inner, kernel

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(16)
_HALF = np.uint64(32)


@inner(cache=True, nogil=True)
def _stirred(value: np.uint64, const: np.uint64) -> tuple[np.uint64, np.uint64]:
    """One word hashed, and the next constant; 32-bit arithmetic in 64-bit words."""
    after = (const * np.uint64(0x931E8875)) & _MASK
    value = ((value ^ const) * after) & _MASK
    return value ^ (value >> _SHIFT), after


@inner(cache=True, nogil=True)
def _mixed(x: np.uint64, y: np.uint64) -> np.uint64:
    """Two words made one."""
    value = (np.uint64(0xCA01F9DD) * x - np.uint64(0x4973F715) * y) & _MASK
    return value ^ (value >> _SHIFT)


@kernel(nogil=True)
def child_words(seed: np.uint64, key: np.uint64, count: int) -> Seeds:
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
