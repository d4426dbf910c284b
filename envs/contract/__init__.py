"""What worlds and schedulers say to each other."""

from __future__ import annotations

from .rounds import STOP_S, RoundOutcome, RoundPlan, choose_plans
from .scheduler import Scheduler
from .situation import Future, Situation
from .world import REWARD_TERMS, StepResult

__all__ = [
    "REWARD_TERMS",
    "STOP_S",
    "Future",
    "RoundOutcome",
    "RoundPlan",
    "Scheduler",
    "Situation",
    "StepResult",
    "choose_plans",
]
