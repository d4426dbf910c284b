"""Linear score with tuned weights: the yardstick for learned schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Floats, Ints32
from ....envs.contract import Situation, survival
from ..base import Rule, knob, standardised


@dataclass(kw_only=True)
class TunedRule(Rule):
    """Linear score with tuned weights: the m available clients that score best on what is known of them.

    Every feature is standardised among the available clients of its environment: the last reported loss (the
    mean, 0, while unknown), whether the client was never heard of, minus the grams CO2e of the round, rounds
    since the client last took part, minus the seconds of the round, the chance that its session lasts for
    the round, and its share alpha_k. Random numbers of weight `noise` keep it from starving anyone. With the
    common settings (who, how many, steps, when to wait, when to stop) it contains greenest-m, fastest-m and
    random-m.
    Paper: none; the plain rule against which a learned scheduler has to earn its keep.
    Needs: all of the Situation's per-client part.
    Aggregation: the world's aggregator.
    Defaults: equal weights, m = 10, 10 local steps; meant to be tuned per world.
    """

    name: ClassVar[str] = "tuned-rule"

    loss_weight: float = knob(1.0, "weight of the last reported loss", low=-1.0, high=3.0)
    untried_weight: float = knob(0.0, "weight of never having been heard of", low=-1.0, high=3.0)
    carbon_weight: float = knob(1.0, "weight of few grams CO2e", low=0.0, high=3.0)
    staleness_weight: float = knob(1.0, "weight of rounds since the last participation", low=0.0, high=3.0)
    speed_weight: float = knob(1.0, "weight of a short round", low=0.0, high=3.0)
    session_weight: float = knob(1.0, "weight of the chance to finish", low=0.0, high=3.0)
    share_weight: float = knob(0.0, "weight of the share alpha_k", low=-1.0, high=3.0)
    noise: float = knob(0.5, "weight of chance", low=0.0, high=3.0)

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """The linear score."""
        transfer = self.transfers(situation)
        needed_s = situation.round_s(steps, transfer)
        features = (
            (self.loss_weight, situation.clients.last_loss),
            (self.untried_weight, np.isnan(situation.clients.last_loss).astype(np.float64)),
            (self.carbon_weight, -situation.round_g(steps, transfer)),
            (self.staleness_weight, situation.clients.rounds_since.astype(np.float64)),
            (self.speed_weight, -needed_s),
            (self.session_weight, survival(situation, needed_s)),
            (self.share_weight, situation.clients.target_weight),
        )
        score = self.noise * 3.46 * (self.uniforms() - 0.5)  # uniform of deviation 1
        for weight, values in features:
            if weight != 0:
                score = score + weight * standardised(values, situation.clients.available)
        return score
