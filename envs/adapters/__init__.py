"""Environments for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

from .viewer import Viewer
from .wrappers import ClientScores, SchedulerMenu

__all__ = ["ClientScores", "SchedulerMenu", "Viewer"]
