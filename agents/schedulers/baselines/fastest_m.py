"""Greedy selection by round time: the m fastest available clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....common.arrays import Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule


@dataclass(kw_only=True)
class FastestM(Rule):
    """Greedy by time: the m available clients that finish a round fastest (Nishio & Yonetani 2019).

    Paper: the greedy core of FedCS, Nishio & Yonetani, "Client Selection for Federated Learning with
    Heterogeneous Resources in Mobile Edge", ICC 2019 (as many fast clients as fit; here m).
    Needs: seconds per step, bandwidth.
    Aggregation: the world's aggregator; biased by design towards fast clients.
    Defaults: m = 10, 10 local steps.
    """

    name: ClassVar[str] = "fastest-m"

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """Minus the seconds of the invitation."""
        return -situation.round_s(steps, self.transfers(situation))
