"""Trained policies as schedulers."""

from __future__ import annotations

from .frame_stacking import FrameStack, stacked_space
from .home import Home

__all__ = ["FrameStack", "Home", "stacked_space"]
