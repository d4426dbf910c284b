"""Trained policies as schedulers."""

from __future__ import annotations

from .first_stop import first_stop_of
from .frame_stacking import FrameStack, stacked_space
from .home import Home

__all__ = ["FrameStack", "Home", "first_stop_of", "stacked_space"]
