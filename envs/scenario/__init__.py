"""The document a world is made of."""

from __future__ import annotations

from .checked import AvailabilityField, CarbonField, DatasetField, DevicesField, FileName
from .document import Budgets, Levels, Preferences, Scenario, Workload
from .loading import ScenarioSource, kinds_of, load_scenario, read_document, scenario_names, shares_of
from .options import Evaluation, Forecasting, Late, Malicious
from .plain_document import plain

__all__ = [
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
    "Workload",
    "kinds_of",
    "load_scenario",
    "plain",
    "read_document",
    "scenario_names",
    "shares_of",
]
