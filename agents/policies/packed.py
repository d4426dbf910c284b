"""Action distribution of the set policy over packed clients.

The same numbers as `BatchedMultiCategorical` over dense, masked logits, without computing anything for
clients that are away: their only choice is not to be invited, with probability one and entropy zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch as th
from gymnasium import spaces

from .client_set import ClientSet
from .distribution import MASKED_LOGIT

_MOST_FURTHER = 3
"""Heads of the server beyond wait and quorum: its step, the bits of updates, who is sent the new model."""


@dataclass(frozen=True)
class Choices:
    """How many choices each kind of head has.

    Attributes:
        waits: W.
        quorums: Q.
        further: of the server's other heads in their order: factors on the server's step, bits of updates,
            refreshes, thresholds of asking; empty where they are no decisions.
        levels: L, local-step levels of a client.
        transfers: T, transfer levels of a client; 0 where no data is moved.
    """

    waits: int
    quorums: int
    further: tuple[int, ...]
    levels: int
    transfers: int

    @classmethod
    def of(cls, nvec: Sequence[int], num_clients: int) -> Choices:
        """The sizes of a `MultiDiscrete` action of N clients.

        Raises:
            ValueError: it is not `[W, Q] (+ [S]) (+ [B]) (+ [R]) + [L] * N (+ [T] * N)`.
        """
        sizes, n = [int(choices) for choices in nvec], num_clients
        first = 2 + (len(sizes) - 2) % n if n > 1 else 2
        levels, transfers = sizes[first : first + n], sizes[first + n :]
        whole = first <= 2 + _MOST_FURTHER and len(levels) == n and len(transfers) in (0, n)
        if not whole or any(len(set(part)) > 1 for part in (levels, transfers)):
            expected = f"[W, Q] (+ [S]) (+ [B]) (+ [R]) + [L] * {n} (+ [T] * {n})"
            raise ValueError(f"action_space: nvec {sizes}, expected {expected}")
        return cls(sizes[0], sizes[1], tuple(sizes[2:first]), levels[0], sum(transfers[:1]))

    @property
    def server(self) -> tuple[int, ...]:
        """Sizes of the server's heads, which stand before the clients'."""
        return (self.waits, self.quorums, *self.further)

    @property
    def clients(self) -> tuple[int, ...]:
        """Sizes of a client's heads."""
        return (self.levels, *([self.transfers] if self.transfers else []))


class PackedHeads:
    """Heads of the server and of the available clients, and how they stand in an action.

    What is common to coins for every client (`PackedActions`) and slates (`slate.SlateActions`).

    Args:
        choices: sizes of the action's heads.
        server: logits `[B, W + Q + S + B]`, and after them those that a kind of its own has.
        each: logits `[M, L + T]`.
        clients: whose they are.
        storage: bool `[M]`, whether data can be sent to a client; None: to everyone.
    """

    def __init__(
        self,
        choices: Choices,
        server: th.Tensor,
        each: th.Tensor,
        clients: ClientSet,
        storage: th.Tensor | None = None,
    ):
        self._choices, self._clients = choices, clients
        heads = sum(choices.server)
        self._server = _server_heads(choices, server[:, :heads], clients)
        self._transfer = _transfer_head(each[:, choices.levels :], storage)
        self._set(server[:, heads:], each[:, : choices.levels])

    def _set(self, further: th.Tensor, each: th.Tensor) -> None:
        """Take a kind's own logits: further ones of the server, and `[M, L]` of the clients."""
        raise NotImplementedError

    def _read(self, chosen: th.Tensor) -> tuple[list[th.Tensor], th.Tensor, th.Tensor | None]:
        """What actions int64 `[B, D]` chose.

        Returns:
            log-probabilities `[B]` of the server's heads, the wait's first; the clients' step levels `[M]`;
            the log-probabilities `[M]` of their transfer levels, None where no data is moved.
        """
        (b, n), first = self._clients.shape, len(self._server)
        server = [head.gather(1, chosen[:, at : at + 1])[:, 0] for at, head in enumerate(self._server)]
        level = chosen[:, first : first + n].reshape(b * n).index_select(0, self._clients.place)
        if self._transfer is None:
            return server, level, None
        moved = chosen[:, first + n :].reshape(b * n).index_select(0, self._clients.place)
        return server, level, self._transfer.gather(1, moved[:, None])[:, 0]

    def _dense(self, choice: th.Tensor) -> th.Tensor:
        """`[B, N]` from the clients' choices `[M]`, 0 for those that are away."""
        return self._clients.unpack(choice[:, None]).squeeze(2)


class PackedActions(PackedHeads):
    """Independent categorical heads of the server and of the available clients; see `PackedHeads`."""

    def _set(self, further: th.Tensor, each: th.Tensor) -> None:
        self._steps = each.log_softmax(dim=1)

    @property
    def log_probs(self) -> tuple[list[th.Tensor], th.Tensor, th.Tensor | None]:
        """Of the server's heads `[B, choices]`, clients' steps `[M, L]`, transfers `[M, T]` or None."""
        return self._server, self._steps, self._transfer

    def log_prob(self, actions: th.Tensor, effective_only: bool = True) -> th.Tensor:
        """Log-probability `[B]` of actions `[B, D]`; only of the heads that had an effect if so asked."""
        chosen = actions.long()
        (wait, *others), level, sent = self._read(chosen)
        each = self._steps.gather(1, level[:, None])[:, 0]
        if sent is not None:
            each = each + (sent * (level > 0) if effective_only else sent)
        rest = sum(others[1:], others[0]) + self._clients.total(each)
        total: th.Tensor = wait + (rest * (chosen[:, 0] == 0) if effective_only else rest)
        return total

    def entropy(self) -> th.Tensor:
        """Entropy `[B]`, summed over heads; forbidden choices contribute nothing."""
        each = entropy_of(self._steps)
        if self._transfer is not None:
            each = each + entropy_of(self._transfer)
        wait, *others = (entropy_of(head) for head in self._server)
        return sum(others, wait) + self._clients.total(each)

    def sample(self) -> th.Tensor:
        """Random actions int64 `[B, D]`."""
        parts = [*(draw(head)[:, None] for head in self._server), self._dense(draw(self._steps))]
        if self._transfer is not None:
            parts.append(self._dense(draw(self._transfer)))
        return th.cat(parts, dim=1)


def _server_heads(choices: Choices, server: th.Tensor, clients: ClientSet) -> list[th.Tensor]:
    """Log-probabilities `[B, choices]` of the server's heads; it does not train now where nobody is there."""
    wait, *others = server.split(list(choices.server), dim=1)
    if choices.waits > 1:
        train_now = wait[:, :1].masked_fill((clients.count == 0)[:, None], MASKED_LOGIT)
        wait = th.cat([train_now, wait[:, 1:]], dim=1)
    return [head.log_softmax(dim=1) for head in (wait, *others)]


def _transfer_head(logits: th.Tensor, storage: th.Tensor | None) -> th.Tensor | None:
    """Log-probabilities `[M, T]` of what is sent, nothing to full ones; None where no data is moved."""
    if logits.shape[1] == 0:
        return None
    if storage is not None:
        sent = logits[:, 1:].masked_fill(~storage[:, None], MASKED_LOGIT)
        logits = th.cat([logits[:, :1], sent], dim=1)
    return logits.log_softmax(dim=1)


def entropy_of(log_probs: th.Tensor) -> th.Tensor:
    """Entropy of every row of log-probabilities."""
    # exp(MASKED_LOGIT) is exactly 0, and 0 times a finite number stays 0.
    return -(log_probs.exp() * log_probs).sum(dim=1)


def draw(log_probs: th.Tensor) -> th.Tensor:
    """One choice per row, by racing exponentials (the way `torch.multinomial` does it)."""
    race = th.empty_like(log_probs).exponential_().clamp_min_(1e-30)
    return (log_probs - race.log_()).argmax(dim=1)


def level_mask(allowed: th.Tensor, levels: int) -> th.Tensor:
    """Bool `[B, N * L]`: every level where a client is allowed, only the first one elsewhere."""
    mask = allowed[..., None].repeat(1, 1, levels)
    mask[..., 0] = True
    return mask.flatten(1)


def check_set_spaces(observation_space: spaces.Space[object], action_space: spaces.Space[object]) -> None:
    """Refuse spaces that a set policy cannot read or act in; ValueError."""
    if not isinstance(observation_space, spaces.Dict) or not {"clients", "server", "zones"} <= set(
        observation_space.spaces
    ):
        raise ValueError(
            f"observation_space: {observation_space}, expected a Dict of clients, server and zones"
        )
    if not isinstance(action_space, spaces.MultiDiscrete):
        raise ValueError(
            f"action_space: {type(action_space).__name__}, expected MultiDiscrete [W, Q] + [L] * N"
        )
