"""Batteries for plug-ins of the core: aggregators, attacks, compressions, data sets, partitions, trainers.

The project's own plug-ins go through them in its tests; run them on yours in the same way:

    from frugalfl.fl_core.testing import check_aggregator

    def test_mine():
        check_aggregator("my_package.my_module:Mine")
        check_aggregator({"kind": "my_package.my_module:Mine", "momentum": 0.5})

Each takes a name, a mapping with settings, or an object, and raises AssertionError with one line that says
what was expected.
"""

from __future__ import annotations

from .aggregation import check_aggregator, check_compression
from .attacks import check_attack
from .data import check_dataset, check_partition
from .training import check_trainer

__all__ = [
    "check_aggregator",
    "check_attack",
    "check_compression",
    "check_dataset",
    "check_partition",
    "check_trainer",
]
