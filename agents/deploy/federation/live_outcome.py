"""A round on real nodes as the `RoundOutcome` of one environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....common.arrays import Floats
from ....envs.contract import RoundOutcome
from ....fl_core.federation import TrainResult
from .charges import Charges
from .live_round import LiveRound


def live_outcome(
    played: LiveRound,
    cost: Charges,
    result: TrainResult | None,
    repairs: int,
    duration_s: float,
    scores: tuple[Floats, Floats],
) -> RoundOutcome:
    """The outcome of one step, E = 1.

    Args:
        played: the round.
        cost: its charges.
        result: what the server learned; None where nobody trained.
        repairs: orders that could not be carried out.
        duration_s: of the step.
        scores: validation accuracy and loss after it, each `[1]`.
    """
    blank = np.full((1, played.invited.size), np.nan, dtype=np.float32)
    return RoundOutcome(
        invited=played.invited[None],
        completed=played.completed[None],
        lost=played.lost[None],
        cancelled=played.cancelled[None],
        repairs=np.array([repairs], dtype=np.int64),
        stop_s=played.stop_s[None],
        compute_s=played.compute_s[None],
        duration_s=np.array([duration_s]),
        down_bytes=played.down_bytes[None],
        up_bytes=cost.up_bytes[None],
        sample_bytes=played.sample_bytes[None],
        energy_j=cost.energy_j[None],
        emissions_g=cost.emissions_g[None],
        wasted_j=cost.wasted_j[None],
        reported_loss=blank if result is None else result.reported_loss,
        update_norm=blank.copy() if result is None else result.update_norm,
        accuracy=scores[0],
        loss=scores[1],
        diverged=np.zeros(1, dtype=bool) if result is None else result.diverged,
        probed=np.zeros_like(played.invited)[None],
        answered=np.zeros_like(played.invited)[None],
        probed_loss=blank.copy(),
    )


def probed_outcome(outcome: RoundOutcome, played: LiveRound) -> RoundOutcome:
    """The outcome of a round in which nobody trained: those invited were asked for their loss."""
    answers = np.full(outcome.invited.shape, np.nan, dtype=np.float32)
    for client, update in played.updates.items():
        answers[0, client] = update.loss
    nobody = np.zeros_like(outcome.invited)
    return replace(
        outcome,
        invited=nobody,
        completed=nobody.copy(),
        lost=nobody.copy(),
        cancelled=nobody.copy(),
        probed=outcome.invited,
        answered=outcome.completed,
        probed_loss=answers,
    )
