"""Measured latencies: what an answer takes on a slot, and what the way there and back takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from ....common.arrays import AnyArray, Floats

_MEMORY = 0.5
"""Weight of the latest measurement of an answer."""
_TRIPS = 32
"""Latest orders of which the way is the median."""


class Stopwatch:
    """Milliseconds of an answer of each slot and rung, and of the way, as measured so far.

    Attributes:
        answer_ms: `[S, M]`, computing; nan = not measured yet.

    Args:
        slots: S.
        rungs: M.
    """

    def __init__(self, slots: int, rungs: int) -> None:
        self.answer_ms: Floats = np.full((slots, rungs), np.nan)
        self._ways_ms: deque[float] = deque(maxlen=_TRIPS)

    @property
    def way_ms(self) -> float | None:
        """Of an order beyond its answers, in the median; None before the first was answered."""
        return float(np.median(self._ways_ms)) if self._ways_ms else None

    def enter(self, slot: int, rung: int, answers: int, took_s: float) -> None:
        """A slot has answered so many rows in so many seconds."""
        if answers:
            new, old = 1e3 * took_s / answers, self.answer_ms[slot, rung]
            self.answer_ms[slot, rung] = new if np.isnan(old) else (1 - _MEMORY) * old + _MEMORY * new

    def enter_way(self, trip_s: float, took_s: float) -> None:
        """An order took so long from sending to its answer, so much of it computing."""
        self._ways_ms.append(1e3 * max(trip_s - took_s, 0.0))

    def latency_ms(self, nominal: Floats) -> Floats:
        """`[S, M]`, of one answer: as measured, else as assumed; inf where a rung cannot run."""
        unknown = np.isnan(self.answer_ms) | np.isinf(nominal)
        return np.where(unknown, nominal, self.answer_ms)

    def capacity(self, nominal: Floats, patience_s: float) -> Floats:
        """`[S, M]`, whole answers in a step: as many as come back within the patience, else as assumed."""
        way_s = (self.way_ms or 0.0) / 1e3
        room_ms = 1e3 * max(patience_s - way_s, patience_s / 10)
        known = ~(np.isnan(self.answer_ms) | (nominal <= 0))
        measured = room_ms / np.maximum(np.where(known, self.answer_ms, 1.0), 1e-6)
        return np.floor(np.where(known, measured, nominal))

    def state(self) -> dict[str, AnyArray]:
        """What is worth keeping when the coordinator is stopped."""
        return {"answer_ms": self.answer_ms.copy(), "ways_ms": np.array(self._ways_ms, dtype=np.float64)}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Restore `state()`."""
        self.answer_ms[...] = state["answer_ms"]
        self._ways_ms = deque(state["ways_ms"].tolist(), maxlen=_TRIPS)
