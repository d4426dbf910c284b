"""The document a world is made of."""

from __future__ import annotations

from .costs import Budgets, Preferences, Workload
from .document import Levels, Scenario
from .loading import ScenarioSource, kinds_of, load_scenario, scenario_names, shares_of
from .options import Evaluation, Forecasting, Late, Malicious
from .plain_document import plain
from .streaming import Serving

__all__ = [
    "Budgets",
    "Evaluation",
    "Forecasting",
    "Late",
    "Levels",
    "Malicious",
    "Preferences",
    "Scenario",
    "ScenarioSource",
    "Serving",
    "Workload",
    "kinds_of",
    "load_scenario",
    "plain",
    "scenario_names",
    "shares_of",
]
