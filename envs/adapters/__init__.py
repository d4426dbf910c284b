"""Environments for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

from .federated_env import FederatedEnv
from .serving_env import ServingEnv, ServingVectorEnv
from .vector_env import FederatedVectorEnv
from .viewer import Viewer
from .wrappers import ClientScores, SchedulerMenu

__all__ = [
    "ClientScores",
    "FederatedEnv",
    "FederatedVectorEnv",
    "SchedulerMenu",
    "ServingEnv",
    "ServingVectorEnv",
    "Viewer",
]
