"""The dictionaries beside an observation: of one environment, and of a batch as Gymnasium writes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...common.arrays import AnyArray, Bools
from ..agent_view import Info


def info_of(batch: Mapping[str, AnyArray], env: int) -> Info:
    """The info of one environment, numbers as numpy scalars."""
    return {name: values[env] for name, values in batch.items()}


def choose_rows(rows: Bools, chosen: Mapping[str, AnyArray], others: Mapping[str, AnyArray]) -> Info:
    """A batch of infos, in the rows `[E]` of one and elsewhere of another of the same shape."""
    return {name: np.where(_like(rows, values), values, others[name]) for name, values in chosen.items()}


def with_masks(batch: Mapping[str, AnyArray], told: Bools) -> Info:
    """A batch of infos as Gymnasium hands it out: an entry, and `_entry` for whom it is; zeros elsewhere.

    Args:
        batch: arrays `[E, ...]`.
        told: bool `[E]`, whose infos are told.
    """
    found: Info = {}
    for name, values in batch.items():
        found[name] = np.where(_like(told, values), values, 0).astype(values.dtype)
        found[f"_{name}"] = told.copy()
    return found


def _like(rows: Bools, values: AnyArray) -> Bools:
    """A mask `[E]` with as many axes as the values have."""
    return rows.reshape(-1, *[1] * (values.ndim - 1))
