"""Trained policies as schedulers."""

from __future__ import annotations

from .first_stop import first_stop_of
from .frame_stacking import FrameStack, stacked_space

__all__ = ["FrameStack", "first_stop_of", "stacked_space"]
