"""Figures and reports of an evaluation."""

from __future__ import annotations

from .data import curve_data, held_curves, net_points_data
from .palette import BLUE, GREY, RED, styles_of
from .plots import new_figure, save_figure
from .report import COLUMNS, SPENT, print_report, rounds_spent, verdict, write_report
from .timeline_plot import plot_timeline

__all__ = [
    "BLUE",
    "COLUMNS",
    "GREY",
    "RED",
    "SPENT",
    "curve_data",
    "held_curves",
    "net_points_data",
    "new_figure",
    "plot_timeline",
    "print_report",
    "rounds_spent",
    "save_figure",
    "styles_of",
    "verdict",
    "write_report",
]
