"""E federations of N clients that train together."""

from __future__ import annotations

from .base import RoundEngine
from .fragmented import FragmentedCore, Fragments
from .holdings import Task
from .mixture import FederatedMixture
from .on_data import FederatedCore, probe_stream
from .orders import Listener, Messages, TrainingOrders, TrainResult
from .personal import (
    PersonalScores,
    client_scores,
    knn_scores,
    label_mix,
    pluralistic_scores,
    reference_trainer,
)
from .pretraining import Pretraining, fine_tuned
from .requests import Answers, ConsultedEngine, RequestSpans, StreamEngine
from .streaming import StreamCore
from .worker_memory import WorkerMemory

__all__ = [
    "Answers",
    "ConsultedEngine",
    "FederatedCore",
    "FederatedMixture",
    "FragmentedCore",
    "Fragments",
    "Listener",
    "Messages",
    "PersonalScores",
    "Pretraining",
    "RequestSpans",
    "RoundEngine",
    "StreamCore",
    "StreamEngine",
    "Task",
    "TrainResult",
    "TrainingOrders",
    "WorkerMemory",
    "client_scores",
    "fine_tuned",
    "knn_scores",
    "label_mix",
    "pluralistic_scores",
    "probe_stream",
    "reference_trainer",
]
