"""Describe, compare, fit and plot traces: for people with trace files, never needed by a world."""

from __future__ import annotations

from .carbon_fit import carbon_summary, fit_carbon
from .comparison import compare, generate, ks_distance, pairwise_correlation, summarise, trace_of
from .content import Content, expand, notes_of, read_all, read_any
from .describe import (
    availability_table,
    carbon_table,
    correlations_of,
    device_table,
    energy_table,
    print_contents,
    requests_table,
)
from .files import convert_file, fit_files, plot_contents
from .plots import plot_availability, plot_carbon
from .renewal_fit import AvailabilityFit, fit_availability
from .requests_fit import RequestsFit, fit_requests
from .requests_plot import plot_requests
from .spot_fit import SpotFit, can_fit_spot, fit_spot

__all__ = [
    "AvailabilityFit",
    "Content",
    "RequestsFit",
    "SpotFit",
    "availability_table",
    "can_fit_spot",
    "carbon_summary",
    "carbon_table",
    "compare",
    "convert_file",
    "correlations_of",
    "device_table",
    "energy_table",
    "expand",
    "fit_availability",
    "fit_carbon",
    "fit_files",
    "fit_requests",
    "fit_spot",
    "generate",
    "ks_distance",
    "notes_of",
    "pairwise_correlation",
    "plot_availability",
    "plot_carbon",
    "plot_contents",
    "plot_requests",
    "print_contents",
    "read_all",
    "read_any",
    "requests_table",
    "summarise",
    "trace_of",
]
