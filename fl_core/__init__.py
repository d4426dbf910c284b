"""What a round of training does: data, partitions, models, local steps, aggregation.

Things are named in settings by a string, or by a mapping with the key ``kind`` and further settings:

* data sets: ``digits`` (embedded), ``synthetic``; from local files ``mnist``, ``fashion-mnist``, ``emnist``,
  ``cifar10``; one's own by `register_dataset`, a settings model and a loader
* partitions: ``iid``, ``dirichlet``, ``shards``, ``zone`` (label mix differs by zone), ``natural``
* models: ``softmax``, ``mlp``, ``cnn``, or ``package.module:factory`` of any `torch.nn.Module`
* trainers: ``auto``, ``fused`` (compiled, dense models), ``torch`` (any module), ``numpy`` (the reference)
* aggregators: ``by-samples``, ``uniform``, ``unbiased``, ``given``, ``fednova``, ``fedau``, ``stale``,
  ``refl``, ``fedbuff``, ``mifa``, ``fedvarp``, ``fedawe``, ``scaffold``, ``fedavgm``, ``fedadam``,
  ``fedyogi``, ``fedadagrad``, ``gaussian`` (clipping and noise); FedProx is ``prox_mu`` in training
* compression: ``top-k``, ``8-bit``

`FederatedCore` trains on data, `QuadraticCore` on quadratics with a known optimum; both are `RoundEngine`.
`theory`, `participation`, `fixed_points` and `observed` predict what they do; `personal` scores clients one
by one, `mixture` trains several models for them together (FedEM).
"""

from __future__ import annotations

# The modules imported for their registrations come first.
from . import memory_methods, privacy, server_optimisers, synthetic, vision, weightings  # noqa: F401
from .aggregate import Aggregator, Arrivals, BySamples, Given, Start, Unbiased, Uniform, make_aggregator
from .compression import make_compression
from .core import FederatedCore
from .data import Dataset, load_dataset, register_dataset
from .engine import RoundEngine, TrainResult
from .models import ModelSpec, make_model
from .partition import ClientRows, parse_partition, partition
from .quadratic import QuadraticCore, QuadraticProblem, QuadraticSettings, quadratic_problem
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
    "QuadraticCore",
    "QuadraticProblem",
    "QuadraticSettings",
    "RoundEngine",
    "Start",
    "SyntheticSettings",
    "TrainResult",
    "TrainingSettings",
    "Unbiased",
    "Uniform",
    "load_dataset",
    "make_aggregator",
    "make_compression",
    "make_model",
    "make_trainer",
    "parse_partition",
    "partition",
    "quadratic_problem",
    "register_dataset",
]
