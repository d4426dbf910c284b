"""The queue of deferred requests, by zone, task and steps left until their deadline."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Ints


class DeferralQueue:
    """Deferred requests of E environments.

    Attributes:
        waiting: `[E, Z, I, D]`; `[..., d]` may wait for d more steps, `[..., 0]` must be answered now.

    Args:
        shape: E, Z, I and D.
        steps: of an episode; nothing waits beyond its end.
    """

    def __init__(self, shape: tuple[int, int, int, int], steps: int):
        self._steps = steps
        self.waiting: Floats = np.zeros(shape)

    def clear(self, envs: Bools) -> None:
        """Empty the queues in the rows of `envs`."""
        self.waiting[envs] = 0.0

    def push(self, requests: Floats, step: Ints) -> None:
        """Requests `[E, Z, I]` of a step `[E]` join with their whole patience, or what is left of the day."""
        last = np.minimum(self.waiting.shape[3] - 1, np.maximum(self._steps - 1 - step, 0))
        self.waiting[np.arange(len(step)), :, :, last] += requests

    def take_due(self, envs: Bools) -> Floats:
        """`[E, Z, I]`, requests that cannot wait any longer; they leave the queues of `envs`."""
        due: Floats = np.where(envs[:, None, None], self.waiting[..., 0], 0.0)
        self.waiting[..., 0] -= due
        return due

    def total(self) -> Floats:
        """`[E, Z, I]`."""
        whole: Floats = self.waiting.sum(axis=3)
        return whole

    def take(self, answered: Floats) -> None:
        """So many requests `[E, Z, I]` leave, the oldest first."""
        before = np.cumsum(self.waiting, axis=3) - self.waiting
        gone = np.clip(answered[..., None] - before, 0.0, self.waiting)
        self.waiting = np.maximum(self.waiting - gone, 0.0)

    def age(self, envs: Bools) -> None:
        """A step passes in the rows of `envs`."""
        moved = np.concatenate([self.waiting[..., 1:], np.zeros_like(self.waiting[..., :1])], axis=3)
        self.waiting = np.where(envs[:, None, None, None], moved, self.waiting)
