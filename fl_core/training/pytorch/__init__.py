"""Training in PyTorch, which is loaded when it is used: in a loop, vectorised, or in processes."""

from __future__ import annotations

from .trainer import TorchTrainer
from .workers import TorchWorkers

__all__ = ["TorchTrainer", "TorchWorkers"]
