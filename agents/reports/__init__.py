"""Figures and reports of an evaluation."""

from __future__ import annotations

from .plots import held_curves, new_figure
from .report import COLUMNS, print_report, verdict, write_report
from .timeline_plot import plot_timeline

__all__ = ["COLUMNS", "held_curves", "new_figure", "plot_timeline", "print_report", "verdict", "write_report"]
