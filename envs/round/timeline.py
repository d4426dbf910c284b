"""When each invited client finishes, is lost or is cancelled: the clock of one round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ...common.arrays import Bools, Floats


@dataclass(frozen=True)
class RoundTimeline:
    """How one round of E environments went, in seconds after its start.

    Attributes:
        completed: bool `[E, N]`, the update arrived before the round closed.
        lost: bool `[E, N]`, the session ended first.
        cancelled: bool `[E, N]`, still working when the round closed.
        stop_s: `[E, N]`, when the client's work ended, however it ended; 0 if not invited.
        down_s: `[E, N]`, seconds it really downloaded.
        compute_s: `[E, N]`, seconds it really computed.
        up_s: `[E, N]`, seconds it really uploaded.
        duration_s: `[E]`, when the round closed; 0 where nobody was invited.
    """

    completed: Bools
    lost: Bools
    cancelled: Bools
    stop_s: Floats
    down_s: Floats
    compute_s: Floats
    up_s: Floats
    duration_s: Floats


def play_round(
    invited: Bools,
    session_left_s: Floats,
    down_s: Floats,
    compute_s: Floats,
    up_s: Floats,
    quorum: Floats,
    deadline_s: Floats,
) -> RoundTimeline:
    """Close the round at the quorum, when nobody is left to wait for, or at the deadline.

    Args:
        invited: bool `[E, N]`, who starts at second 0; all of them available.
        session_left_s: `[E, N]`, seconds until each client's session ends. One that ends exactly when the
            upload does has finished.
        down_s: `[E, N]`, seconds the download takes.
        compute_s: `[E, N]`, seconds the local steps take.
        up_s: `[E, N]`, seconds the upload takes.
        quorum: `[E]`, share of the invited updates to wait for; `ceil(quorum * invited)` close the round.
        deadline_s: `[E]`, when the round is closed at the latest.

    Returns:
        The round's timeline. Updates that arrive in the very second in which the round closes are in it.
    """
    return RoundTimeline(*_play(invited, session_left_s, down_s, compute_s, up_s, quorum, deadline_s))


@njit(cache=True, nogil=True, error_model="numpy")
def _play(invited, session_left_s, down_s, compute_s, up_s, quorum, deadline_s):  # type: ignore
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


@njit(cache=True, nogil=True, error_model="numpy")
def _quorum_s(arrival_s, invited, quorum):  # type: ignore[no-untyped-def]
    """When the last update of the quorum arrives; infinity if too few will."""
    # The tolerance keeps 0.7 * 10 = 7.000000000000001 from asking for an eighth update.
    needed = max(int(np.ceil(quorum * invited - 1e-9)), 1)
    return np.sort(arrival_s)[needed - 1] if needed <= arrival_s.size else np.inf
