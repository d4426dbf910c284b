"""One round: who works, for how long, at which cost."""

from __future__ import annotations

from .execution import PROBE_ANSWER_BYTES, RoundExecution
from .personal import ClientScores
from .shares import step_shares
from .streaming_execution import StreamingExecution, make_execution
from .timeline import play_round
from .topology import BUILDERS, Network, best, cycle_time_s, mbst, mst, ring, star

__all__ = [
    "BUILDERS",
    "PROBE_ANSWER_BYTES",
    "ClientScores",
    "Network",
    "RoundExecution",
    "StreamingExecution",
    "best",
    "cycle_time_s",
    "make_execution",
    "mbst",
    "mst",
    "play_round",
    "ring",
    "star",
    "step_shares",
]
