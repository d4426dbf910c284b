"""Compiled look-ups of real answers, see `answers`."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Bools, Floats, Floats32, Ints
from ....common.compiled import kernel

RIGHT, KEPT_RIGHT, BELOW, ASKED_RIGHT = range(4)
"""Columns of cell statistics; then three blocks by confidence: answered, asked, agreed."""
FIRST_BIN = 4


@kernel(nogil=True, error_model="numpy")
def cell_statistics(
    rows: Ints,
    count: Ints,
    threshold: Floats,
    levels: Floats,
    right: Bools,
    confidence: Floats32,
    choice: Ints,
) -> Floats:
    """`[E, Z, I, M, 4 + 3 T]`, shares of a cell's rows, for every rung that may answer them.

    Args:
        rows: `[E, Z, I, K]`, rows that the cell's requests ask about.
        count: `[E, Z, I]`, how many of them are run.
        threshold: `[E, I]`, confidence below which the hub is asked.
        levels: `[T]`, lower ends of the bins of confidence, the first 0.
        right: bool `[I, M, R]`.
        confidence: `[I, M, R]`.
        choice: `[I, M, R]`.
    """
    e, z, i, _ = rows.shape
    m, bins = right.shape[1], levels.size
    out = np.zeros((e, z, i, m, FIRST_BIN + 3 * bins))
    for env in range(e):
        for zone in range(z):
            for task in range(i):
                share = 1.0 / max(count[env, zone, task], 1)
                for rung in range(m):
                    cell = out[env, zone, task, rung]
                    for k in range(count[env, zone, task]):
                        row = rows[env, zone, task, k]
                        sure = float(confidence[task, rung, row])
                        own = share if right[task, rung, row] else 0.0
                        level = bins - 1
                        while level > 0 and sure < levels[level]:
                            level -= 1
                        cell[RIGHT] += own
                        cell[FIRST_BIN + level] += share
                        if sure < threshold[env, task]:
                            cell[BELOW] += share
                            cell[ASKED_RIGHT] += share if right[task, m - 1, row] else 0.0
                            cell[FIRST_BIN + bins + level] += share
                            same = choice[task, rung, row] == choice[task, m - 1, row]
                            cell[FIRST_BIN + 2 * bins + level] += share if same else 0.0
                        else:
                            cell[KEPT_RIGHT] += own
    return out
