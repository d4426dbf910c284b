"""RLlib's face of slates: the module of the package's own policies that says how many, and who by a draw.

RLlib hands a distribution one tensor. What a slate is made of stands in it in this order: the logits of the
server's heads and of the slate's size, the logits of every client, and the action mask, from which the
distribution reads who is there.
"""

from __future__ import annotations

import torch as th
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic

from ..policies.client_set import ClientSet, available_clients
from ..policies.packed import Choices
from ..policies.slate import SLATE_SIZES, SlateActions, masked_slate, prefer_small_slates
from .rllib_modules import Batch, MaskedSetModule, ModuleSettings

_KL_DRAWS = 4


class SlateChoice(Distribution):
    """A wait, a quorum, a slate, and each member's steps and data; see `policies.slate`.

    Args:
        inputs: `[..., K]`, see the module.
        nvec: choices of each head of the action.
        clients: N.
    """

    def __init__(self, inputs: th.Tensor, nvec: tuple[int, ...], clients: int):
        super().__init__()
        self._batch = inputs.shape[:-1]
        choices = Choices.of(nvec, clients)
        server, each, mask = _parts(inputs.reshape(-1, inputs.shape[-1]), choices, clients)
        flat = each.reshape(len(mask) * clients, -1)
        server, some, present = masked_slate(
            choices, server, flat, _everybody(flat, len(mask), clients), mask > 0.5
        )
        self._slate = SlateActions(choices, server, some, present)

    def sample(self, *, sample_shape: object = None, **kwargs: object) -> th.Tensor:
        """Actions int64 `[..., D]`."""
        return self._slate.sample().reshape(*self._batch, -1)

    def rsample(self, *, sample_shape: object = None, **kwargs: object) -> th.Tensor:
        """Choices have no reparametrised sample."""
        raise NotImplementedError("rsample: choices cannot be sampled differentiably")

    def logp(self, value: th.Tensor, **kwargs: object) -> th.Tensor:
        """Log-probability `[...]` of what has an effect in the actions `[..., D]`."""
        return self._slate.log_prob(value.reshape(-1, value.shape[-1])).reshape(self._batch)

    def entropy(self, **kwargs: object) -> th.Tensor:
        """The bonus `[...]` of `SlateActions.entropy`."""
        return self._slate.entropy().reshape(self._batch)

    def kl(self, other: Distribution, **kwargs: object) -> th.Tensor:
        """Divergence `[...]` from another one, estimated from a few draws: that of sets has no closed form.

        Unbiased, and so is its gradient with respect to the other one; a single row's may be negative.
        """
        assert isinstance(other, SlateChoice)
        draws = [self._slate.sample() for _ in range(_KL_DRAWS)]
        terms = [self._slate.log_prob(each) - other._slate.log_prob(each) for each in draws]
        return th.stack(terms).mean(dim=0).reshape(self._batch)

    def to_deterministic(self) -> TorchDeterministic:
        """Everything likeliest, the best scores first."""
        return TorchDeterministic(self._slate.mode().reshape(*self._batch, -1))

    @staticmethod
    def required_input_dim(space: spaces.Space[object], clients: int = 0, **kwargs: object) -> int:
        """Numbers that a space needs."""
        assert isinstance(space, spaces.MultiDiscrete)
        choices = Choices.of(space.nvec.tolist(), clients)
        logits = sum(choices.server) + len(SLATE_SIZES) + clients * sum(choices.clients)
        return logits + int(space.nvec.sum())

    @classmethod
    def from_logits(
        cls, logits: th.Tensor, nvec: tuple[int, ...] = (), clients: int = 0, **kwargs: object
    ) -> SlateChoice:
        """The distribution of these numbers."""
        return cls(logits, nvec, clients)


class MaskedSlateModule(MaskedSetModule):
    """The networks of the package's own policies with their default heads; see `MaskedSetModule`.

    Before training it invites up to four clients, rarely waits and hardly ever ends the run.
    """

    further_server_logits = len(SLATE_SIZES)

    def build(self, settings: ModuleSettings) -> None:
        """The networks `self.actor` and `self.critic`."""
        super().build(settings)
        prefer_small_slates(self.actor.server_logits)  # type: ignore[arg-type]
        clients = self.layout.clients[0]
        self.action_dist_cls = SlateChoice.get_partial_dist_cls(nvec=self.nvec, clients=clients)

    def level_logits(self, levels: int) -> list[float]:
        """All positive levels alike; the first is the client's score."""
        return [0.0] * levels

    def _forward(self, batch: Batch, **kwargs: object) -> dict[str, th.Tensor]:
        observation = batch[Columns.OBS]
        flat, mask = observation["observations"], observation["action_mask"]
        parts = self.layout.split(flat.reshape(-1, flat.shape[-1]))
        present = available_clients(parts)
        server, each = self.actor(parts, present)
        dense = present.unpack(each).flatten(1)
        inputs = th.cat([server, dense, mask.reshape(len(server), -1)], dim=1)
        return {Columns.ACTION_DIST_INPUTS: inputs.reshape(*flat.shape[:-1], -1)}


def _parts(inputs: th.Tensor, choices: Choices, clients: int) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """The server's logits, the clients' and the mask, each `[B, ...]`."""
    server, each = sum(choices.server) + len(SLATE_SIZES), clients * sum(choices.clients)
    return inputs[:, :server], inputs[:, server : server + each], inputs[:, server + each :]


def _everybody(values: th.Tensor, rows: int, clients: int) -> ClientSet:
    """All clients of so many observations, with no features; on the device of the values."""
    place = th.arange(rows * clients, device=values.device)
    return ClientSet(
        features=values.new_zeros((rows * clients, 0)),
        row=th.div(place, clients, rounding_mode="floor"),
        place=place,
        count=place.new_full((rows,), clients),
        shape=(rows, clients),
        context=values.new_zeros((rows, 0)),
    )
