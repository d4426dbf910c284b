"""Environments for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

from .federated_env import FederatedEnv
from .vector_env import FederatedVectorEnv
from .viewer import Viewer
from .wrappers import ClientScores, SchedulerMenu

__all__ = ["ClientScores", "FederatedEnv", "FederatedVectorEnv", "SchedulerMenu", "Viewer"]
