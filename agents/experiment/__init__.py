"""The main job: train, validate, compare, write down. What loads torch is imported by its own name."""

from __future__ import annotations

from .comparison import FAILED, ComparisonOptions, compare
from .figures import figures_on_test

__all__ = ["FAILED", "ComparisonOptions", "compare", "figures_on_test"]
