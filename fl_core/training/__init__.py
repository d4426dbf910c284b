"""A client's local steps, by backend."""

from __future__ import annotations

from .jobs import LocalJobs, LocalTrainer, LocalUpdates, softmax_loss
from .make import make_trainer
from .reference import NumpyTrainer
from .settings import TrainingSettings

__all__ = [
    "LocalJobs",
    "LocalTrainer",
    "LocalUpdates",
    "NumpyTrainer",
    "TrainingSettings",
    "make_trainer",
    "softmax_loss",
]
