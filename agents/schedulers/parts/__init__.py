"""Calculations that several schedulers share."""

from __future__ import annotations

from .adapted import Adapted
from .capped_simplex import best_value, capped_proportional, madow, project
from .chains import estimated_availability, estimated_memory, fresh_chains, observe_chains
from .energy_selection import feasible, select_by_milp, select_greedily
from .gain_curve import GainCurve
from .gain_lengths import fresh_lengths, unit_gains
from .hindsight import LOOKED_AHEAD, Play, Splice, Tape, fork, play_ahead, play_out
from .lookahead import availability_ahead, client_carbon_ahead, integral_ahead, zone_carbon_ahead
from .mutations import Menu, mutate
from .slot_greedy import fill_slots, full_rounds, green_schedule

__all__ = [
    "LOOKED_AHEAD",
    "Adapted",
    "GainCurve",
    "Menu",
    "Play",
    "Splice",
    "Tape",
    "availability_ahead",
    "best_value",
    "capped_proportional",
    "client_carbon_ahead",
    "estimated_availability",
    "estimated_memory",
    "feasible",
    "fill_slots",
    "fork",
    "fresh_chains",
    "fresh_lengths",
    "full_rounds",
    "green_schedule",
    "integral_ahead",
    "madow",
    "mutate",
    "observe_chains",
    "play_ahead",
    "play_out",
    "project",
    "select_by_milp",
    "select_greedily",
    "unit_gains",
    "zone_carbon_ahead",
]
