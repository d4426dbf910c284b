"""Logits of a set policy before training: whom it invites, and how long it waits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def default_wait_logits(waits: int) -> list[float]:
    """Train now in nine cases of ten; the longer the wait, the rarer; the last level hardly ever."""
    return [0.0, *np.linspace(-2.5, -6.0, waits - 1).tolist()] if waits > 2 else [0.0, -6.0][:waits]


def share_logits(levels: int, share: float = 0.3) -> list[float]:
    """Logits under which a client is invited with probability `share`, all positive levels alike."""
    if not 0 < share < 1:
        raise ValueError(f"share: {share}, expected a number between 0 and 1")
    return [float(np.log((1 - share) / share * max(levels - 1, 1)))] + [0.0] * (levels - 1)


def checked_logits(name: str, given: Sequence[float] | None, default: list[float]) -> list[float]:
    """The given logits, or the default; ValueError if they are not as many finite numbers."""
    values = default if given is None else [float(value) for value in given]
    if len(values) != len(default) or not np.isfinite(values).all():
        raise ValueError(f"{name}: {values}, expected {len(default)} finite numbers")
    return values
