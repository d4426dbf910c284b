"""The timeline of a round: when each invited client finishes, is lost or is cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from ...common.arrays import Bools, Floats
from .timeline_kernels import timelines


@dataclass(frozen=True)
class RoundTimeline:
    """How one round of E environments went, in seconds after its start."""

    completed: Bools  # [E, N] the update arrived before the round closed
    lost: Bools  # [E, N] the session ended first
    cancelled: Bools  # [E, N] still working when the round closed
    stop_s: Floats  # [E, N] when the client's work ended, however it ended; 0 if not invited
    down_s: Floats  # [E, N] really downloading
    compute_s: Floats  # [E, N] really computing
    up_s: Floats  # [E, N] really uploading
    duration_s: Floats  # [E] when the round closed; 0 where nobody was invited


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
    return RoundTimeline(*timelines(invited, session_left_s, down_s, compute_s, up_s, quorum, deadline_s))
