"""Slots: which model each holds or loads, what it serves in a step, what its loads move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from .contract import KEEP, NOTHING


@dataclass(frozen=True)
class Service:
    """What the slots do in one step, all `[E, S]`."""

    model: Ints  # that each answers with; NOTHING = none
    share: Floats  # of the step in which it answers
    planned_share: Floats  # the same if no session had ended
    held_s: Floats  # seconds with a model, or with one on its way
    moved_bytes: Floats  # of loads
    left: Bools  # whose session ended within the step


class SlotStates:
    """The slots of E environments.

    Attributes:
        model: int64 `[E, S]`, that each slot holds and serves; NOTHING = none.
        loading: int64 `[E, S]`, that is on its way; NOTHING = none.
        ready_s: `[E, S]`, when that one serves.

    Args:
        num_envs: E.
        num_slots: S.
        overlap: whether a slot goes on with its old model while it loads.
    """

    def __init__(self, num_envs: int, num_slots: int, overlap: bool = False):
        shape = (num_envs, num_slots)
        self._overlap = overlap
        self.model: Ints = np.full(shape, NOTHING)
        self.loading: Ints = np.full(shape, NOTHING)
        self.ready_s: Floats = np.zeros(shape)
        self._began_s: Floats = np.zeros(shape)
        self._bytes_end_s: Floats = np.zeros(shape)

    def clear(self, envs: Bools) -> None:
        """Empty the slots in the rows of `envs`."""
        self.model[envs] = self.loading[envs] = NOTHING
        self.ready_s[envs] = 0.0

    def begin(
        self, load: Ints, available: Bools, time_s: Floats, bytes_s: Floats, start_s: float
    ) -> tuple[Ints, Ints]:
        """Carry out orders; loads that could not be begun, and those that were, each `[E]`.

        Args:
            load: `[E, S]`, of `ServingPlan`.
            available: bool `[E, S]`.
            time_s: `[E]`.
            bytes_s: `[E, S, M]`, seconds until a model of each rung has arrived; inf = it cannot run there.
            start_s: from then until it answers.
        """
        wanted = load - 1
        ordered = (load != KEEP) & (wanted != self.model)
        rung = np.where(load == KEEP, 0, wanted % bytes_s.shape[2])
        takes_s = np.take_along_axis(bytes_s, rung[:, :, None], axis=2)[:, :, 0]
        begun = ordered & available & (self.loading == NOTHING) & np.isfinite(takes_s)
        now_s = np.broadcast_to(time_s[:, None], begun.shape)
        self.loading = np.where(begun, wanted, self.loading)
        self._began_s = np.where(begun, now_s, self._began_s)
        self._bytes_end_s = np.where(begun, now_s + takes_s, self._bytes_end_s)
        self.ready_s = np.where(begun, now_s + takes_s + start_s, self.ready_s)
        if not self._overlap:
            self.model = np.where(begun, NOTHING, self.model)
        return (ordered & ~begun).sum(axis=1), begun.sum(axis=1)

    def serve(self, time_s: Floats, step_s: float, end_s: Floats, rate: Floats) -> Service:
        """What the slots do until `time_s + step_s`.

        Args:
            time_s: `[E]`.
            step_s: seconds.
            end_s: `[E, S]`, when each running session ends; the present where there is none.
            rate: `[E, S]`, bytes per second.
        """
        begin_s = time_s[:, None]
        stop_s = np.minimum(end_s, begin_s + step_s)
        holds, comes = self.model != NOTHING, self.loading != NOTHING
        fresh = comes & ~holds & (self.ready_s < begin_s + step_s)
        from_s = np.where(fresh, self.ready_s, begin_s)
        serves = holds | fresh
        share = np.where(serves, np.maximum(stop_s - from_s, 0.0) / step_s, 0.0)
        planned = np.where(serves & (end_s > begin_s), (begin_s + step_s - from_s) / step_s, 0.0)
        moving_s = np.minimum(self._bytes_end_s, stop_s) - np.maximum(self._began_s, begin_s)
        return Service(
            model=np.where(share + planned > 0, np.where(holds, self.model, self.loading), NOTHING),
            share=share,
            planned_share=planned,
            held_s=np.where(holds | comes, np.maximum(stop_s - begin_s, 0.0), 0.0),
            moved_bytes=np.where(comes, np.maximum(moving_s, 0.0) * rate, 0.0),
            left=(holds | comes) & (end_s <= begin_s + step_s),
        )

    def end(self, time_s: Floats, left: Bools) -> Ints:
        """Wipe what went with its session, and let loads that are complete serve; how many did, `[E]`."""
        self.model = np.where(left, NOTHING, self.model)
        self.loading = np.where(left, NOTHING, self.loading)
        done = (self.loading != NOTHING) & (self.ready_s <= time_s[:, None])
        self.model = np.where(done, self.loading, self.model)
        self.loading = np.where(done, NOTHING, self.loading)
        return np.asarray(done.sum(axis=1))
