"""The age of memories that nobody has looked into, by their rule and how fast labels came."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Floats, Ints
from ....fl_core.data.streams import Memory


def mean_age_s(memory: Memory, held: Ints, labels: Ints, now_s: float) -> Floats:
    """Mean age of the rows that clients keep, as it is where labels come evenly.

    Of a memory that is not full, and of one that is an even sample of all that came (`reservoir`, nearly
    `balanced`), rows are as old as half the time; of a `fifo` as the last so many, of `static` as the first.

    Args:
        memory: the rule.
        held: int `[1, N]`, rows kept.
        labels: int `[1, N]`, labels that came so far.
        now_s: since the federation began.
    """
    spread_s = max(now_s - memory.label_delay_s, 0.0)
    share = np.minimum(held / np.maximum(labels, 1), 1.0)  # of the labels that are still there
    age_s = np.full(held.shape, 0.5 * spread_s)
    if memory.rule == "fifo":
        age_s = 0.5 * spread_s * share
    if memory.rule == "static":
        age_s = spread_s * (1.0 - 0.5 * share)
    return np.asarray(np.where(held > 0, min(memory.label_delay_s, now_s) + age_s, 0.0))
