"""What views of all classes of worlds share: observations, steps and their limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from gymnasium import spaces
from pydantic import BaseModel

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints
from ..contract import StepResult, scheduler_seeds
from .flat import OBSERVATIONS, AnyObservation, flat_space, flatten

Info: TypeAlias = dict[str, Any]
"""Gymnasium's dictionaries beside an observation: `info`, and `options` of a reset."""

SituationT = TypeVar("SituationT")
PlanT = TypeVar("PlanT")
OutcomeT = TypeVar("OutcomeT")
PlanOf = TypeVar("PlanOf", contravariant=True)
SituationOf = TypeVar("SituationOf", contravariant=True)
SituationOut = TypeVar("SituationOut", covariant=True)


class PlayedWorld(Protocol[SituationOut, PlanOf, OutcomeT]):
    """A batch of worlds that an agent plays in."""

    @property
    def num_envs(self) -> int:
        """E."""
        ...

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`."""
        ...

    def step(self, plan: PlanOf) -> StepResult[OutcomeT]:
        """Carry out one plan."""
        ...

    def cut_short(self, envs: Bools) -> None:
        """End the running episodes in the rows of `envs`."""
        ...

    def situation(self) -> SituationOut:
        """What a coordinator knows now."""
        ...

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far."""
        ...


class Face(Protocol[SituationOf]):
    """How an agent's actions look: their space and which of them are legal."""

    @property
    def space(self) -> spaces.Space[Any]:
        """Of one environment's action."""
        ...

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """New episodes begin in the rows of `envs`."""
        ...

    def masks(self, situation: SituationOf) -> Bools:
        """Legal choices `[E, choices]`."""
        ...


class WorldView(ABC, Generic[SituationT, PlanT, OutcomeT]):
    """A batch of worlds with observations, actions and masks around it, whatever class the worlds are of.

    Args:
        world: the batch.
        space: of the observations by parts.
        own_limit: the most steps that an episode can have by the world's own rules.
        max_episode_steps: steps after which an episode is truncated, if the world's own limits have not ended
            it before; None or -1: no other limit.
        observation: "dict": by parts; "flat": one vector.

    Attributes:
        scenario_type: the document that such worlds are made of; its fields are keywords of environments.
        length: which total is an episode's length.
        max_episode_steps: the most steps that an episode can have.
        observation_space: of one environment.
        episode_seeds: int64 `[E]`, of the running episodes; for evaluators and recorders, never for agents.
        episodes_begun: int64 `[E]`, how many each environment has begun.
    """

    scenario_type: ClassVar[type[BaseModel]]
    length: ClassVar[str] = "rounds"
    world: PlayedWorld[SituationT, PlanT, OutcomeT]
    action_mode: Face[SituationT]

    def __init__(
        self,
        world: PlayedWorld[SituationT, PlanT, OutcomeT],
        space: spaces.Dict,
        own_limit: int,
        max_episode_steps: int | None,
        observation: str,
    ):
        self._flat = observation == "flat"
        self.observation_space: spaces.Space[Any] = flat_space(space) if self._flat else space
        self._situation: SituationT | None = None
        self.max_episode_steps = min(own_limit, _step_limit(max_episode_steps) or own_limit)
        self._limited = self.max_episode_steps < own_limit
        self._steps = np.zeros(world.num_envs, dtype=np.int64)
        self.episode_seeds = np.zeros(world.num_envs, dtype=np.int64)
        self.episodes_begun = np.zeros(world.num_envs, dtype=np.int64)

    @property
    def situation(self) -> SituationT:
        """The present situation of all environments, computed once per step."""
        if self._situation is None:
            self._situation = self.world.situation()
        return self._situation

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`."""
        self.world.reset(envs, seeds)
        # The schedulers of a menu know as little of the episode as those that play alone.
        self.action_mode.reset(envs, scheduler_seeds(seeds))
        self._situation = None
        self._steps[envs] = 0
        self.episode_seeds[envs] = seeds[envs]
        self.episodes_begun[envs] += 1

    def observe(self) -> AnyObservation:
        """Fresh observations of all environments."""
        return self._arranged(self.encode(self.situation), self.world.num_envs)

    def observe_some(self, envs: Ints) -> AnyObservation:
        """Fresh observations of some environments, in their order."""
        return self._arranged(self.encode_some(self.situation, envs), envs.size)

    def _arranged(self, parts: Mapping[str, Floats32], num_envs: int) -> AnyObservation:
        return flatten(parts, (num_envs,)) if self._flat else dict(parts)

    def masks(self) -> Bools:
        """Legal choices, `[E, choices]`."""
        return self.action_mode.masks(self.situation)

    def step(self, plan: PlanT) -> StepResult[OutcomeT]:
        """Carry out a plan in all environments."""
        result = self.world.step(plan)
        self._situation = None
        self._steps += result.active
        cut = result.active & (self._steps >= self.max_episode_steps)
        if not self._limited or not cut.any():
            return result
        # What is seen last is how it would go on: the limit is no end of the run.
        self._situation = self.world.situation()
        self.world.cut_short(cut)
        return replace(result, truncated=result.truncated | cut)

    @abstractmethod
    def encode(self, situation: SituationT) -> Mapping[str, Floats32]:
        """Observations by parts."""

    def encode_some(self, situation: SituationT, envs: Ints) -> Mapping[str, Floats32]:
        """Observations of some environments by parts."""
        return {name: rows[envs] for name, rows in self.encode(situation).items()}

    @abstractmethod
    def act(self, actions: AnyArray) -> StepResult[OutcomeT]:
        """Carry out a batch of actions, one per environment."""

    @abstractmethod
    def info(self, result: StepResult[OutcomeT]) -> Info:
        """What `info` holds after a step, batched."""

    @abstractmethod
    def first_info(self) -> Info:
        """What `info` holds before the first step: of the same shape and types, and nothing has happened."""

    def _so_far(self) -> Info:
        """The part of an info that says which episode it is, and what it has come to."""
        totals = {f"episode_{name}": values for name, values in self.world.totals().items()}
        return {"episode_seed": self.episode_seeds.copy(), **totals}


def check_observation(observation: str) -> None:
    """Refuse another value of the keyword `observation=`."""
    if observation not in OBSERVATIONS:
        raise ValueError(f"observation: {observation!r}, expected one of {', '.join(OBSERVATIONS)}")


def _step_limit(limit: object) -> int | None:
    """A limit of steps as Gymnasium takes it: None or -1 is none."""
    if limit is None or limit == -1:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise ValueError(
            f"max_episode_steps: {limit!r}, expected at least 1 step; None for the world's own limit"
        )
    return int(limit)
