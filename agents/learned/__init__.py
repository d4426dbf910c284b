"""Trained policies as schedulers."""

from __future__ import annotations

from .frame_stacking import Frames, side_by_side

__all__ = ["Frames", "side_by_side"]
