"""The document a world is made of."""

from __future__ import annotations

from .document import Budgets, Preferences, Scenario, Workload
from .loading import ScenarioSource, load_scenario, scenario_names
from .options import Evaluation, Late, Malicious
from .plain_document import plain

__all__ = [
    "Budgets",
    "Evaluation",
    "Late",
    "Malicious",
    "Preferences",
    "Scenario",
    "ScenarioSource",
    "Workload",
    "load_scenario",
    "plain",
    "scenario_names",
]
