"""Networks that treat the clients as a set: shared weights per client, pooled context.

Deep Sets (Zaheer et al. 2017): every client passes the same small network, what all of them say is pooled
into a context, and a second shared network looks at one client together with the context. Permuting the
clients permutes the outputs, and no weight knows how many clients there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch as th
from torch import nn

Observation = dict[str, th.Tensor]

AVAILABLE = 0
"""Index of the client feature that says whether the client could be invited now."""

POOLINGS = ("mean-max", "attention")
ATTENTION_HEADS = 4


@dataclass(frozen=True)
class SetShape:
    """The sizes of an observation that the weights depend on; neither N nor Z is among them.

    Attributes:
        client: F, features of a client.
        server: G, features of the server.
        zone: H, features of a zone.
    """

    client: int
    server: int
    zone: int


def is_available(observation: Observation) -> th.Tensor:
    """Bool `[B, N]` from the observation's first client feature."""
    return observation["clients"][..., AVAILABLE] > 0.5


class SetEncoder(nn.Module):
    """Client embeddings `[B, N, hidden]` and a context `[B, context_dim]`.

    Args:
        shape: sizes of the observation.
        hidden: width of the client embedding.
        pooling: `mean-max` over the available clients, or `attention`, a few learned queries over them. Both
            add the mean over all clients, since who is away now matters for whether to wait.
    """

    def __init__(self, shape: SetShape, hidden: int, pooling: str = "mean-max"):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: {pooling!r}, expected one of {', '.join(POOLINGS)}")
        zone_hidden = max(hidden // 4, 4)
        self.client_in = nn.Linear(shape.client, hidden)
        self.server_in = nn.Linear(shape.server, hidden, bias=False)
        self.client_out = nn.Linear(hidden, hidden)
        self.zone_in = nn.Linear(shape.zone, zone_hidden)
        self.query = nn.Linear(hidden, ATTENTION_HEADS) if pooling == "attention" else None
        pooled = (ATTENTION_HEADS if pooling == "attention" else 2) * hidden
        self.context_dim = pooled + hidden + 2 * zone_hidden + shape.server + 2

    def forward(self, observation: Observation) -> tuple[th.Tensor, th.Tensor]:
        """Embeddings and context of a batch of observations."""
        clients, server = observation["clients"], observation["server"]
        there = is_available(observation)
        hidden = th.tanh(self.client_in(clients) + self.server_in(server)[:, None])
        hidden = th.tanh(self.client_out(hidden))
        zones = th.tanh(self.zone_in(observation["zones"]))
        context = [
            self._pool(hidden, there),
            hidden.mean(dim=1),
            zones.mean(dim=1),
            zones.amax(dim=1),
            server,
            _how_many(there),
        ]
        return hidden, th.cat(context, dim=1)

    def _pool(self, hidden: th.Tensor, there: th.Tensor) -> th.Tensor:
        inside = there[..., None]
        if self.query is not None:
            scores = self.query(hidden).masked_fill(~inside, -1e8)
            # Where nobody is there the softmax is uniform; multiplying by the mask makes the pool zero.
            weights = scores.softmax(dim=1) * inside
            return th.einsum("bnk,bnh->bkh", weights, hidden).flatten(1)
        count = there.sum(dim=1, keepdim=True).clamp_min(1)
        mean = (hidden * inside).sum(dim=1) / count
        largest = hidden.masked_fill(~inside, -1.0).amax(dim=1)
        return th.cat([mean, largest], dim=1)


def _how_many(there: th.Tensor) -> th.Tensor:
    """`[B, 2]`: the share of clients that are there, and the logarithm of their number."""
    count = there.sum(dim=1, keepdim=True).float()
    return th.cat([count / there.shape[1], th.log1p(count) / 8.0], dim=1)


class SetActor(nn.Module):
    """Logits of the server's heads `[B, server_choices]` and of every client's `[B, N, client_choices]`.

    Args:
        shape: sizes of the observation.
        server_choices: wait levels plus quorum levels.
        client_choices: local-step levels plus transfer levels.
        hidden: width of every layer.
        pooling: see `SetEncoder`.
    """

    def __init__(
        self,
        shape: SetShape,
        server_choices: int,
        client_choices: int,
        hidden: int,
        pooling: str = "mean-max",
    ):
        super().__init__()
        self.encoder = SetEncoder(shape, hidden, pooling)
        self.from_context = nn.Linear(self.encoder.context_dim, hidden)
        self.client_head = nn.Linear(hidden, hidden)
        self.context_to_client = nn.Linear(hidden, hidden, bias=False)
        self.server_logits = nn.Linear(hidden, server_choices)
        self.client_logits = nn.Linear(hidden, client_choices)

    def forward(self, observation: Observation) -> tuple[th.Tensor, th.Tensor]:
        """Server logits and client logits of a batch of observations."""
        hidden, context = self.encoder(observation)
        context = th.tanh(self.from_context(context))
        each = th.tanh(self.client_head(hidden) + self.context_to_client(context)[:, None])
        return self.server_logits(context), self.client_logits(each)


class SetCritic(nn.Module):
    """Value `[B, 1]` of a batch of observations.

    The critic keeps its own, narrower encoder: returns are tens of accuracy points, and gradients of that
    size in a shared trunk drown the actor's.
    """

    def __init__(self, shape: SetShape, hidden: int, pooling: str = "mean-max"):
        super().__init__()
        self.encoder = SetEncoder(shape, max(hidden // 2, 8), pooling)
        self.from_context = nn.Linear(self.encoder.context_dim, hidden)
        self.value = nn.Linear(hidden, 1)

    def forward(self, observation: Observation) -> th.Tensor:
        """Values of a batch of observations."""
        _, context = self.encoder(observation)
        return self.value(th.tanh(self.from_context(context)))


def orthogonal(module: nn.Module, small: tuple[nn.Linear, ...] = ()) -> None:
    """Orthogonal weights and zero biases as in Stable-Baselines3; layers in `small` start near zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=0.01 if layer in small else 2**0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
