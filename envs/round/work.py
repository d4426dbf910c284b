"""Orders and progress: what is asked of whom in one step, and what everybody did in it."""

from __future__ import annotations

from dataclasses import dataclass

from ...common.arrays import Bools, Floats, Ints
from ...fl_core.federation import TrainingOrders
from ..contract import RoundPlan
from .timeline import RoundTimeline


@dataclass(frozen=True)
class Work:
    """What is really ordered of whom in one step, after repairs; all `[E, N]` but `repairs`, `[E]`."""

    invited: Bools  # who trains
    probed: Bools  # who tells its loss
    sent: Ints  # samples sent along
    lead_bytes: Floats  # of the download that come before the samples: set-up if cold, model
    down_s: Floats  # seconds the download takes
    compute_s: Floats  # seconds the local steps, or the forward pass, take
    up_s: Floats  # seconds the upload takes
    repairs: Ints  # orders that could not be carried out


@dataclass(frozen=True)
class Step:
    """The state of E worlds in which a plan is carried out."""

    plan: RoundPlan  # the orders
    work: Work  # what is left of them after repairs
    session_left_s: Floats  # [E, N] until each running session ends
    timeline: RoundTimeline  # the round of those invited or probed now
    duration_s: Floats  # [E] until the next decision
    closes: Bools  # [E] where this step is a round of training
    round_index: Ints  # [E]
    versions: Ints  # [E] how often the model has changed
    held: Ints  # [E, N] samples held when it begins


@dataclass(frozen=True)
class Progress:
    """What everybody at work did in one step; all `[E, N]`."""

    completed: Bools  # whose update enters the model at the end of the step
    lost: Bools  # whose session ended first
    stop_s: Floats  # seconds of this step at work
    down_s: Floats  # of these, downloading
    compute_s: Floats  # of these, computing
    up_s: Floats  # of these, uploading
    down_before_s: Floats  # seconds downloaded in earlier steps
    downloaded: Bools  # whose download finished
    received: Ints  # samples that came with it
    orders: TrainingOrders  # what the core is to train, the rates not yet known
    held: Ints | None = None  # samples that each client held when it trained; None = those it holds
