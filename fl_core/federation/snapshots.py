"""Exact snapshots of a core: its own arrays, and the tables of whatever remembers something for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from ...common.arrays import AnyArray
from .holdings import Holdings


class Snapshots(Holdings, ABC):
    """A core's state as arrays by name."""

    _STATE: tuple[str, ...] = ("params", "past", "version", "offset", "own", "held", "target_weight", "seed")
    _GROWS: tuple[str, ...] = ()  # of these, tables whose second dimension follows the episodes

    @abstractmethod
    def _memories(self) -> dict[str, AnyArray]:
        """Tables of whatever remembers something."""

    def state(self) -> dict[str, AnyArray]:
        """An exact snapshot, aggregator's memory included (copies; savable with `np.savez`)."""
        state = {name: getattr(self, f"_{name}").copy() for name in self._STATE}
        return state | {name: table.copy() for name, table in self._memories().items()}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Restore a snapshot of a core built alike.

        Raises:
            ValueError: if an array is missing or has the wrong shape.
        """
        for name in self._STATE:
            if name not in state:
                raise ValueError(f"core state: {name!r} is missing, expected a snapshot of state()")
            shape, given = getattr(self, f"_{name}").shape, np.shape(state[name])
            if given != shape and not (name in self._GROWS and given[:1] == shape[:1]):
                raise ValueError(f"core state: {name}: shape {given}, expected {shape}")
        for name, table in self._memories().items():
            if np.shape(state.get(name, 0.0)) != table.shape:
                raise ValueError(f"core state: {name}: missing or of another shape, expected {table.shape}")
        for name in self._STATE:
            setattr(self, f"_{name}", np.array(state[name], dtype=getattr(self, f"_{name}").dtype))
        self._capacity = np.diff(self._offset, axis=1).astype(np.int32)
        for name, table in self._memories().items():
            table[...] = state[name]
