"""The document a world is made of."""

from __future__ import annotations

from .checked import AvailabilityField, CarbonField, DatasetField, DevicesField, FileName
from .costs import LEAKAGE, REWARD_TERMS, Budgets, Preferences, Workload
from .document import Levels, Scenario
from .loading import ScenarioSource, kinds_of, load_scenario, read_document, scenario_names, shares_of
from .options import Evaluation, Forecasting, Late, Malicious
from .plain_document import plain
from .streaming import Asking, Serving
from .yaml_document import read_yaml

__all__ = [
    "LEAKAGE",
    "REWARD_TERMS",
    "Asking",
    "AvailabilityField",
    "Budgets",
    "CarbonField",
    "DatasetField",
    "DevicesField",
    "Evaluation",
    "FileName",
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
    "read_document",
    "read_yaml",
    "scenario_names",
    "shares_of",
]
