"""Actions of serving: `MultiDiscrete([release] + [threshold] * I + [1 + I M] * S)`, and which are legal."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ...common.arrays import AnyArray, Bools, Ints
from ..agent_view import nearest_level
from ..serving import KEEP, ServingPlan, ServingScenario, ServingSituation


class ServingLevels:
    """The levels of every decision.

    Heads in order: which share of the deferred requests may be answered now; of each task the confidence
    below which the hub is asked; of each slot what it loads, 0 = it stays as it is, else 1 + task * M + rung.

    Args:
        scenario: whose levels, tasks and slots they are.
    """

    def __init__(self, scenario: ServingScenario):
        self._release = np.array(scenario.levels.release)
        self._threshold = np.array(scenario.levels.threshold)
        self._tasks, self._slots = scenario.tasks, scenario.slots
        self._choices = 1 + scenario.tasks * len(scenario.models.rungs)
        heads = [self._release.size] + [self._threshold.size] * self._tasks + [self._choices] * self._slots
        self.nvec: Ints = np.array(heads)
        self.space = spaces.MultiDiscrete(self.nvec)

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Nothing to remember."""

    def read(self, actions: AnyArray, situation: ServingSituation) -> ServingPlan:
        """The plan of a batch of actions `[E, D]`; raises ValueError if one is outside the space."""
        actions = np.asarray(actions)
        if actions.shape != (situation.num_envs, self.nvec.size):
            raise ValueError(
                f"action: shape {actions.shape}, expected {(situation.num_envs, self.nvec.size)}"
            )
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"action: dtype {actions.dtype}, expected integers")
        if not bool(((actions >= 0) & (actions < self.nvec)).all()):
            raise ValueError(f"action: {actions.tolist()}, expected 0 <= action < {self.nvec.tolist()}")
        first = 1 + self._tasks
        return ServingPlan(
            load=actions[:, first:].astype(np.int64),
            threshold=self._threshold[actions[:, 1:first]],
            release=self._release[actions[:, 0]],
        )

    def plan(self, actions: AnyArray, situation: ServingSituation) -> ServingPlan:
        """The same: orders that are masked are repaired by the world."""
        return self.read(actions, situation)

    def encode(self, plan: ServingPlan, situation: ServingSituation) -> Ints:
        """The legal action nearest to a plan, for imitation and recordings."""
        load = np.where(self._loadable(situation, plan.load), plan.load, KEEP)
        return np.concatenate(
            [
                nearest_level(self._release, plan.release)[:, None],
                nearest_level(self._threshold, plan.threshold),
                load,
            ],
            axis=1,
        )

    def masks(self, situation: ServingSituation) -> Bools:
        """Legal choices `[E, sum(nvec)]`: slots that are away or loading stay as they are."""
        s = situation
        rungs = np.tile(np.isfinite(s.slots.load_s), (1, 1, s.num_tasks))
        loads = s.loadable[:, :, None] & rungs
        slots = np.concatenate([np.ones((*loads.shape[:2], 1), dtype=bool), loads], axis=2)
        levels = np.ones((s.num_envs, self._release.size + self._tasks * self._threshold.size), dtype=bool)
        return np.concatenate([levels, slots.reshape(s.num_envs, -1)], axis=1)

    def _loadable(self, s: ServingSituation, load: Ints) -> Bools:
        """Bool `[E, S]`: where an order could be begun."""
        rung = np.where(load == KEEP, 0, (load - 1) % s.num_rungs)
        runs = np.take_along_axis(np.isfinite(s.slots.load_s), rung[:, :, None], axis=2)[:, :, 0]
        return np.asarray(s.loadable & runs)
