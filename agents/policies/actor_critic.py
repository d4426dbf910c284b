"""The set policy as Stable-Baselines3's and sb3-contrib's algorithms take it."""

from __future__ import annotations

import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy

from ...common.arrays import AnyArray
from .client_set import Observation
from .element_policy import ElementPolicyMixin
from .set_policy import SetPolicyMixin
from .slot_policy import SlotPolicyMixin


class _Plain(ElementPolicyMixin, ActorCriticPolicy):  # type: ignore[misc]
    """As PPO and A2C call a policy."""

    def forward(  # type: ignore[override]
        self, obs: Observation, deterministic: bool = False
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions `[B, D]`, values `[B, 1]` and log-probabilities `[B]`."""
        return self._act(obs, deterministic, None)

    def evaluate_actions(  # type: ignore[override]
        self, obs: Observation, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values `[B, 1]`, log-probabilities `[B]` and entropies `[B]`."""
        return self._evaluate(obs, actions, None)


class _Maskable(ElementPolicyMixin, MaskableActorCriticPolicy):  # type: ignore[misc]
    """As sb3-contrib's MaskablePPO calls one."""

    def forward(  # type: ignore[override]
        self, obs: Observation, deterministic: bool = False, action_masks: AnyArray | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions `[B, D]`, values `[B, 1]` and log-probabilities `[B]`."""
        return self._act(obs, deterministic, action_masks)

    def evaluate_actions(  # type: ignore[override]
        self, obs: Observation, actions: th.Tensor, action_masks: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values `[B, 1]`, log-probabilities `[B]` and entropies `[B]`."""
        return self._evaluate(obs, actions, action_masks)


class SetActorCriticPolicy(SetPolicyMixin, _Plain):
    """Permutation-equivariant policy for PPO and A2C; see `SetPolicyMixin` for the arguments."""


class MaskableSetActorCriticPolicy(SetPolicyMixin, _Maskable):  # type: ignore[misc]
    """Permutation-equivariant policy for MaskablePPO; see `SetPolicyMixin`."""


class SlotActorCriticPolicy(SlotPolicyMixin, _Plain):
    """The same for worlds of serving; see `SlotPolicyMixin`."""


class MaskableSlotActorCriticPolicy(SlotPolicyMixin, _Maskable):  # type: ignore[misc]
    """The same for MaskablePPO, which is also told which rungs cannot run where."""
