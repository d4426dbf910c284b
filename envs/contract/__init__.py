"""What worlds and schedulers say to each other."""

from __future__ import annotations

from .facts import PAST, ClientFacts, Future, RunFacts, Terms, ZoneFacts
from .playing import Decider, Elements, PlayedWorld, Turn, rollout, scheduler_seeds
from .rounds import (
    LEFT_OPEN,
    OWN_ASK_BELOW,
    OWN_REFRESH,
    REFRESHES,
    STOP_S,
    RoundOutcome,
    RoundPlan,
    choose_plans,
    said_of,
)
from .scheduler import KIND_WORDS, Adapting, Preparing, Scheduler, SchedulerKind, show_episodes
from .situation import Situation
from .staying import survival
from .stream import Asked, AskFacts, Served, StreamFacts
from .world import SimulatedWorld, StepResult, World

__all__ = [
    "KIND_WORDS",
    "LEFT_OPEN",
    "OWN_ASK_BELOW",
    "OWN_REFRESH",
    "PAST",
    "REFRESHES",
    "STOP_S",
    "Adapting",
    "AskFacts",
    "Asked",
    "ClientFacts",
    "Decider",
    "Elements",
    "Future",
    "PlayedWorld",
    "Preparing",
    "RoundOutcome",
    "RoundPlan",
    "RunFacts",
    "Scheduler",
    "SchedulerKind",
    "Served",
    "SimulatedWorld",
    "Situation",
    "StepResult",
    "StreamFacts",
    "Terms",
    "Turn",
    "World",
    "ZoneFacts",
    "choose_plans",
    "rollout",
    "said_of",
    "scheduler_seeds",
    "show_episodes",
    "survival",
]
