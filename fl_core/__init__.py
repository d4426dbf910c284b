"""The training core: what a round of federated training does.

It knows clients, rows, models and updates; nothing of waiting, carbon or sessions. Lowest first:

    numerics      threads, counter-based draws, sums in a fixed order
    data          data sets, and partitions that deal their rows to clients
    models        models as flat parameter vectors
    training      a client's local steps, by backend
    aggregation   from updates to the server's step; compression, privacy
    federation    `RoundEngine`: E federations of N clients; `FederatedCore` trains them on data
    quadratics    the same interface with an exact optimum
    remote        the same interface with training elsewhere
    theory        predicted bias, variance and fixed points of a participation
    testing       batteries for everybody's plug-ins

Data sets, partitions, models, trainers, aggregators and compressions are made by name from a registry
(`DATASETS`, `PARTITIONS`, `MODELS`, `TRAINERS`, `AGGREGATORS`, `COMPRESSIONS`), each from its package's door.
"""

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
