"""RLlib's PPO network behind a mask; imported only where RLlib is installed."""

from __future__ import annotations

from typing import Any

import torch as th
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.columns import Columns

from .rllib import MASK, OBSERVATIONS

ILLEGAL = -1e9
"""Logit of an illegal choice; finite, so that entropies and divergences stay numbers."""


class MaskedPPOModule(DefaultPPOTorchRLModule):
    """PPO on the `observations` of a dict whose `action_mask` says which choices are legal (1) or not (0).

    The mask is applied to the logits of acting, exploring and learning alike, so the learner's probabilities
    are those that were acted on.
    """

    def __init__(self, *, observation_space: Any = None, **options: Any) -> None:
        self._with_mask = observation_space
        super().__init__(observation_space=observation_space[OBSERVATIONS], **options)

    def setup(self) -> None:
        """Build the networks for the observations, then show the whole space to the outside."""
        super().setup()
        self.observation_space = self._with_mask

    def _forward(self, batch: dict[str, Any], **options: Any) -> dict[str, Any]:
        return self._masked(super()._forward(_inner(batch), **options), batch)

    def _forward_train(self, batch: dict[str, Any], **options: Any) -> dict[str, Any]:
        return self._masked(super()._forward_train(_inner(batch), **options), batch)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
        """State values; the mask says nothing about them."""
        return super().compute_values(_inner(batch), embeddings)

    @staticmethod
    def _masked(outputs: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
        legal = batch[Columns.OBS][MASK] > 0
        logits = outputs[Columns.ACTION_DIST_INPUTS]
        outputs[Columns.ACTION_DIST_INPUTS] = th.where(legal, logits, th.full_like(logits, ILLEGAL))
        return outputs


def _inner(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch as RLlib's own network wants it; the given one is left as it is."""
    return {**batch, Columns.OBS: batch[Columns.OBS][OBSERVATIONS]}
