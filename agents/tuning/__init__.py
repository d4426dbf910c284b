"""Hyperparameter search for handcrafted and learned schedulers."""

from __future__ import annotations

from .decision_value import FREE, NESTED, Study, Variant, VariantFound, measure, variants
from .evolution import Evolution, Evolved, Generation, evolve
from .finals import Final, play_finals
from .handcrafted import search_and_store
from .learners import RANGES, LearnerSearch, tune_learner
from .optimiser import OptimiserSearch, net_points, optimiser_of, tune_optimiser, with_optimiser
from .options import Options
from .search import Tuned, tune
from .search_space import SearchSpace
from .stopping import STOP_KNOBS, RunLog, best_stop, run_logs
from .trial_log import Trial, trials_in

__all__ = [
    "FREE",
    "NESTED",
    "RANGES",
    "STOP_KNOBS",
    "Evolution",
    "Evolved",
    "Final",
    "Generation",
    "LearnerSearch",
    "OptimiserSearch",
    "Options",
    "RunLog",
    "SearchSpace",
    "Study",
    "Trial",
    "Tuned",
    "Variant",
    "VariantFound",
    "best_stop",
    "evolve",
    "measure",
    "net_points",
    "optimiser_of",
    "play_finals",
    "run_logs",
    "search_and_store",
    "trials_in",
    "tune",
    "tune_learner",
    "tune_optimiser",
    "variants",
    "with_optimiser",
]
