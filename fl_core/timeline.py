"""When each invited client finishes, is lost or is cancelled: the clock of one round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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
    finish_s = np.where(invited, down_s + compute_s + up_s, 0.0)
    survives = invited & (session_left_s >= finish_s)
    quit_s = np.where(invited, np.minimum(finish_s, session_left_s), 0.0)
    quorum_s = _arrival_of_quorum(np.where(survives, finish_s, np.inf), invited.sum(axis=1), quorum)
    duration_s = np.minimum(np.minimum(quorum_s, quit_s.max(axis=1, initial=0.0)), deadline_s)
    closed_s = duration_s[:, None]
    completed = survives & (finish_s <= closed_s)
    lost = invited & ~survives & (session_left_s <= closed_s)
    stop_s = np.minimum(quit_s, closed_s)
    spent_down_s = np.minimum(stop_s, down_s)
    spent_compute_s = np.minimum(stop_s - spent_down_s, compute_s)
    return RoundTimeline(
        completed=completed,
        lost=lost,
        cancelled=invited & ~completed & ~lost,
        stop_s=stop_s,
        down_s=spent_down_s,
        compute_s=spent_compute_s,
        up_s=np.minimum(stop_s - spent_down_s - spent_compute_s, up_s),
        duration_s=duration_s,
    )


def _arrival_of_quorum(arrival_s: Floats, invited: NDArray[np.int64], quorum: Floats) -> Floats:
    """`[E]`, when the last update of the quorum arrives; infinity if too few will."""
    # The tolerance keeps 0.7 * 10 = 7.000000000000001 from asking for an eighth update.
    needed = np.maximum(np.ceil(quorum * invited - 1e-9).astype(np.int64), 1)
    ordered_s = np.sort(arrival_s, axis=1)
    return np.take_along_axis(ordered_s, needed[:, None] - 1, axis=1)[:, 0]
