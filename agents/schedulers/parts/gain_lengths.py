"""Gains of an online method scaled to length at most 1, whatever their units."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Bools, Floats
from ..base import State


def fresh_lengths(num_envs: int) -> State:
    """The sum and number of the gains' lengths so far."""
    return {"length_sum": np.zeros(num_envs), "lengths": np.zeros(num_envs)}


def unit_gains(state: State, raw: Floats, length: Floats, counts: Bools) -> Floats:
    """Gains `[E, N]` over the larger of their length and its mean so far, which makes G = 1 in regret bounds.

    Args:
        state: has the entries of `fresh_lengths`, which go on.
        raw: `[E, N]`, in their own units.
        length: `[E]`, of the gains in the norm of the method's bound.
        counts: bool `[E]`, whose gains are any.
    """
    some = counts & (length > 0)
    state["length_sum"] = state["length_sum"] + np.where(some, length, 0.0)
    state["lengths"] = state["lengths"] + some
    typical = state["length_sum"] / np.maximum(state["lengths"], 1)
    return np.asarray(raw / np.maximum(np.maximum(typical, length), 1e-300)[:, None])
