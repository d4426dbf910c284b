"""Changes of state, as logs have them, turned into sessions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Ints


class ChangedSessions(NamedTuple):
    """Sessions between changes of state, and the changes that changed nothing."""

    owner: Ints  # [K]
    start_s: Floats  # [K]
    stop_s: Floats  # [K]
    lines: Ints  # [K] where each session begins in the file
    idle: int  # changes to the state that was there already


def sessions_of_changes(
    owner: Ints, time_s: Floats, up: Bools, lines: Ints, end_s: Floats
) -> ChangedSessions:
    """Sessions from changes in any order; changes of one moment count in the order of the file.

    Nobody is there before the first change. Who is there at the end stays until then.

    Args:
        owner: int `[C]`, whose state changes.
        time_s: `[C]`.
        up: bool `[C]`, whether it is there from then on.
        lines: int `[C]`, where the changes stand in the file.
        end_s: `[R]`, when the watching of each owner ends.
    """
    order = np.lexsort((time_s, owner))
    owner, time_s, up, lines = owner[order], time_s[order], up[order], lines[order]
    first = np.ones(owner.size, dtype=bool)
    first[1:] = owner[1:] != owner[:-1]
    before = np.concatenate([[False], up[:-1]]) & ~first
    real = up != before
    owner, time_s, up, lines = owner[real], time_s[real], up[real], lines[real]
    starts = np.flatnonzero(up)
    ends = end_s[owner[starts]]
    paired = starts + 1 < owner.size
    paired[paired] &= owner[starts[paired] + 1] == owner[starts[paired]]
    ends[paired] = time_s[starts[paired] + 1]
    return ChangedSessions(owner[starts], time_s[starts], ends, lines[starts], int((~real).sum()))
