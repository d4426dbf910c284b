"""A batch of worlds of serving as an agent sees it."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Floats32
from ...common.splits import Split
from ..agent_view import Info, Menu, WorldView, check_observation
from ..contract import StepResult
from ..serving import (
    ServingOutcome,
    ServingPlan,
    ServingScenario,
    ServingSituation,
    ServingSource,
    ServingWorld,
    load_serving,
)
from .actions import ServingLevels
from .encoder import ServingEncoder

_COUNTS = ("repairs", "loaded", "begun", "lost")
_AMOUNTS = ("requests", "answered", "right", "dropped", "waiting", "hub", "asked", "retried", "latency_ms")
_PER_SLOT = ("bytes", "energy_j", "emissions_g")


class ServingView(WorldView[ServingSituation, ServingPlan, ServingOutcome]):
    """A batch of worlds of serving with observations, integer actions and masks around it.

    Args:
        scenario: packaged name, YAML path, mapping or `ServingScenario`.
        num_envs: E.
        split: train, val or test.
        action: "levels"; worlds of serving have no other face.
        menu: None: they have no menu of schedulers.
        max_episode_steps: steps after which an episode is truncated; None or -1: only the day's end.
        observation: "dict": by parts; "flat": one vector.
        **changes: fields of `ServingScenario` to replace, see `load_serving`.
    """

    scenario_type = ServingScenario
    length = "steps"

    def __init__(
        self,
        scenario: ServingSource,
        num_envs: int = 1,
        split: Split = "train",
        action: str = "levels",
        menu: Menu | None = None,
        max_episode_steps: int | None = None,
        observation: str = "dict",
        **changes: object,
    ):
        check_observation(observation)
        self.use_action(action, menu)
        self.scenario = load_serving(scenario, **changes)
        self.world: ServingWorld = ServingWorld(self.scenario, num_envs, split)
        self.encoder = ServingEncoder(self.scenario)
        self.action_mode: ServingLevels = ServingLevels(self.scenario)
        super().__init__(self.world, self.encoder.space, self.scenario.steps, max_episode_steps, observation)

    def use_action(self, action: str, menu: Menu | None = None) -> None:
        """Refuse every face but the levels."""
        if action != "levels" or menu is not None:
            raise ValueError(f"action: {action!r}, expected levels: worlds of serving have no other face")

    def encode(self, situation: ServingSituation) -> dict[str, Floats32]:
        """See `ServingEncoder`."""
        return self.encoder.encode(situation)

    def act(self, actions: AnyArray) -> StepResult[ServingOutcome]:
        """Carry out a batch of actions, one per environment; masked loads count among the repairs."""
        return self.step(self.action_mode.read(actions, self.situation))

    def info(self, result: StepResult[ServingOutcome]) -> Info:
        """What `info` holds after a step, batched; `slot_*` is `[E, S]` and sums to its total."""
        outcome, e = result.outcome, self.world.num_envs
        per_slot = {name: getattr(outcome, name) for name in _PER_SLOT}
        return {
            "reward_terms": result.terms.copy(),
            "cost": result.cost.copy(),
            "accuracy": outcome.accuracy.copy(),
            **{name: getattr(outcome, name).astype(np.int64) for name in _COUNTS},
            **{name: getattr(outcome, name).reshape(e, -1).sum(axis=1) for name in _AMOUNTS},
            **{name: values.sum(axis=1) for name, values in per_slot.items()},
            **{f"slot_{name}": values.copy() for name, values in per_slot.items()},
            **self._so_far(),
        }

    def first_info(self) -> Info:
        """What `info` holds before the first step: of the same shape and types, and nothing has happened."""
        e, s = self.world.num_envs, self.scenario.slots
        return {
            "reward_terms": np.zeros((e, len(self.scenario.reward_terms))),
            "cost": np.zeros(e),
            "accuracy": np.zeros(e),
            **{name: np.zeros(e, dtype=np.int64) for name in _COUNTS},
            **{name: np.zeros(e) for name in (*_AMOUNTS, *_PER_SLOT)},
            **{f"slot_{name}": np.zeros((e, s)) for name in _PER_SLOT},
            **self._so_far(),
        }
