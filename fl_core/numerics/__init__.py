"""Threads, and minibatches drawn by counter."""

from __future__ import annotations

from .draws import draw_rows, minibatch_positions, normal_pair, uniform_bits, uniform_index
from .sums import span_sums, weighted_sums
from .threads import num_threads, run_ranges, set_num_threads

__all__ = [
    "draw_rows",
    "minibatch_positions",
    "normal_pair",
    "num_threads",
    "run_ranges",
    "set_num_threads",
    "span_sums",
    "uniform_bits",
    "uniform_index",
    "weighted_sums",
]
