"""Batched categorical distribution for all heads of a `MultiDiscrete` action.

Stable-Baselines3 builds one `torch.distributions.Categorical` per dimension; with one or two dimensions per
client that loop, not the network, is where PPO spends its time. Here neighbouring heads with equally many
choices are one tensor `[B, heads, choices]` and one `log_softmax`; log-probabilities, entropy, mode and
gradients are those of `stable_baselines3.common.distributions.MultiCategoricalDistribution` and of
sb3-contrib's maskable one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch as th
from sb3_contrib.common.maskable.distributions import MaskableDistribution, MaybeMasks
from torch import nn

MASKED_LOGIT = -1e8
"""Logit of a forbidden choice; the value of sb3-contrib, so that log-probabilities agree."""


@dataclass(frozen=True)
class HeadGroup:
    """Neighbouring heads with equally many choices.

    Attributes:
        heads: how many of them.
        choices: choices of each.
        first_action: index of the first one's entry in the action.
        first_logit: index of the first one's first logit.
    """

    heads: int
    choices: int
    first_action: int
    first_logit: int

    @property
    def actions(self) -> slice:
        """Where the group stands in the action vector."""
        return slice(self.first_action, self.first_action + self.heads)

    @property
    def logits(self) -> slice:
        """Where the group stands in the flat logits."""
        return slice(self.first_logit, self.first_logit + self.heads * self.choices)


def head_groups(nvec: Sequence[int]) -> tuple[HeadGroup, ...]:
    """Runs of equal entries of `nvec`, e.g. `[3, 2, 5, 5, 5]` -> 1 x 3, 1 x 2, 3 x 5."""
    groups: list[HeadGroup] = []
    first_action = first_logit = 0
    for choices, run in groupby(int(n) for n in nvec):
        heads = len(list(run))
        groups.append(HeadGroup(heads, choices, first_action, first_logit))
        first_action += heads
        first_logit += heads * choices
    return tuple(groups)


class BatchedMultiCategorical(MaskableDistribution):
    """Independent categorical heads, evaluated group by group.

    Args:
        nvec: number of choices of each head, as in `gymnasium.spaces.MultiDiscrete.nvec`.
    """

    def __init__(self, nvec: Sequence[int]):
        super().__init__()
        self.action_dims = [int(n) for n in nvec]
        self.groups = head_groups(self.action_dims)
        self.num_logits = sum(self.action_dims)
        self._raw = th.empty(0)
        self._masks: th.Tensor | None = None
        self._log_probs: list[th.Tensor] = []

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:  # type: ignore[override]
        """A linear layer giving the flat logits, for policies that are not sets."""
        return nn.Linear(latent_dim, self.num_logits)

    def proba_distribution(self, action_logits: th.Tensor) -> BatchedMultiCategorical:  # type: ignore[override]
        """Set the flat logits `[B, sum(nvec)]`; earlier masks are forgotten."""
        self._raw = action_logits.reshape(-1, self.num_logits)
        self._masks = None
        self._normalise()
        return self

    def apply_masking(self, masks: MaybeMasks) -> None:
        """Forbid the choices where `masks` `[B, sum(nvec)]` is False; None lifts every mask."""
        if masks is None:
            self._masks = None
        else:
            self._masks = th.as_tensor(masks, dtype=th.bool, device=self._raw.device).reshape(self._raw.shape)
        self._normalise()

    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        """Log-probability `[B]` of the actions `[B, D]` (any number type)."""
        chosen = actions.reshape(-1, len(self.action_dims)).long()
        parts = [
            log_p.gather(2, chosen[:, group.actions, None]).sum(dim=(1, 2))
            for group, log_p in zip(self.groups, self._log_probs, strict=True)
        ]
        return th.stack(parts).sum(dim=0)

    def head_log_prob(self, actions: th.Tensor) -> th.Tensor:
        """Log-probability `[B, D]` of every head's choice by itself."""
        chosen = actions.reshape(-1, len(self.action_dims)).long()
        parts = [
            log_p.gather(2, chosen[:, group.actions, None])[..., 0]
            for group, log_p in zip(self.groups, self._log_probs, strict=True)
        ]
        return th.cat(parts, dim=1)

    def entropy(self) -> th.Tensor:
        """Entropy `[B]`, summed over heads; forbidden choices contribute nothing."""
        parts = []
        for group, log_p in zip(self.groups, self._log_probs, strict=True):
            terms = log_p.exp() * log_p
            if self._masks is not None:
                terms = terms.masked_fill(~self._mask(group), 0.0)
            parts.append(-terms.sum(dim=(1, 2)))
        return th.stack(parts).sum(dim=0)

    def sample(self) -> th.Tensor:
        """Random actions int64 `[B, D]`, by racing exponentials (the way `torch.multinomial` does it)."""
        parts = []
        for log_p in self._log_probs:
            race = th.empty_like(log_p).exponential_().clamp_min_(1e-30)
            parts.append((log_p - race.log()).argmax(dim=2))
        return th.cat(parts, dim=1)

    def mode(self) -> th.Tensor:
        """The likeliest action int64 `[B, D]` of every head."""
        return th.cat([log_p.argmax(dim=2) for log_p in self._log_probs], dim=1)

    def log_probs(self) -> th.Tensor:
        """Normalised flat log-probabilities `[B, sum(nvec)]`."""
        return th.cat([log_p.flatten(1) for log_p in self._log_probs], dim=1)

    def actions_from_params(self, action_logits: th.Tensor, deterministic: bool = False) -> th.Tensor:  # type: ignore[override]
        """Actions of the distribution with these logits."""
        return self.proba_distribution(action_logits).get_actions(deterministic=deterministic)

    def log_prob_from_params(self, action_logits: th.Tensor) -> tuple[th.Tensor, th.Tensor]:  # type: ignore[override]
        """Random actions and their log-probability."""
        actions = self.actions_from_params(action_logits)
        return actions, self.log_prob(actions)

    def _mask(self, group: HeadGroup) -> th.Tensor:
        assert self._masks is not None
        return self._masks[:, group.logits].reshape(-1, group.heads, group.choices)

    def _normalise(self) -> None:
        logits = self._raw
        if self._masks is not None:
            logits = th.where(self._masks, logits, th.full_like(logits, MASKED_LOGIT))
        self._log_probs = [
            logits[:, group.logits].reshape(-1, group.heads, group.choices).log_softmax(dim=2)
            for group in self.groups
        ]
