"""Active federated learning: softmax selection over the losses of the most valuable clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, knob, switch, top_m


@dataclass(kw_only=True)
class Afl(Rule):
    """Active federated learning: most clients drawn by a softmax of their loss values (Goetz et al. 2019).

    Most participants drawn by a softmax over the values of the best quarter, the rest at random.
    Paper: Goetz et al., "Active Federated Learning", 2019 (arXiv:1909.12641). The value of a client is its
    last reported mean loss, times the root of its sample count (`root_size`, the paper's; the baseline in the
    code of Cho et al., AISTATS 2022, leaves it out). The `delete_ratio` of the available clients with the
    smallest values are set aside, (1 - `random_ratio`) m are drawn from the others without replacement in
    proportion to exp(`sharpness` * value), the rest uniformly from all that are left. A client that never
    took part counts as the most valuable one known.
    Needs: last reported losses, sample counts.
    Aggregation: the world's aggregator.
    Defaults: delete 0.75, sharpness 0.01, random 0.1 as in the paper, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "afl"

    delete_ratio: float = knob(0.75, "share of the available set aside, alpha_1", low=0.0, high=0.95)
    sharpness: float = knob(0.01, "exp(this * value), alpha_2", low=0.001, high=10.0, log=True)
    random_ratio: float = knob(0.1, "share of m drawn uniformly, alpha_3", low=0.0, high=1.0)
    root_size: bool = switch(True, "multiply losses by the root of the sample count")

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Gumbel keys draw by the softmax; where too few are left over, those set aside fill up."""
        values = self.values(situation)
        worthy = self.worthy(values, allowed, self.uniforms())
        gumbel = -np.log(-np.log(np.clip(self.uniforms(), 1e-300, 1 - 1e-16)))
        valued = top_m(self.sharpness * values + gumbel, round((1 - self.random_ratio) * wanted), worthy)
        missing = wanted - valued.sum(axis=1)
        return valued | top_m(self.uniforms(), missing, allowed & ~valued)

    def values(self, situation: Situation) -> Floats:
        """`[E, N]`, finite; the largest known value, or 0, for clients that never reported."""
        size = np.sqrt(np.maximum(situation.clients.samples_held, 1)) if self.root_size else 1.0
        values = situation.clients.last_loss * size
        most = np.where(np.isnan(values), -np.inf, values).max(axis=1, keepdims=True)
        return np.where(np.isnan(values), np.where(np.isfinite(most), most, 0.0), values)

    def worthy(self, values: Floats, allowed: Bools, ties: Floats) -> Bools:
        """Bool `[E, N]`: the allowed ones that are not set aside, at least one."""
        count = allowed.sum(axis=1)
        kept = count - np.floor(self.delete_ratio * count + 1e-9).astype(np.int64)
        return top_m(values, np.maximum(kept, 1), allowed, ties)
