"""What is ordered of whom in one step, and what everybody did in it."""

from __future__ import annotations

from dataclasses import dataclass

from ...common.arrays import Bools, Floats, Ints
from ...fl_core.federation import TrainingOrders
from ..contract import RoundPlan
from .timeline import RoundTimeline


@dataclass(frozen=True)
class Work:
    """What is really ordered of whom in one step, after repairs; all `[E, N]` but `repairs`, `[E]`.

    Attributes:
        invited: who trains.
        probed: who tells its loss.
        sent: samples sent along.
        down_s: seconds the download takes.
        compute_s: seconds the local steps, or the forward pass, take.
        up_s: seconds the upload takes.
        repairs: orders that could not be carried out.
    """

    invited: Bools
    probed: Bools
    sent: Ints
    down_s: Floats
    compute_s: Floats
    up_s: Floats
    repairs: Ints


@dataclass(frozen=True)
class Step:
    """The state of E worlds in which a plan is carried out.

    Attributes:
        plan: the orders.
        work: what is left of them after repairs.
        session_left_s: `[E, N]`, seconds until each running session ends.
        timeline: the round of those invited or probed now.
        duration_s: `[E]`, seconds until the next decision.
        closes: bool `[E]`, where this step is a round of training.
        round_index: int `[E]`.
        versions: int `[E]`, how often the model has changed.
        held: int `[E, N]`, samples held when it begins.
    """

    plan: RoundPlan
    work: Work
    session_left_s: Floats
    timeline: RoundTimeline
    duration_s: Floats
    closes: Bools
    round_index: Ints
    versions: Ints
    held: Ints


@dataclass(frozen=True)
class Progress:
    """What everybody at work did in one step; all `[E, N]`.

    Attributes:
        completed: whose update enters the model at the end of the step.
        lost: whose session ended first.
        stop_s: seconds of this step at work.
        down_s: of these, downloading.
        compute_s: of these, computing.
        up_s: of these, uploading.
        down_before_s: seconds downloaded in earlier steps.
        received: samples whose download finished.
        orders: what the core is to train, the rates not yet known.
        held: samples that each client held when it trained; None = those it holds.
    """

    completed: Bools
    lost: Bools
    stop_s: Floats
    down_s: Floats
    compute_s: Floats
    up_s: Floats
    down_before_s: Floats
    received: Ints
    orders: TrainingOrders
    held: Ints | None = None
