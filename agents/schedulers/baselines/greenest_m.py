"""Greedy selection by carbon: the m available clients that emit least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....common.arrays import Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule


@dataclass(kw_only=True)
class GreenestM(Rule):
    """Greedy by carbon: the m available clients whose round emits the fewest grams CO2e at the present grid.

    Paper: the carbon-aware baseline of most studies (lowest carbon intensity first), as in the low-carbon
    sampling of Flower's flwr-lowcarb; by grams of the whole round, so that an efficient device counts too.
    Needs: carbon now, seconds per step, watts, bandwidth energy.
    Aggregation: the world's aggregator; biased by design towards clean zones.
    Defaults: m = 10, 10 local steps, no waiting (`wait_saving` adds it).
    """

    name: ClassVar[str] = "greenest-m"

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """Minus the grams of the invitation."""
        return -situation.round_g(steps, self.transfers(situation))
