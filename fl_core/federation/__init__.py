"""E federations of N clients that train together."""

from __future__ import annotations

from .base import RoundEngine, TrainResult
from .mixture import FederatedMixture
from .on_data import FederatedCore
from .personal import (
    PersonalScores,
    client_scores,
    knn_scores,
    label_mix,
    pluralistic_scores,
    reference_trainer,
)

__all__ = [
    "FederatedCore",
    "FederatedMixture",
    "PersonalScores",
    "RoundEngine",
    "TrainResult",
    "client_scores",
    "knn_scores",
    "label_mix",
    "pluralistic_scores",
    "reference_trainer",
]
