"""The document a world is made of."""

from __future__ import annotations

from .document import Budgets, Drawn, Preferences, Scenario
from .loading import ScenarioSource, load_scenario, scenario_names
from .options import Evaluation, Late

__all__ = [
    "Budgets",
    "Drawn",
    "Evaluation",
    "Late",
    "Preferences",
    "Scenario",
    "ScenarioSource",
    "load_scenario",
    "scenario_names",
]
