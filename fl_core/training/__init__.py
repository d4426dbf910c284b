"""A client's local steps, by backend."""

from __future__ import annotations

from .jobs import (
    AnsweringTrainer,
    ExitingTrainer,
    LocalJobs,
    LocalTrainer,
    LocalUpdates,
    Moments,
    softmax_loss,
)
from .make import TRAINERS, make_trainer
from .reference import NumpyTrainer
from .settings import OPTIMISERS, AdamW, LocalTraining, TorchSettings

__all__ = [
    "OPTIMISERS",
    "TRAINERS",
    "AdamW",
    "AnsweringTrainer",
    "ExitingTrainer",
    "LocalJobs",
    "LocalTrainer",
    "LocalTraining",
    "LocalUpdates",
    "Moments",
    "NumpyTrainer",
    "TorchSettings",
    "make_trainer",
    "softmax_loss",
]
