"""What worlds and schedulers say to each other."""

from __future__ import annotations

from .playing import Turn, rollout, scheduler_seeds
from .rounds import OWN_REFRESH, REFRESHES, STOP_S, RoundOutcome, RoundPlan, choose_plans
from .scheduler import KIND_WORDS, Adapting, Preparing, Scheduler, SchedulerKind, show_episodes
from .situation import PAST, ClientFacts, Future, RunFacts, Situation, Terms, ZoneFacts
from .staying import survival
from .stream import Served, StreamFacts
from .world import REWARD_TERMS, SimulatedWorld, StepResult, World

__all__ = [
    "KIND_WORDS",
    "OWN_REFRESH",
    "PAST",
    "REFRESHES",
    "REWARD_TERMS",
    "STOP_S",
    "Adapting",
    "ClientFacts",
    "Future",
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
    "scheduler_seeds",
    "show_episodes",
    "survival",
]
