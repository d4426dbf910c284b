"""Worlds without Gymnasium: scenarios, the world itself, and the loop that plays it.

from frugalfl.worlds import FederatedWorld, load_scenario, rollout
"""

from __future__ import annotations

from .envs.contract import (
    RoundOutcome,
    RoundPlan,
    SimulatedWorld,
    Situation,
    StepResult,
    Turn,
    World,
    rollout,
    scheduler_seeds,
)
from .envs.scenario import Scenario, load_scenario, scenario_names
from .envs.world import FederatedWorld

__all__ = [
    "FederatedWorld",
    "RoundOutcome",
    "RoundPlan",
    "Scenario",
    "SimulatedWorld",
    "Situation",
    "StepResult",
    "Turn",
    "World",
    "load_scenario",
    "rollout",
    "scenario_names",
    "scheduler_seeds",
]
