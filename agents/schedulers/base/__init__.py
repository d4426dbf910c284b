"""What all handcrafted schedulers share: rules, hyperparameters, decisions, probing."""

from __future__ import annotations

from .adopted import Adopted, adopt, original
from .decisions import (
    IDLE_WAIT_S,
    OWN,
    PAYS,
    cleanest_wait_s,
    closing_share,
    offered_refresh,
    plan_for,
    rounds_at_price,
    spent_points,
    standardised,
    top_m,
    with_answering,
)
from .everyone import Everyone
from .hyperparameters import (
    OFF,
    Knob,
    Setting,
    check_knobs,
    draw_settings,
    knob,
    knobs_of,
    settings_of,
    switch,
)
from .probing import Probing
from .regret import WithRegret
from .rule import Rule, State

__all__ = [
    "IDLE_WAIT_S",
    "OFF",
    "OWN",
    "PAYS",
    "Adopted",
    "Everyone",
    "Knob",
    "Probing",
    "Rule",
    "Setting",
    "State",
    "WithRegret",
    "adopt",
    "check_knobs",
    "cleanest_wait_s",
    "closing_share",
    "draw_settings",
    "knob",
    "knobs_of",
    "offered_refresh",
    "original",
    "plan_for",
    "rounds_at_price",
    "settings_of",
    "spent_points",
    "standardised",
    "switch",
    "top_m",
    "with_answering",
]
