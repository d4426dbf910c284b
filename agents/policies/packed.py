"""Action distribution of the set policy over packed clients.

The same numbers as `BatchedMultiCategorical` over dense, masked logits, without computing anything for
clients that are away: their only choice is not to be invited, with probability one and entropy zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch as th

from .client_set import ClientSet
from .distribution import MASKED_LOGIT


@dataclass(frozen=True)
class Choices:
    """How many choices each kind of head has.

    Attributes:
        waits: W.
        quorums: Q.
        levels: L, local-step levels of a client.
        transfers: T, transfer levels of a client; 0 where no data is moved.
    """

    waits: int
    quorums: int
    levels: int
    transfers: int


class PackedActions:
    """Independent categorical heads of the server and of the available clients.

    Args:
        choices: sizes of the heads.
        server: logits `[B, W + Q]`.
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
        self._clients, self._moves_data = clients, choices.transfers > 0
        wait, self._quorum = server.split([choices.waits, choices.quorums], dim=1)
        if choices.waits > 1:
            train_now = wait[:, :1].masked_fill((clients.count == 0)[:, None], MASKED_LOGIT)
            wait = th.cat([train_now, wait[:, 1:]], dim=1)
        self._wait = wait.log_softmax(dim=1)
        self._quorum = self._quorum.log_softmax(dim=1)
        self._steps = each[:, : choices.levels].log_softmax(dim=1)
        if self._moves_data:
            transfer = each[:, choices.levels :]
            if storage is not None:
                sent = transfer[:, 1:].masked_fill(~storage[:, None], MASKED_LOGIT)
                transfer = th.cat([transfer[:, :1], sent], dim=1)
            self._transfer = transfer.log_softmax(dim=1)

    @property
    def log_probs(self) -> tuple[th.Tensor, th.Tensor, th.Tensor, th.Tensor | None]:
        """Of waits `[B, W]`, quorums `[B, Q]`, clients' steps `[M, L]`, transfers `[M, T]` or None."""
        return self._wait, self._quorum, self._steps, self._transfer if self._moves_data else None

    def log_prob(self, actions: th.Tensor, effective_only: bool = True) -> th.Tensor:
        """Log-probability `[B]` of actions `[B, D]`; only of the heads that had an effect if so asked."""
        chosen = actions.long()
        b, n = self._clients.shape
        wait = self._wait.gather(1, chosen[:, :1])[:, 0]
        quorum = self._quorum.gather(1, chosen[:, 1:2])[:, 0]
        level = chosen[:, 2 : 2 + n].reshape(b * n).index_select(0, self._clients.place)
        each = self._steps.gather(1, level[:, None])[:, 0]
        if self._moves_data:
            moved = chosen[:, 2 + n :].reshape(b * n).index_select(0, self._clients.place)
            sent = self._transfer.gather(1, moved[:, None])[:, 0]
            each = each + (sent * (level > 0) if effective_only else sent)
        rest = quorum + self._clients.total(each)
        total: th.Tensor = wait + (rest * (chosen[:, 0] == 0) if effective_only else rest)
        return total

    def entropy(self) -> th.Tensor:
        """Entropy `[B]`, summed over heads; forbidden choices contribute nothing."""
        each = _entropy(self._steps)
        if self._moves_data:
            each = each + _entropy(self._transfer)
        return _entropy(self._wait) + _entropy(self._quorum) + self._clients.total(each)

    def sample(self) -> th.Tensor:
        """Random actions int64 `[B, D]`."""
        parts = [_draw(self._wait)[:, None], _draw(self._quorum)[:, None], self._dense(_draw(self._steps))]
        if self._moves_data:
            parts.append(self._dense(_draw(self._transfer)))
        return th.cat(parts, dim=1)

    def _dense(self, choice: th.Tensor) -> th.Tensor:
        return self._clients.unpack(choice[:, None]).squeeze(2)


def _entropy(log_probs: th.Tensor) -> th.Tensor:
    # exp(MASKED_LOGIT) is exactly 0, and 0 times a finite number stays 0.
    return -(log_probs.exp() * log_probs).sum(dim=1)


def _draw(log_probs: th.Tensor) -> th.Tensor:
    """One choice per row, by racing exponentials (the way `torch.multinomial` does it)."""
    race = th.empty_like(log_probs).exponential_().clamp_min_(1e-30)
    return (log_probs - race.log_()).argmax(dim=1)
