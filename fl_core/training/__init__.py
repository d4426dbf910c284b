"""A client's local steps, by backend."""

from __future__ import annotations

from .jobs import LocalJobs, LocalTrainer, LocalUpdates, softmax_loss
from .make import TRAINERS, make_trainer
from .reference import NumpyTrainer
from .settings import LocalTraining, TorchSettings

__all__ = [
    "TRAINERS",
    "LocalJobs",
    "LocalTrainer",
    "LocalTraining",
    "LocalUpdates",
    "NumpyTrainer",
    "TorchSettings",
    "make_trainer",
    "softmax_loss",
]
