"""Power of choice by the last reported loss (rpow-d): the largest losses among d random clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, knob, switch, top_m


@dataclass(kw_only=True)
class PowerOfChoice(Rule):
    """Power of choice by the last loss: of d clients drawn by alpha the m worst train (Cho et al. 2022).

    d available clients drawn in proportion to alpha; the m with the largest reported losses train.
    Paper: Cho, Wang & Joshi, "Towards Understanding Biased Client Selection in Federated Learning",
    AISTATS 2022, the variant rpow-d: the loss a client reported when it last took part, infinite if it never
    did, so that knowing it costs nothing. d = m is random sampling, d = N greedy by loss. (The paper's first
    round is uniform; here it is drawn by alpha like the others. pow-d and cpow-d pay for fresh losses.)
    Needs: last reported losses, alpha.
    Aggregation: plain mean over those who answer, 1/m each in the paper (`plain_mean`); off: the world's
    aggregator.
    Defaults: d = 2 m, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "power-of-choice"

    choice_ratio: float = knob(2.0, "d / m, clients drawn for each one wanted", low=1.0, high=10.0, log=True)
    plain_mean: bool = switch(True, "aggregate by the paper's plain mean instead of the world's aggregator")

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Draw d in proportion to alpha, then the m largest losses."""
        count = max(wanted, round(self.choice_ratio * wanted))
        drawn = draw_by_weight(situation.clients.target_weight, count, allowed, self.uniforms())
        losses = np.where(np.isnan(situation.clients.last_loss), np.inf, situation.clients.last_loss)
        return top_m(losses, wanted, drawn, self.uniforms())

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Equal ones: the plain mean over the updates that arrive."""
        return chosen.astype(np.float64) if self.plain_mean else None


def draw_by_weight(weight: Floats, count: int, allowed: Bools, uniforms: Floats) -> Bools:
    """`count` allowed clients, bool `[E, N]`, drawn one by one without replacement in proportion to `weight`.

    Gumbel keys: the largest of log(weight) plus Gumbel noise are such a draw (Efraimidis & Spirakis 2006).

    Args:
        weight: `[E, N]`, not negative; need not sum to 1 over the allowed.
        count: how many; all of them where fewer are allowed.
        allowed: bool `[E, N]`.
        uniforms: `[E, N]` random numbers in [0, 1).
    """
    with np.errstate(divide="ignore"):
        keys = np.log(weight) - np.log(-np.log(np.maximum(uniforms, 1e-300)))
    return top_m(keys, count, allowed)
