"""SplitMix64 against its published sequence."""

import numpy as np

from frugalfl.common.random_bits import GOLDEN, mixed, scrambled


def test_the_published_sequence_of_seed_1234567():
    """First outputs of the reference implementation (Vigna, splitmix64.c) for the state 1234567."""
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + GOLDEN * np.arange(5, dtype=np.uint64)
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert scrambled(states).tolist() == expected
    assert mixed(states + GOLDEN).tolist() == expected
