"""Networks over sets of clients: shared weights per client, pooled context.

Deep Sets (Zaheer et al. 2017): every client passes the same small network, what all of them say is pooled
into a context, and a second shared network looks at one client together with the context. Permuting the
clients permutes the outputs, and no weight knows how many clients there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch as th
from torch import nn

from .client_set import CONTEXT_COUNTS, ClientSet, Observation, available_clients, tanh

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


class SetEncoder(nn.Module):
    """Embeddings of the available clients `[M, hidden]` and a context `[B, context_dim]`.

    Args:
        shape: sizes of the observation.
        hidden: width of the client embedding.
        pooling: `mean-max` over the available clients, or `attention`, a few learned queries over them. Both
            add the mean features of all clients, since who is away now matters for whether to wait.
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
        self.context_dim = pooled + shape.client + CONTEXT_COUNTS + 2 * zone_hidden + shape.server

    def forward(
        self, observation: Observation, clients: ClientSet | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        """Embeddings and context of a batch of observations; `clients` if they are packed already."""
        server = observation["server"]
        clients = available_clients(observation) if clients is None else clients
        hidden = tanh(self.client_in(clients.features) + clients.spread(self.server_in(server)))
        hidden = tanh(self.client_out(hidden))
        zones = tanh(self.zone_in(observation["zones"]))
        context = [self._pool(hidden, clients), clients.context, zones.mean(dim=1), zones.amax(dim=1), server]
        return hidden, th.cat(context, dim=1)

    def _pool(self, hidden: th.Tensor, clients: ClientSet) -> th.Tensor:
        if self.query is None:
            return th.cat([clients.mean(hidden), clients.largest(hidden)], dim=1)
        scores = self.query(hidden)
        top = clients.largest(scores.detach(), nobody=-1e8)
        shares = (scores - clients.spread(top)).exp()
        shares = shares / clients.spread(clients.total(shares))
        return clients.total((shares[:, :, None] * hidden[:, None, :]).flatten(1))


class SetActor(nn.Module):
    """Logits of the server's heads `[B, server_choices]` and of the available clients' `[M, client_choices]`.

    Args:
        shape: sizes of the observation.
        server_choices: levels of the server's heads: waits, quorums and, where it is a decision, its step.
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

    def forward(self, observation: Observation, clients: ClientSet) -> tuple[th.Tensor, th.Tensor]:
        """Server logits and client logits of a batch of observations and their packed clients."""
        hidden, context = self.encoder(observation, clients)
        context = tanh(self.from_context(context))
        each = tanh(self.client_head(hidden) + clients.spread(self.context_to_client(context)))
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

    def forward(self, observation: Observation, clients: ClientSet | None = None) -> th.Tensor:
        """Values of a batch of observations; `clients` if they are packed already."""
        _, context = self.encoder(observation, clients)
        values: th.Tensor = self.value(tanh(self.from_context(context)))
        return values


def orthogonal(module: nn.Module, small: tuple[nn.Linear, ...] = ()) -> None:
    """Orthogonal weights and zero biases as in Stable-Baselines3; layers in `small` start near zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=0.01 if layer in small else 2**0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def fresh_networks(
    shape: SetShape,
    server_choices: int,
    client_choices: int,
    hidden: int,
    pooling: str,
    wait_logits: Sequence[float],
    level_logits: Sequence[float],
) -> tuple[SetActor, SetCritic]:
    """Actor and critic before training: the actor waits and invites as these logits say, whatever it sees."""
    actor = SetActor(shape, server_choices, client_choices, hidden, pooling)
    critic = SetCritic(shape, hidden, pooling)
    orthogonal(actor, small=(actor.server_logits, actor.client_logits))
    orthogonal(critic)
    with th.no_grad():
        actor.server_logits.bias[: len(wait_logits)] = th.tensor(wait_logits)
        actor.client_logits.bias[: len(level_logits)] = th.tensor(level_logits)
    return actor, critic


def flat_logits(actor: nn.Module, observation: Observation, levels: int) -> th.Tensor:
    """Logits `[B, sum(nvec)]` in the order of the action; zeros for the clients that are away.

    Args:
        actor: a `SetActor`.
        observation: what it sees.
        levels: local-step levels of a client; what its head has beyond them are transfer levels.
    """
    packed = available_clients(observation)
    server, each = actor(observation, packed)
    clients = packed.unpack(each)
    parts = [server, clients[..., :levels].flatten(1)]
    if clients.shape[-1] > levels:
        parts.append(clients[..., levels:].flatten(1))
    return th.cat(parts, dim=1)
