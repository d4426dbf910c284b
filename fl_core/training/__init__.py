"""A client's local steps, by backend."""

from __future__ import annotations

from .jobs import LocalJobs, LocalTrainer, LocalUpdates, softmax_loss
from .make import make_trainer
from .reference import NumpyTrainer
from .settings import LocalTraining

__all__ = [
    "LocalJobs",
    "LocalTrainer",
    "LocalTraining",
    "LocalUpdates",
    "NumpyTrainer",
    "make_trainer",
    "softmax_loss",
]
