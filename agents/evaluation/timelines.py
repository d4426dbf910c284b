"""One episode in full: who was available, who worked, who was lost, and the grids' carbon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ...common.arrays import Bools, Floats, Ints

IDLE, COMPLETED, LOST, CANCELLED = range(4)
"""Codes of `Timeline.status`."""


@dataclass(frozen=True)
class Timeline:
    """One episode in full, R decisions of N clients in Z zones.

    Attributes:
        scheduler: who decided.
        episode: its number.
        zone: int `[N]`.
        start_h: `[R]`, hours since the episode began.
        duration_h: `[R]`, hours of the round or the wait.
        available: bool `[R, N]`, when the decision was made.
        status: int8 `[R, N]`: `IDLE`, `COMPLETED`, `LOST` or `CANCELLED`.
        busy_h: `[R, N]`, hours a client worked in the round.
        carbon: `[R, Z]`, g CO2e per kWh when the decision was made.
        accuracy: `[R]`, validation accuracy after it.
    """

    scheduler: str
    episode: int
    zone: Ints
    start_h: Floats
    duration_h: Floats
    available: Bools
    status: NDArray[np.int8]
    busy_h: Floats
    carbon: Floats
    accuracy: Floats


class Page(TypedDict):
    """One decision of the timeline, see there."""

    start_h: np.float64
    duration_h: np.float64
    available: Bools
    status: NDArray[np.int8]
    busy_h: Floats
    carbon: Floats
    accuracy: np.float64


def timeline_of(scheduler: str, episode: int, zone: Ints, pages: Sequence[Page]) -> Timeline:
    """The timeline of an episode's decisions, in time."""
    return Timeline(
        scheduler,
        episode,
        zone,
        np.stack([page["start_h"] for page in pages]),
        np.stack([page["duration_h"] for page in pages]),
        np.stack([page["available"] for page in pages]),
        np.stack([page["status"] for page in pages]),
        np.stack([page["busy_h"] for page in pages]),
        np.stack([page["carbon"] for page in pages]),
        np.stack([page["accuracy"] for page in pages]),
    )
