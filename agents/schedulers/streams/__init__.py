"""When to train while the model serves: schedules, detectors of drift, age, experts, weights of streams."""

from __future__ import annotations

from .detectors import BOUNDS, Adwin, Ddm, Detector, PageHinkley

__all__ = ["BOUNDS", "Adwin", "Ddm", "Detector", "PageHinkley"]
