"""What a round of training does: data, partitions, models, local steps, aggregation."""

from __future__ import annotations

from .aggregate import Aggregator, Arrivals, BySamples, Given, Unbiased, Uniform, make_aggregator
from .core import FederatedCore, TrainResult
from .data import Dataset, load_dataset, register_dataset
from .models import ModelSpec, make_model
from .partition import ClientRows, parse_partition, partition
from .settings import TrainingSettings
from .synthetic import SyntheticSettings
from .trainer import LocalJobs, LocalTrainer, LocalUpdates, NumpyTrainer, make_trainer

__all__ = [
    "Aggregator",
    "Arrivals",
    "BySamples",
    "ClientRows",
    "Dataset",
    "FederatedCore",
    "Given",
    "LocalJobs",
    "LocalTrainer",
    "LocalUpdates",
    "ModelSpec",
    "NumpyTrainer",
    "SyntheticSettings",
    "TrainResult",
    "TrainingSettings",
    "Unbiased",
    "Uniform",
    "load_dataset",
    "make_aggregator",
    "make_model",
    "make_trainer",
    "parse_partition",
    "partition",
    "register_dataset",
]
