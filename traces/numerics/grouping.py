"""Rows of a batch grouped by equal forecasters, so that each is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ...common.arrays import Ints

Forecaster = TypeVar("Forecaster")


def rows_by_forecaster(
    forecasters: Sequence[Forecaster],
) -> list[tuple[Forecaster, Ints]]:
    """The different forecasters of E environments, and the rows of each; equal settings count as one.

    Comparing settings is slow, so that every object is compared once, not once per row.
    """
    objects = {id(own): own for own in forecasters}
    kinds: dict[Forecaster, Forecaster] = {}
    kind_of = {name: kinds.setdefault(own, own) for name, own in objects.items()}
    rows = [kind_of[id(own)] for own in forecasters]
    return [(kind, np.flatnonzero([row is kind for row in rows])) for kind in kinds]
