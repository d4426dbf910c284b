"""Power of choice by the present loss (pow-d): the largest losses among d clients that are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import Probing, knob, switch, top_m
from .power_of_choice import draw_by_weight


@dataclass(kw_only=True)
class PowD(Probing):
    """Power of choice by the present loss: d clients tell their loss, the m worst train (Cho et al. 2022).

    d available clients drawn in proportion to alpha are asked for their loss; the m largest train.
    Paper: Cho, Wang & Joshi, "Towards Understanding Biased Client Selection in Federated Learning",
    AISTATS 2022, the variant pow-d: the exact loss of the present model on all of a client's samples. The
    first round takes m uniformly, without asking. `shrinking` is adapow-d: d = all available in the first
    half of the run, d = m, hence without asking, in the second. Where data lie at the hub, a client without
    any counts as one with an unbounded loss, as one that never took part does in rpow-d (`power-of-choice`).
    Needs: losses before the choice (`ClientFacts.probed_loss`, paid for), alpha.
    Aggregation: plain mean over those who answer, 1/m each in the paper (`plain_mean`); off: the world's
    aggregator.
    Defaults: d = 2 m, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "pow-d"

    choice_ratio: float = knob(2.0, "d / m, clients asked for each one wanted", low=1.0, high=10.0, log=True)
    shrinking: bool = switch(False, "ask all available in the first half of the run, nobody in the second")
    plain_mean: bool = switch(True, "aggregate by the paper's plain mean instead of the world's aggregator")

    def question(self, situation: Situation, allowed: Bools, wanted: int) -> Bools:
        """Those d drawn without replacement; nobody before the first round, nor where d would be m."""
        count = max(wanted, round(self.choice_ratio * wanted))
        drawn = draw_by_weight(situation.clients.target_weight, count, allowed, self.uniforms())
        asks = (self._state["rounds"] > 0) & (count > wanted)
        if self.shrinking:
            drawn, asks = allowed, (self._state["rounds"] > 0) & ~self._second_half(situation)
        found: Bools = drawn & (asks & (allowed.sum(axis=1) > wanted))[:, None]
        return found

    def pick(self, situation: Situation, allowed: Bools, answered: Bools, wanted: int) -> Bools:
        """The m largest losses told; before the first round m at random, without a question by alpha."""
        told = np.asarray(answered.any(axis=1))[:, None]
        losses = np.where(situation.clients.samples_held == 0, np.inf, situation.clients.probed_loss)
        greedy = top_m(losses, wanted, answered & told, self.uniforms())
        uniform = self.uniforms()
        first = top_m(uniform, wanted, allowed)
        by_weight = draw_by_weight(situation.clients.target_weight, wanted, allowed, uniform)
        return np.where(told, greedy, np.where((self._state["rounds"] == 0)[:, None], first, by_weight))

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Equal ones: the plain mean over the updates that arrive."""
        return chosen.astype(np.float64) if self.plain_mean else None

    @staticmethod
    def _second_half(situation: Situation) -> Bools:
        return np.asarray(situation.run.round_index >= situation.run.rounds_left)
