"""RLModules for RLlib's new API stack that never choose what the action mask forbids.

The observations are those of `masked_observations`. The mask is laid on the logits before they leave the
module, so that sampling, log-probabilities, entropy and divergence of every algorithm see legal choices only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

import numpy as np
import torch as th
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from ..policies import default_wait_logits, share_logits
from ..policies.distribution import MASKED_LOGIT, BatchedMultiCategorical
from ..policies.packed import Choices
from ..policies.set_network import SetShape, flat_logits, fresh_networks, orthogonal
from .masked_observations import FlatLayout

KEYS = ("observations", "action_mask")

Batch: TypeAlias = dict[str, dict[str, th.Tensor]]
"""Observations by part, under RLlib's name of the column."""


class LayoutFields(TypedDict):
    """The fields of `FlatLayout`."""

    clients: tuple[int, int]
    server: int
    zones: tuple[int, int]


class ModuleSettings(TypedDict, total=False):
    """What `model_config` may hold."""

    hiddens: Sequence[int]
    hidden: int
    pooling: str
    layout: LayoutFields


class MultiChoice(Distribution):
    """Independent categorical heads in one tensor; RLlib's own builds one object per head.

    Args:
        logits: `[..., sum(nvec)]`, forbidden choices at `MASKED_LOGIT`.
        nvec: choices of each head.
    """

    def __init__(self, logits: th.Tensor, nvec: tuple[int, ...]):
        super().__init__()
        self._shape = logits.shape[:-1]
        self._heads = BatchedMultiCategorical(nvec).proba_distribution(logits)

    def sample(self, *, sample_shape: object = None, **kwargs: object) -> th.Tensor:
        """Actions int64 `[..., D]`."""
        return self._heads.sample().reshape(*self._shape, -1)

    def rsample(self, *, sample_shape: object = None, **kwargs: object) -> th.Tensor:
        """Choices have no reparametrised sample."""
        raise NotImplementedError("rsample: choices cannot be sampled differentiably")

    def logp(self, value: th.Tensor, **kwargs: object) -> th.Tensor:
        """Log-probability `[...]` of the actions `[..., D]`."""
        return self._heads.log_prob(value).reshape(self._shape)

    def entropy(self, **kwargs: object) -> th.Tensor:
        """Entropy `[...]`, summed over the heads."""
        return self._heads.entropy().reshape(self._shape)

    def kl(self, other: Distribution, **kwargs: object) -> th.Tensor:
        """Divergence `[...]` from another one, summed over the heads; forbidden choices add nothing."""
        assert isinstance(other, MultiChoice)
        own = self._heads.log_probs()
        terms = own.exp() * (own - other._heads.log_probs())
        return terms.sum(dim=-1).reshape(self._shape)

    def to_deterministic(self) -> TorchDeterministic:
        """Every head's likeliest choice."""
        return TorchDeterministic(self._heads.mode().reshape(*self._shape, -1))

    @staticmethod
    def required_input_dim(space: spaces.Space[object], **kwargs: object) -> int:
        """Logits that a space needs."""
        assert isinstance(space, spaces.MultiDiscrete)
        return int(space.nvec.sum())

    @classmethod
    def from_logits(cls, logits: th.Tensor, nvec: tuple[int, ...] = (), **kwargs: object) -> MultiChoice:
        """The distribution of these logits."""
        return cls(logits, nvec)


class MaskedModule(TorchRLModule, InferenceOnlyAPI, ValueFunctionAPI):
    """Actor and critic, two plain networks over the flat observation, with masks.

    For algorithms that need a policy and a value function (PPO, IMPALA, APPO). `model_config`:
    `hiddens`, the widths of the layers, default `(64, 64)`.
    """

    actor: nn.Module
    critic: nn.Module

    def setup(self) -> None:
        """Build the networks; RLlib calls it once."""
        if not isinstance(self.observation_space, spaces.Dict) or set(self.observation_space) != set(KEYS):
            raise ValueError(
                f"observation_space: {self.observation_space}, expected a Dict of {', '.join(KEYS)}"
            )
        if not isinstance(self.action_space, spaces.MultiDiscrete):
            raise ValueError(f"action_space: {self.action_space}, expected MultiDiscrete")
        self.nvec = tuple(int(n) for n in self.action_space.nvec)
        self.action_dist_cls = MultiChoice.get_partial_dist_cls(nvec=self.nvec)
        self.build(ModuleSettings(**(self.model_config or {})))

    def build(self, settings: ModuleSettings) -> None:
        """The networks `self.actor` and `self.critic`."""
        size = int(np.prod(self.observation_space["observations"].shape))
        hiddens = tuple(settings.get("hiddens", (64, 64)))
        self.actor = _layers(size, hiddens, sum(self.nvec), last_gain=0.01)
        self.critic = _layers(size, hiddens, 1, last_gain=1.0)

    def logits(self, flat: th.Tensor) -> th.Tensor:
        """Logits `[B, sum(nvec)]` of flat observations `[B, size]`, before masking."""
        logits: th.Tensor = self.actor(flat)
        return logits

    def values(self, flat: th.Tensor) -> th.Tensor:
        """Values `[B, 1]` of flat observations `[B, size]`."""
        values: th.Tensor = self.critic(flat)
        return values

    def compute_values(self, batch: Batch, embeddings: object = None) -> th.Tensor:
        """Values `[B]` or `[B, T]` of a batch, see RLlib's `ValueFunctionAPI`."""
        flat = batch[Columns.OBS]["observations"]
        return self.values(flat.reshape(-1, flat.shape[-1])).reshape(flat.shape[:-1])

    def get_non_inference_attributes(self) -> list[str]:
        """What a process that only acts does not need."""
        return ["critic"]

    def _forward(self, batch: Batch, **kwargs: object) -> dict[str, th.Tensor]:
        observation = batch[Columns.OBS]
        flat, mask = observation["observations"], observation["action_mask"]
        logits = self.logits(flat.reshape(-1, flat.shape[-1])).reshape(mask.shape)
        forbidden = th.full_like(logits, MASKED_LOGIT)
        return {Columns.ACTION_DIST_INPUTS: th.where(mask > 0.5, logits, forbidden)}


class MaskedSetModule(MaskedModule):
    """The networks of the package's own policies with a coin for every client; any number of clients.

    Make it with `rllib.set_module_spec`, which knows the layout of the observation. `model_config`:
    `layout`, the fields of `FlatLayout`; `hidden`, default 64; `pooling`, default "mean-max". Before training
    it invites three of ten available clients, rarely waits and hardly ever ends the run.
    """

    further_server_logits = 0
    """Logits of the server beyond those of its heads."""

    def build(self, settings: ModuleSettings) -> None:
        """The networks `self.actor` and `self.critic`."""
        if "layout" not in settings:
            raise ValueError(
                "model_config: no 'layout', expected that of set_module_spec(env_id, env_config)"
            )
        self.layout = FlatLayout(**settings["layout"])
        choices = Choices.of(self.nvec, self.layout.clients[0])
        self.levels = choices.levels
        hidden, pooling = int(settings.get("hidden", 64)), str(settings.get("pooling", "mean-max"))
        shape = SetShape(self.layout.clients[1], self.layout.server, self.layout.zones[1])
        self.actor, self.critic = fresh_networks(
            shape,
            sum(choices.server) + self.further_server_logits,
            sum(choices.clients),
            hidden,
            pooling,
            default_wait_logits(choices.waits),
            self.level_logits(choices.levels),
        )

    def level_logits(self, levels: int) -> list[float]:
        """Logits of a client's step levels before training."""
        return share_logits(levels)

    def logits(self, flat: th.Tensor) -> th.Tensor:
        """Logits `[B, sum(nvec)]`; zeros for the clients that are away."""
        return flat_logits(self.actor, self.layout.split(flat), self.levels)

    def values(self, flat: th.Tensor) -> th.Tensor:
        """Values `[B, 1]`."""
        values: th.Tensor = self.critic(self.layout.split(flat))
        return values


def _layers(size: int, hiddens: tuple[int, ...], outputs: int, last_gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hiddens:
        layers += [nn.Linear(size, width), nn.Tanh()]
        size = width
    last = nn.Linear(size, outputs)
    network = nn.Sequential(*layers, last)
    orthogonal(network)
    nn.init.orthogonal_(last.weight, gain=last_gain)
    return network
