"""SplitMix64: counter-based random bits, for arrays here and as constants for compiled passes elsewhere."""

from __future__ import annotations

import numpy as np

from .arrays import Seeds

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


def mixed(bits: Seeds) -> Seeds:
    """SplitMix64's finaliser: any change of the input changes half of the bits (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = (bits ^ (bits >> SHIFT_1)) * MIX_1
        x = (x ^ (x >> SHIFT_2)) * MIX_2
        return x ^ (x >> SHIFT_3)


def scrambled(bits: Seeds) -> Seeds:
    """The SplitMix64 stream's next number: the finaliser of `bits` + the golden gamma."""
    with np.errstate(over="ignore"):
        return mixed(bits + GOLDEN)
