"""Compiled clock of a round: when each invited client stops, and when the round closes."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats
from ...common.compiled import inner, kernel


@inner(cache=True, nogil=True, error_model="numpy")
def _quorum_s(arrival_s: Floats, invited: int, quorum: float) -> float:
    """When the last update of the quorum arrives; infinity if too few will."""
    # The tolerance keeps 0.7 * 10 = 7.000000000000001 from asking for an eighth update.
    needed = max(int(np.ceil(quorum * invited - 1e-9)), 1)
    return np.sort(arrival_s)[needed - 1] if needed <= arrival_s.size else np.inf


@kernel(nogil=True, error_model="numpy")
def timelines(
    invited: Bools,
    session_left_s: Floats,
    down_s: Floats,
    compute_s: Floats,
    up_s: Floats,
    quorum: Floats,
    deadline_s: Floats,
) -> tuple[Bools, Bools, Bools, Floats, Floats, Floats, Floats, Floats]:
    """The fields of `RoundTimeline`, in their order; arguments as for `play_round`."""
    e, n = invited.shape
    completed, lost = np.zeros((e, n), dtype=np.bool_), np.zeros((e, n), dtype=np.bool_)
    cancelled, stop_s = np.zeros((e, n), dtype=np.bool_), np.zeros((e, n))
    spent_down_s, spent_compute_s, spent_up_s = np.zeros((e, n)), np.zeros((e, n)), np.zeros((e, n))
    duration_s, arrival_s = np.zeros(e), np.empty(n)
    for i in range(e):
        asked, arrived, last_s = 0, 0, 0.0
        for k in range(n):
            if invited[i, k]:
                finish_s, left_s = down_s[i, k] + compute_s[i, k] + up_s[i, k], session_left_s[i, k]
                asked += 1
                last_s = max(last_s, min(finish_s, left_s))
                if left_s >= finish_s:
                    arrival_s[arrived] = finish_s
                    arrived += 1
        closed_s = min(min(_quorum_s(arrival_s[:arrived], asked, quorum[i]), last_s), deadline_s[i])
        duration_s[i] = closed_s
        for k in range(n):
            if invited[i, k]:
                finish_s, left_s = down_s[i, k] + compute_s[i, k] + up_s[i, k], session_left_s[i, k]
                completed[i, k] = left_s >= finish_s and finish_s <= closed_s
                lost[i, k] = left_s < finish_s and left_s <= closed_s
                cancelled[i, k] = not completed[i, k] and not lost[i, k]
                stop = min(min(finish_s, left_s), closed_s)
                down = min(stop, down_s[i, k])
                compute = min(stop - down, compute_s[i, k])
                stop_s[i, k], spent_down_s[i, k], spent_compute_s[i, k] = stop, down, compute
                spent_up_s[i, k] = min(stop - down - compute, up_s[i, k])
    return completed, lost, cancelled, stop_s, spent_down_s, spent_compute_s, spent_up_s, duration_s
