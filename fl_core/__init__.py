"""What a round of training does: data, partitions, models, local steps, aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.doors import lazy_door

if TYPE_CHECKING:
    from .aggregation import AGGREGATORS, COMPRESSIONS, Aggregator, Compression, Weighting
    from .data import DATASETS, PARTITIONS, Dataset, DatasetSource, Partition
    from .federation import FederatedCore, TrainingOrders
    from .models import MODELS, ModelSource
    from .quadratics import QuadraticCore
    from .training import TRAINERS, LocalTrainer, LocalTraining

__all__ = [
    "AGGREGATORS",
    "COMPRESSIONS",
    "DATASETS",
    "MODELS",
    "PARTITIONS",
    "TRAINERS",
    "Aggregator",
    "Compression",
    "Dataset",
    "DatasetSource",
    "FederatedCore",
    "LocalTrainer",
    "LocalTraining",
    "ModelSource",
    "Partition",
    "QuadraticCore",
    "TrainingOrders",
    "Weighting",
]

__getattr__, __dir__ = lazy_door(
    __name__,
    {
        "AGGREGATORS": ".aggregation",
        "COMPRESSIONS": ".aggregation",
        "DATASETS": ".data",
        "MODELS": ".models",
        "PARTITIONS": ".data",
        "TRAINERS": ".training",
        "Aggregator": ".aggregation",
        "Compression": ".aggregation",
        "Dataset": ".data",
        "DatasetSource": ".data",
        "FederatedCore": ".federation",
        "LocalTrainer": ".training",
        "LocalTraining": ".training",
        "ModelSource": ".models",
        "Partition": ".data",
        "QuadraticCore": ".quadratics",
        "TrainingOrders": ".federation",
        "Weighting": ".aggregation",
    },
)
