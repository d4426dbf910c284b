"""Hyperparameter search for handcrafted and learned schedulers."""

from __future__ import annotations

from .evolution import evolve
from .evolved import Evolution, Evolved, Generation
from .handcrafted import Options, search_and_store
from .learners import RANGES, LearnerSearch, tune_learner
from .search import Tuned, tune
from .search_space import SearchSpace
from .stopping import STOP_KNOBS, RunLog, best_stop, run_logs
from .trial_log import Trial, trials_in

__all__ = [
    "RANGES",
    "STOP_KNOBS",
    "Evolution",
    "Evolved",
    "Generation",
    "LearnerSearch",
    "Options",
    "RunLog",
    "SearchSpace",
    "Trial",
    "Tuned",
    "best_stop",
    "evolve",
    "run_logs",
    "search_and_store",
    "trials_in",
    "tune",
    "tune_learner",
]
