"""Frame stacking: memory for policies without one, the last observations side by side (Mnih et al. 2015)."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ...common.arrays import Bools, Floats32

Observation = dict[str, Floats32]


class FrameStack:
    """A stack of the last observations of E environments, the newest first.

    Before an episode has lasted so long, its first observation stands for the ones before it.

    Args:
        count: observations that are seen at once, at least 1.
    """

    def __init__(self, count: int):
        if count < 1:
            raise ValueError(f"frames: {count}, expected at least 1")
        self.count = count
        self._seen: Observation = {}
        self._fresh = np.zeros(0, dtype=bool)

    def forget(self, envs: Bools) -> None:
        """Begin anew in the environments of the mask `[E]`."""
        if self._fresh.size != envs.size:
            self._seen, self._fresh = {}, np.ones(envs.size, dtype=bool)
        self._fresh = self._fresh | envs

    def add(self, observation: Observation) -> Observation:
        """Remember observations `[E, ..., F]`; gives `[E, ..., count * F]`, the newest first."""
        if self.count == 1:
            return observation
        size = len(next(iter(observation.values())))
        if self._fresh.size != size:
            raise ValueError(f"frames: {size} environments, expected forget() for as many first")
        self._seen = {name: self._beside(name, rows) for name, rows in observation.items()}
        self._fresh = np.zeros(size, dtype=bool)
        return {name: rows.copy() for name, rows in self._seen.items()}

    def ending(self, env: int, observation: Observation) -> Observation:
        """The last observation `[..., F]` of an episode beside those before it; nothing is remembered."""
        if self.count == 1:
            return observation
        return {
            name: np.concatenate([row, self._seen[name][env, ..., : -row.shape[-1]]], axis=-1)
            for name, row in observation.items()
        }

    def _beside(self, name: str, rows: Floats32) -> Floats32:
        repeated = np.concatenate([rows] * self.count, axis=-1)
        if name in self._seen:
            old = ~self._fresh
            repeated[old, ..., rows.shape[-1] :] = self._seen[name][old, ..., : -rows.shape[-1]]
        return repeated


def stacked_space(space: spaces.Dict, count: int) -> spaces.Dict:
    """The space of `count` observations of a space of boxes, side by side along the last axis."""
    parts: dict[str, spaces.Space[object]] = {}
    for name, part in space.spaces.items():
        assert isinstance(part, spaces.Box)
        low, high = (np.concatenate([bound] * count, axis=-1) for bound in (part.low, part.high))
        parts[name] = spaces.Box(low, high, dtype=np.float32)
    return spaces.Dict(parts)
