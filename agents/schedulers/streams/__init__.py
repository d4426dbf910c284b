"""When to train while the model serves: schedules, detectors of drift, age, experts, weights of streams."""

from __future__ import annotations

from .adaptive_lr import AdaptiveLr
from .age_index import AgeIndex, whittle_index
from .detectors import BOUNDS, Adwin, Ddm, Detector, PageHinkley
from .experts import GradientPace, MirrorPace, TrainOrWait
from .memories import MarfoqFresh, MarfoqHistorical, MarfoqOptimal, MarfoqUniform, best_weights
from .paced import Paced
from .schedules import DriftOracle, Periodic, TrainThenStop
from .triggered import AdwinTrigger, DdmTrigger, PageHinkleyTrigger, Triggered

__all__ = [
    "BOUNDS",
    "AdaptiveLr",
    "Adwin",
    "AdwinTrigger",
    "AgeIndex",
    "Ddm",
    "DdmTrigger",
    "Detector",
    "DriftOracle",
    "GradientPace",
    "MarfoqFresh",
    "MarfoqHistorical",
    "MarfoqOptimal",
    "MarfoqUniform",
    "MirrorPace",
    "Paced",
    "PageHinkley",
    "PageHinkleyTrigger",
    "Periodic",
    "TrainOrWait",
    "TrainThenStop",
    "Triggered",
    "best_weights",
    "whittle_index",
]
