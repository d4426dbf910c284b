"""Compiled look-up of the levels behind a batch of actions."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Ints, Ints32
from ...common.compiled import kernel


@kernel(nogil=True)
def look_up(
    actions: AnyArray, nvec: Ints, first: int, steps: Ints32, transfer: Ints32
) -> tuple[Ints32, Ints32, bool]:
    """Local steps and samples to send `[E, N]` of the actions `[E, D]`; and whether all are in the space.

    The clients' entries begin at `first`.
    """
    e, d = actions.shape
    moves = transfer.size > 1
    n = (d - first) // 2 if moves else d - first
    local_steps, moved = np.zeros((e, n), dtype=np.int32), np.zeros((e, n), dtype=np.int32)
    for i in range(e):
        for j in range(d):
            if actions[i, j] < 0 or actions[i, j] >= nvec[j]:
                return local_steps, moved, False
        for k in range(n):
            local_steps[i, k] = steps[actions[i, first + k]]
            if moves and local_steps[i, k] > 0:
                moved[i, k] = transfer[actions[i, first + n + k]]
    return local_steps, moved, True
