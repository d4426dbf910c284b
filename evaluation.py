"""Comparing schedulers on the same held-out episodes.

    from frugalfl.evaluation import evaluate, print_report

    print_report(evaluate(["random-m", "my_module:Mine"], "volunteers", episodes=64))

`evaluate` plays in this process; `sweep` plays a `Study` in cells, resumably, on an engine of `make_engine`.
"""

from __future__ import annotations

from .agents.evaluation import (
    EvaluationResult,
    Study,
    at_budget,
    evaluate,
    load_result,
    profiles,
    save_result,
    sweep,
    to_target,
    trade_offs,
    write_metrics,
)
from .agents.execution import make_engine
from .agents.players import name_players, scenario_of
from .agents.reports import print_report, write_report
from .agents.reports.html import SECTIONS, Section, write_html

__all__ = [
    "SECTIONS",
    "EvaluationResult",
    "Section",
    "Study",
    "at_budget",
    "evaluate",
    "load_result",
    "make_engine",
    "name_players",
    "print_report",
    "profiles",
    "save_result",
    "scenario_of",
    "sweep",
    "to_target",
    "trade_offs",
    "write_html",
    "write_metrics",
    "write_report",
]
