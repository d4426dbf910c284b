"""Small dense nets: all local steps of a client in one compiled loop."""

from __future__ import annotations

from .layers import softmax
from .trainer import FusedTrainer, kernels_work

__all__ = ["FusedTrainer", "kernels_work", "softmax"]
