"""Trained policies as schedulers."""

from __future__ import annotations

from .frame_stacking import FrameStack, stacked_space

__all__ = ["FrameStack", "stacked_space"]
