"""What actor-critic policies for sets of clients and of slots share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaybeMasks
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule

from .client_set import Observation
from .distribution import BatchedMultiCategorical
from .set_network import SetActor, SetCritic

if TYPE_CHECKING:
    _Base = ActorCriticPolicy
else:
    _Base = object  # the mixin stands before the plain or the maskable policy


class ElementPolicyMixin(_Base):
    """One categorical per head of a `MultiDiscrete` action, without what cannot be; no policy by itself."""

    elements: ClassVar[str]  # the part of the observation with one row for each
    observation_space: spaces.Dict
    action_space: spaces.MultiDiscrete
    action_dist: BatchedMultiCategorical
    actor: SetActor
    critic: SetCritic
    num_clients: int

    @abstractmethod
    def logits(self, obs: Observation) -> th.Tensor:
        """Flat logits `[B, sum(nvec)]` before any masking; zeros for the elements that are away."""

    @abstractmethod
    def possible(self, obs: Observation) -> th.Tensor:
        """Bool `[B, sum(nvec)]`: the choices that the observation does not rule out."""

    @abstractmethod
    def available(self, obs: Observation) -> th.Tensor:
        """Bool `[B, N]`: which elements are there now."""

    @abstractmethod
    def levels_of(self, actions: th.Tensor) -> th.Tensor:
        """The elements' levels `[B, N]`, as a view of actions `[B, D]`."""

    def as_set(self, obs: Observation) -> Observation:
        """The observation as set networks read it."""
        return obs

    def effective(self, actions: th.Tensor) -> th.Tensor:
        """Bool `[B, D]`: the heads whose choice makes a difference, given the others; here: all."""
        return th.ones_like(actions, dtype=th.bool)

    def decide(self, distribution: BatchedMultiCategorical) -> th.Tensor:
        """The deterministic action int64 `[B, D]`; here: the likeliest choice of every head."""
        return distribution.mode()

    def likeliest(self, obs: Observation) -> th.Tensor:
        """The actions int64 `[B, D]` in which every head takes its likeliest choice."""
        return self.distribution(obs).mode()

    def distribution(self, obs: Observation, action_masks: MaybeMasks = None) -> BatchedMultiCategorical:
        """The actor's distribution; `action_masks` `[B, sum(nvec)]` may forbid more."""
        possible = self.possible(obs)
        if action_masks is not None:
            given = th.as_tensor(action_masks, dtype=th.bool, device=possible.device)
            possible = possible & given.reshape(possible.shape)
        distribution = self.action_dist.proba_distribution(self.logits(obs))
        distribution.apply_masking(possible)
        return distribution

    def predict_values(self, obs: Observation) -> th.Tensor:  # type: ignore[override]
        """The critic's values `[B, 1]`."""
        values: th.Tensor = self.critic(self.as_set(obs))
        return values

    def get_distribution(  # type: ignore[override]
        self, obs: Observation, action_masks: MaybeMasks = None
    ) -> BatchedMultiCategorical:
        """The actor's distribution; the name by which Stable-Baselines3 asks for it."""
        return self.distribution(obs, action_masks)

    def _fresh_optimizer(self, lr_schedule: Schedule) -> None:
        """The distribution, and an optimiser of the networks that are there."""
        self.action_dist = BatchedMultiCategorical(self.action_space.nvec.tolist())
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def _actions(self, distribution: BatchedMultiCategorical, deterministic: bool) -> th.Tensor:
        return self.decide(distribution) if deterministic else distribution.sample()

    def _predict(  # type: ignore[override]
        self, observation: Observation, deterministic: bool = False, action_masks: MaybeMasks = None
    ) -> th.Tensor:
        return self._actions(self.distribution(observation, action_masks), deterministic)

    def _act(
        self, obs: Observation, deterministic: bool, action_masks: MaybeMasks
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions `[B, D]`, values `[B, 1]` and log-probabilities `[B]`."""
        distribution = self.distribution(obs, action_masks)
        actions = self._actions(distribution, deterministic)
        return actions, self.predict_values(obs), distribution.log_prob(actions)

    def _evaluate(
        self, obs: Observation, actions: th.Tensor, action_masks: MaybeMasks
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Values `[B, 1]`, log-probabilities `[B]` and entropies `[B]`."""
        distribution = self.distribution(obs, action_masks)
        return self.predict_values(obs), distribution.log_prob(actions), distribution.entropy()
