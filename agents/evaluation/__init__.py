"""Schedulers on the same held-out episodes, and what came of them."""

from __future__ import annotations

from .cells import Cell, Study, play_cell
from .episodes import episode_seeds, evaluate, play_batch, progress_bar
from .machine import git_version, processor, versions
from .metrics import (
    accuracy_at,
    at_budget,
    cost_to,
    default_targets,
    profiles,
    to_target,
    trade_offs,
    write_metrics,
)
from .parallel import CELLS, SweepOutcome, sweep
from .price_sweep import OBJECTIVES, at_prices, front_figures, saved_at_equal_accuracy, trace_front
from .results import (
    CLIENT_METRICS,
    CONFIG,
    LEAKS,
    METRICS,
    REGRETS,
    EvaluationResult,
    load_result,
    save_result,
)
from .shelf import AnyWorld, MakeWorld, WorldShelf, make_worlds
from .timelines import CANCELLED, COMPLETED, IDLE, LOST, Timeline

__all__ = [
    "CANCELLED",
    "CELLS",
    "CLIENT_METRICS",
    "COMPLETED",
    "CONFIG",
    "IDLE",
    "LEAKS",
    "LOST",
    "METRICS",
    "OBJECTIVES",
    "REGRETS",
    "AnyWorld",
    "Cell",
    "EvaluationResult",
    "MakeWorld",
    "Study",
    "SweepOutcome",
    "Timeline",
    "WorldShelf",
    "accuracy_at",
    "at_budget",
    "at_prices",
    "cost_to",
    "default_targets",
    "episode_seeds",
    "evaluate",
    "front_figures",
    "git_version",
    "load_result",
    "make_worlds",
    "play_batch",
    "play_cell",
    "processor",
    "profiles",
    "progress_bar",
    "save_result",
    "saved_at_equal_accuracy",
    "sweep",
    "to_target",
    "trace_front",
    "trade_offs",
    "versions",
    "write_metrics",
]
