"""A slate of clients: how many, and who by a draw without replacement.

N independent coins cannot say "one of these": where two clients are equally good, they invite both or none in
half of all rounds. A slate says how many, draws that many clients one after the other with chances in
proportion to `exp(score)` among those left (Plackett 1975; Luce 1959), and gives each its steps and data.

The environment sees who was drawn, not in which order. The probability of a *set* S is the sum over the
orders of |S|! Plackett-Luce products, and one integral: with independent arrival times of rates
`w_i = exp(score_i)`, S is drawn if all of S arrive before the first of the others, whose rate is
`W = sum of w_j outside S`, so that

    P(S) = integral over v > 0 of exp(-v) prod over i in S of (1 - exp(-v w_i / W)) dv

(`v / W` is the time of the first of the others). Its logarithm is computed on a fixed grid of log v, where
the trapezoidal rule converges exponentially. No order is stored, and the gradient has none of its noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch as th

from .client_set import ClientSet
from .distribution import MASKED_LOGIT
from .packed import Choices, PackedHeads, entropy_of

SLATE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
"""How many clients a slate may hold; one larger than all available ones holds everybody."""
_LOG_V = (-12.0, 4.5, 111)
"""First, last and number of the grid's points of log v."""
_ODDS = (-60.0, 16.0)
"""Least and largest logarithm of `w_i / W`: beyond them a client is as good as impossible, or certain."""
_DRAWN_AT_ONCE = 2_000_000
"""Scores that are drawn together when chances are counted: some tens of megabytes."""


@dataclass(frozen=True)
class SlateNoise:
    """Standard Gumbel numbers for one draw.

    Attributes:
        server: `[B, logits of the server's heads]`.
        clients: `[M, 1 + logits of a client's heads]`; the first is who is drawn.
    """

    server: th.Tensor
    clients: th.Tensor


class SlateActions(PackedHeads):
    """Distribution of actions: a wait, a quorum, a slate, and each member's steps and data.

    As `PackedHeads`; the server has K more logits, of the slate's size (`SLATE_SIZES`), and the first of a
    client's level logits is its score.
    """

    def _set(self, further: th.Tensor, each: th.Tensor) -> None:
        possible = sizes_possible(self._clients.count)
        self._size = further.masked_fill(~possible, MASKED_LOGIT).log_softmax(dim=1)
        self._score, self._steps = each[:, 0], each[:, 1:].log_softmax(dim=1)

    def log_prob(self, actions: th.Tensor, effective_only: bool = True) -> th.Tensor:
        """Log-probability `[B]` of actions `[B, D]`; with everything, or of what had an effect.

        A slate has no effect while the run waits, and has no other parts than its members'.
        """
        chosen = actions.long()
        (wait, *others), level, sent = self._read(chosen)
        member = level > 0
        each = self._steps.gather(1, (level - 1).clamp_min(0)[:, None])[:, 0]
        if sent is not None:
            each = each + sent
        count = self._clients.total(member.long())
        size = self._size.gather(1, size_index(count)[:, None])[:, 0]
        slate = size + set_log_prob(self._score, member, self._clients)
        rest = sum(others, slate + self._clients.total(each * member))
        total: th.Tensor = wait + (rest * (chosen[:, 0] == 0) if effective_only else rest)
        return total

    def entropy(self) -> th.Tensor:
        """Bonus `[B]` for being undecided, see below.

        The entropy of a set has no closed form. What stands here is that of the wait, and times the chance to
        train that of all other server heads, of the size, of the first draw, and the expected one of the
        first member's steps and data.
        """
        wait, *others = (entropy_of(head) for head in self._server)
        log_first = self._log_first()
        each = entropy_of(self._steps) - log_first
        if self._transfer is not None:
            each = each + entropy_of(self._transfer)
        slate = entropy_of(self._size) + self._clients.total(log_first.exp() * each)
        trains = self._server[0][:, 0].exp()
        found: th.Tensor = wait + trains * sum(others, slate)
        return found

    def sample(self, noise: SlateNoise | None = None) -> th.Tensor:
        """Random actions int64 `[B, D]`; the noise, if it is to be the caller's."""
        if noise is None:
            noise = SlateNoise(_gumbel(self._server_logits()), _gumbel(self._client_logits()))
        server = self._server_logits() + noise.server
        parts = server.split([head.shape[1] for head in (*self._server, self._size)], dim=1)
        *heads, size = (part.argmax(dim=1) for part in parts)
        client = self._client_logits() + noise.clients
        return self._actions(heads, size, client[:, 0], client[:, 1:])

    def mode(self) -> th.Tensor:
        """The actions int64 `[B, D]` of everything likeliest, the best scores first."""
        heads = [head.argmax(dim=1) for head in self._server]
        client = self._client_logits()
        return self._actions(heads, self._size.argmax(dim=1), client[:, 0], client[:, 1:])

    def noise_of(self, generators: Sequence[np.random.Generator]) -> SlateNoise:
        """Numbers for one draw of B rows, each from its own generator, whoever is available."""
        (b, n), client = self._clients.shape, self._client_logits()
        server = self._server_logits().shape[1]
        drawn = np.stack([each.gumbel(size=server + n * client.shape[1]) for each in generators])
        rows = th.as_tensor(drawn, dtype=client.dtype, device=client.device)
        flat = rows[:, server:].reshape(b * n, -1)
        return SlateNoise(rows[:, :server], flat.index_select(0, self._clients.place))

    @property
    def shape(self) -> tuple[int, int]:
        """B and N."""
        return self._clients.shape

    @property
    def waits(self) -> th.Tensor:
        """Log-probabilities `[B, W]` of the wait levels."""
        first: th.Tensor = self._server[0]
        return first

    def level_chances(self, draws: int = 512) -> th.Tensor:
        """Chances `[B, N, L]` of the clients' step levels if it trains now, level 0 for those not invited.

        Who comes how early is counted over so many draws, of a generator of its own.
        """
        invited = self._inclusion(draws)
        steps = self._clients.unpack(self._steps.exp()) * invited[..., None]
        return th.cat([1.0 - invited[..., None], steps], dim=2)

    def _inclusion(self, draws: int) -> th.Tensor:
        """Chances `[B, N]` to be in the slate: for each place in an order, that the slate reaches it."""
        generator = th.Generator(self._score.device).manual_seed(0)
        (b, n), sizes = self.shape, th.tensor(SLATE_SIZES, device=self._size.device)
        places = th.arange(min(n, SLATE_SIZES[-1]), device=sizes.device)
        reached = self._size.exp() @ (sizes[:, None] > places).to(self._size.dtype)
        away = self._dense(th.ones_like(self._score)) == 0
        score = self._dense(self._score).masked_fill(away, -th.inf)
        found, at_once = th.zeros_like(score), max(1, _DRAWN_AT_ONCE // (b * n))
        for first in range(0, draws, at_once):
            drawn = score.expand(min(at_once, draws - first), b, n)
            order = (drawn + _gumbel(drawn, generator)).topk(len(places), dim=2).indices
            found += th.zeros_like(drawn).scatter(2, order, reached.expand(order.shape)).sum(dim=0)
        return (found / draws).masked_fill(away, 0.0)

    def _log_first(self) -> th.Tensor:
        """Log-chance `[M]` to be drawn first."""
        return self._score - self._clients.spread(log_total(self._score, self._clients))

    def _server_logits(self) -> th.Tensor:
        return th.cat([*self._server, self._size], dim=1)

    def _client_logits(self) -> th.Tensor:
        parts = [self._score[:, None], self._steps]
        return th.cat(parts if self._transfer is None else [*parts, self._transfer], dim=1)

    def _members(self, size: th.Tensor, score: th.Tensor) -> th.Tensor:
        """Bool `[M]`: the clients with the best scores, as many as the size with index `size` `[B]` holds."""
        wanted = th.tensor(SLATE_SIZES, device=size.device)[size]
        return rank_of(score, self._clients) < self._clients.spread(wanted)

    def _actions(
        self, heads: Sequence[th.Tensor], size: th.Tensor, score: th.Tensor, rest: th.Tensor
    ) -> th.Tensor:
        """The action `[B, D]` of the chosen heads, with the best `size` scores as the slate."""
        member, levels = self._members(size, score), self._choices.levels
        steps = th.where(member, 1 + rest[:, : levels - 1].argmax(dim=1), 0)
        columns = [*(head[:, None] for head in heads), self._dense(steps)]
        if self._transfer is not None:
            columns.append(self._dense(th.where(member, rest[:, levels - 1 :].argmax(dim=1), 0)))
        return th.cat(columns, dim=1)


def prefer_small_slates(server_logits: th.nn.Linear) -> None:
    """Before training up to four clients are equally likely, more of them ever less."""
    sizes = len(SLATE_SIZES)
    with th.no_grad():
        server_logits.bias[-sizes:] = -(th.arange(sizes) - 3.0).clamp_min(0.0)


def masked_slate(
    choices: Choices, server: th.Tensor, each: th.Tensor, clients: ClientSet, masks: th.Tensor
) -> tuple[th.Tensor, th.Tensor, ClientSet]:
    """Logits and clients without what the masks bool `[B, sum(nvec)]` of a `MultiDiscrete` action forbid.

    A client that may not be given a single step is not drawn.
    """
    (b, n), heads = clients.shape, sum(choices.server)
    masks = masks.reshape(b, -1)
    steps = masks[:, heads : heads + n * choices.levels].reshape(b * n, -1)[clients.place][:, 1:]
    allowed = [th.ones_like(steps[:, :1]), steps]
    if choices.transfers:
        allowed.append(masks[:, heads + n * choices.levels :].reshape(b * n, -1)[clients.place])
    each = each.masked_fill(~th.cat(allowed, dim=1), MASKED_LOGIT)
    some = th.ones_like(server[:, heads:], dtype=th.bool)
    server = server.masked_fill(~th.cat([masks[:, :heads], some], dim=1), MASKED_LOGIT)
    kept = steps.any(dim=1).nonzero().squeeze(1)
    return server, each.index_select(0, kept), clients.only(kept)


def sizes_possible(count: th.Tensor) -> th.Tensor:
    """Bool `[B, K]`: sizes with so many clients available; the first that is enough means everybody."""
    before = th.tensor((0, *SLATE_SIZES[:-1]), device=count.device)
    return before[None, :] < count.clamp_min(1)[:, None]


def size_index(count: th.Tensor) -> th.Tensor:
    """Index int64 `[B]` of the size that holds so many clients."""
    sizes = th.tensor(SLATE_SIZES, device=count.device)
    return th.searchsorted(sizes, count.contiguous()).clamp_max(len(SLATE_SIZES) - 1)


def rank_of(score: th.Tensor, clients: ClientSet) -> th.Tensor:
    """Rank int64 `[M]` of each client among those of its observation, 0 for the largest score."""
    order = score.argsort(descending=True, stable=True)
    order = order[clients.row[order].argsort(stable=True)]
    start = clients.count.cumsum(0) - clients.count
    place = th.arange(len(score), device=score.device) - start[clients.row]
    return th.empty_like(place).scatter_(0, order, place)


def log_total(score: th.Tensor, clients: ClientSet, among: th.Tensor | None = None) -> th.Tensor:
    """`log sum exp(score)` `[B]` over the clients of each observation, or over those `among` them."""
    masked = score if among is None else score.masked_fill(~among, MASKED_LOGIT)
    top = clients.largest(masked.detach(), nobody=MASKED_LOGIT)
    shifted = (masked - clients.spread(top)).exp()
    if among is not None:
        shifted = shifted * among
    total = clients.total(shifted)
    return top + total.clamp_min(1e-30).log()


def set_log_prob(score: th.Tensor, member: th.Tensor, clients: ClientSet) -> th.Tensor:
    """Log-probability `[B]` that the first draws, as many as there are members, are the members.

    Args:
        score: `[M]`.
        member: bool `[M]`.
        clients: whose they are.

    Returns:
        0 where nobody is a member or everybody is.
    """
    inside = member.nonzero().squeeze(1)
    others = log_total(score, clients, ~member)
    odds = (score - clients.spread(others)).index_select(0, inside).clamp(*_ODDS)
    low, high, points = _LOG_V
    x = th.linspace(low, high, points, dtype=score.dtype, device=score.device)
    # log(1 - exp(-z)) with z = exp(odds + x); below it is log z, without loss.
    z = (odds[:, None] + x[None, :]).exp()
    arrived = th.log(-th.expm1(-z).clamp(max=-1e-37))
    log_terms = score.new_zeros((clients.shape[0], points))
    log_terms = log_terms.index_add(0, clients.row.index_select(0, inside), arrived)
    log_terms = log_terms + (x - x.exp())[None, :]
    found = log_terms.logsumexp(dim=1) + math.log((high - low) / (points - 1))
    count = clients.total(member.long())
    open_question = (count > 0) & (count < clients.count)
    return th.where(open_question, found, th.zeros_like(found))


def _gumbel(like: th.Tensor, generator: th.Generator | None = None) -> th.Tensor:
    race = th.empty_like(like).exponential_(generator=generator).clamp_min_(1e-30)
    return -race.log_()
