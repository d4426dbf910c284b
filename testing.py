"""Batteries for plug-ins of your own: what this package's own tests run over its registries.

    from frugalfl.testing import check_scheduler

    def test_mine():
        check_scheduler("my_module:Mine")

Each check raises AssertionError with one line that says what is not kept.
"""

from __future__ import annotations

from .agents.testing import check_scheduler
from .envs.testing import check_world
from .fl_core.testing import (
    check_aggregator,
    check_attack,
    check_compression,
    check_dataset,
    check_partition,
    check_trainer,
)
from .traces.testing import (
    check_arrival_model,
    check_availability_model,
    check_forecast,
    check_trace_format,
)

__all__ = [
    "check_aggregator",
    "check_arrival_model",
    "check_attack",
    "check_availability_model",
    "check_compression",
    "check_dataset",
    "check_forecast",
    "check_partition",
    "check_scheduler",
    "check_trace_format",
    "check_trainer",
    "check_world",
]
