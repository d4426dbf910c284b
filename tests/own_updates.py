"""Updates that arrived, and what an aggregator makes of them."""

from __future__ import annotations

import numpy as np

from frugalfl.fl_core.aggregation import AGGREGATORS, Arrivals
from frugalfl.fl_core.training import LocalTraining


def arrivals(*rounds: np.ndarray) -> Arrivals:
    """The updates `[n, P]` of one round in each of several environments."""
    delta = np.concatenate(rounds)
    counts = [len(each) for each in rounds]
    env = np.repeat(np.arange(len(rounds)), counts)
    ones = np.ones(env.size, dtype=np.int64)
    return Arrivals(
        env, np.concatenate([np.arange(count) for count in counts]), np.cumsum([0, *counts]), ones, ones,
        np.full(env.size, 0.05), None, None, 0 * ones, delta, 20, LocalTraining(), np.ones(env.size),
        np.ones(len(rounds)),
    )  # fmt: skip


def centre(spec, *rounds: np.ndarray) -> np.ndarray:
    """What a fresh rule makes of them, `[E, P]`."""
    rule = AGGREGATORS.make(spec)
    rule.bind(len(rounds), 20, rounds[0].shape[1], np.dtype(np.float64))
    return rule.step(arrivals(*rounds), np.zeros((len(rounds), rounds[0].shape[1])))
