"""Weights of clients whose data are streams: all samples ever, old or fresh memories, the best trade-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import State, knob, top_m
from .schedules import Periodic

_BISECTIONS = 60


def best_weights(samples: Floats, noise: Floats, among: Bools) -> Floats:
    """The weights that minimise `sqrt(sum p_k^2 / n_k) + sum p_k c_k` on the simplex, `[E, N]`.

    The first term bounds how far n_k samples are from their distribution, the second what the noise of
    gradients from small memories does. Where p_k > 0 the derivative p_k / (n_k q) + c_k, q the root, is one
    number mu for all: p_k is proportional to n_k (mu - c_k)+, and mu solves sum n_k (mu - c_k)+^2 = 1.

    Args:
        samples: `[E, N]`, n_k, positive.
        noise: `[E, N]`, c_k.
        among: bool `[E, N]`, whose weights count; the others have none.
    """
    n = np.where(among, samples, 0.0)
    c = np.where(among, noise, np.inf)
    least = c.min(axis=1, keepdims=True)
    c = np.where(among, c, np.where(np.isfinite(least), least, 0.0))
    low = np.where(np.isfinite(least), least, 0.0)
    largest = np.maximum(n.max(axis=1, keepdims=True), 1e-300)
    # With the least c alone mu is at most this far above it.
    high = low + 1.0 / np.sqrt(np.where(among & (c <= low), n, 0.0).max(axis=1, keepdims=True).clip(1e-300))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = (n * np.maximum(middle - c, 0.0) ** 2).sum(axis=1, keepdims=True) >= 1.0
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    p = n / largest * np.maximum(high - c, 0.0)
    return np.asarray(p / np.maximum(p.sum(axis=1, keepdims=True), 1e-300))


@dataclass(kw_only=True)
class _Weighted(Periodic):
    """Clients in proportion to weights p_k of their data, in periodic rounds."""

    period_h: float = knob(
        1.0, "hours from round to round; off: one after the other", low=0.25, high=48.0, log=True, off=0.0
    )

    def shares(self, situation: Situation, allowed: Bools) -> Floats:
        """P `[E, N]` among the allowed, not negative; their scale plays no part."""
        raise NotImplementedError

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `share` `[E, N]`, p of this decision."""
        return super().fresh_state(num_envs, num_clients) | {"share": np.zeros((num_envs, num_clients))}

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Random m of those with a weight."""
        share = np.where(allowed, self.shares(situation, allowed), 0.0)
        self.state["share"] = share
        return super().choose(situation, allowed & (share > 0), wanted, steps)

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """P of those who train."""
        return np.where(chosen, self.state["share"], 0.0)


@dataclass(kw_only=True)
class MarfoqUniform(_Weighted):
    """Streams, uniform: every sample that a client has ever seen counts the same (Marfoq et al. 2023).

    Random m clients; p_k in proportion to the requests that a client has had so far, in memory or not.
    Paper: Marfoq, Neglia, Kameni & Vidal, "Federated Learning for Data Streams", AISTATS 2023 (arXiv
    2301.01542), the uniform weights. The paper trains all the time; a round an hour is `period_h`'s default.
    Needs: requests so far; in a world without streams, samples held.
    Aggregation: p_k.
    Defaults: a round an hour, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "marfoq-uniform"

    def shares(self, situation: Situation, allowed: Bools) -> Floats:
        """All samples ever."""
        return samples_ever(situation)


@dataclass(kw_only=True)
class MarfoqHistorical(_Weighted):
    """Streams, historical: only the clients with the oldest memories train (Marfoq et al. 2023).

    Random m of the `share` of those there whose memories are oldest on average, p_k by all samples ever.
    Paper: Marfoq, Neglia, Kameni & Vidal, "Federated Learning for Data Streams", AISTATS 2023 (arXiv
    2301.01542). There some clients hold static data sets and the others streams; here all have streams,
    and a memory that turns over slowly is what comes closest to a static one.
    Needs: ages of memories, requests so far; in a world without streams all are alike.
    Aggregation: p_k.
    Defaults: half of them, a round an hour, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "marfoq-historical"

    share: float = knob(0.5, "of the clients there", low=0.1, high=0.9)

    def shares(self, situation: Situation, allowed: Bools) -> Floats:
        """All samples ever of the oldest memories."""
        return _of_the_first(situation, allowed, self.share, memory_age_s(situation))


@dataclass(kw_only=True)
class MarfoqFresh(_Weighted):
    """Streams, fresh: only the clients with the newest memories train (Marfoq et al. 2023).

    Random m of the `share` of those there whose memories are youngest on average, p_k by all samples ever.
    Paper: as `marfoq-historical`, the other half.
    Needs: ages of memories, requests so far; in a world without streams all are alike.
    Aggregation: p_k.
    Defaults: half of them, a round an hour, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "marfoq-fresh"

    share: float = knob(0.5, "of the clients there", low=0.1, high=0.9)

    def shares(self, situation: Situation, allowed: Bools) -> Floats:
        """All samples ever of the youngest memories."""
        return _of_the_first(situation, allowed, self.share, -memory_age_s(situation))


@dataclass(kw_only=True)
class MarfoqOptimal(_Weighted):
    """Streams, optimal: weights between many samples and large memories (Marfoq et al. 2023).

    Random m clients; p minimises a sqrt(sum p_k^2 / n_k) + b sum p_k sigma_k^2 / C_k, with n_k the requests
    that a client has had so far, C_k the rows in its memory and sigma_k^2 its squared last update's length
    over the mean one; b / a is `noise`. See `best_weights`.
    Paper: Marfoq, Neglia, Kameni & Vidal, "Federated Learning for Data Streams", AISTATS 2023 (arXiv
    2301.01542), whose bound has a term of generalisation and one of optimisation. The constants before them
    are unknown to a coordinator and therefore a hyperparameter; the form is a reading of the bound, not taken
    from the authors' code, of which none is public.
    Needs: requests so far, rows in memory, lengths of updates; in a world without streams, samples held.
    Aggregation: p_k.
    Defaults: b / a = 1, a round an hour, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "marfoq-optimal"

    noise: float = knob(1.0, "b / a, weight of the gradients' noise", low=0.001, high=100.0, log=True)

    def shares(self, situation: Situation, allowed: Bools) -> Floats:
        """The optimum among the allowed."""
        norm = situation.clients.last_norm
        known = np.isfinite(norm)
        square = np.where(known, norm, 0.0) ** 2
        count = np.maximum(known.sum(axis=1, keepdims=True), 1)
        mean = square.sum(axis=1, keepdims=True) / count
        sigma = np.where(known & (mean > 0), square / np.where(mean > 0, mean, 1.0), 1.0)
        stream, held = situation.stream, situation.clients.samples_held
        rows = held if stream is None else stream.memory_rows
        noise = self.noise * sigma / np.maximum(rows, 1)
        return best_weights(np.maximum(samples_ever(situation), 1e-9), noise, allowed)


def samples_ever(situation: Situation) -> Floats:
    """`[E, N]`, requests so far; at least the rows held, which is all there is without streams."""
    held = np.maximum(situation.clients.samples_held, 1).astype(np.float64)
    return held if situation.stream is None else np.maximum(situation.stream.requests, held)


def memory_age_s(situation: Situation) -> Floats:
    """`[E, N]`, mean age of the rows in memory; 0 without streams."""
    if situation.stream is None:
        return np.zeros(situation.clients.available.shape)
    return situation.stream.memory_age_s


def _of_the_first(situation: Situation, allowed: Bools, share: float, order: Floats) -> Floats:
    """Samples ever of so large a share of the allowed, the largest of `order` first; equal ones all count."""
    count = np.maximum(np.ceil(share * allowed.sum(axis=1) - 1e-9), 1).astype(np.int64)
    first = top_m(order, count, allowed)
    bar = np.where(first, order, np.inf).min(axis=1, keepdims=True)
    return np.where(allowed & (order >= bar), samples_ever(situation), 0.0)
