"""The dictionaries beside an observation: of one environment, and of a batch as Gymnasium writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...common.arrays import Bools
from ..agent_view import Info


def info_of(batch: Mapping[str, Any], env: int) -> Info:
    """The info of one environment, numbers as numpy scalars; an inner dictionary stays one."""
    return {
        name: info_of(values, env) if isinstance(values, Mapping) else values[env]
        for name, values in batch.items()
    }


def choose_rows(rows: Bools, chosen: Mapping[str, Any], others: Mapping[str, Any]) -> Info:
    """A batch of infos, in the rows `[E]` of one and elsewhere of another of the same shape."""
    found: Info = {}
    for name, values in chosen.items():
        if isinstance(values, Mapping):
            found[name] = choose_rows(rows, values, others[name])
        else:
            found[name] = np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, others[name])
    return found


def with_masks(batch: Mapping[str, Any], told: Bools) -> Info:
    """A batch of infos as Gymnasium hands it out: an entry, and `_entry` for whom it is; zeros elsewhere.

    Args:
        batch: arrays `[E, ...]`, or dictionaries of them.
        told: bool `[E]`, whose infos are told.
    """
    found: Info = {}
    for name, values in batch.items():
        if isinstance(values, Mapping):
            found[name] = with_masks(values, told)
        else:
            found[name] = np.where(told.reshape(-1, *[1] * (values.ndim - 1)), values, 0).astype(values.dtype)
        found[f"_{name}"] = told.copy()
    return found
