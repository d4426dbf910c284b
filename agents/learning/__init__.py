"""Reinforcement learning of schedulers. What loads torch is imported by its own name."""

from __future__ import annotations

from .settings import (
    ALGORITHMS,
    BEST_WARM_START,
    EVAL_EPISODES,
    NO_WARM_START,
    A2CSettings,
    DQNSettings,
    PolicySettings,
    PPOSettings,
    RunSettings,
    SACSettings,
)

__all__ = [
    "ALGORITHMS",
    "BEST_WARM_START",
    "EVAL_EPISODES",
    "NO_WARM_START",
    "A2CSettings",
    "DQNSettings",
    "PPOSettings",
    "PolicySettings",
    "RunSettings",
    "SACSettings",
]
