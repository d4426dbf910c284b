"""The participants that finish first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...envs.situation import Floats, Situation
from ..scheduler import Counts
from .rule import Rule


@dataclass(kw_only=True)
class FastestM(Rule):
    """The m available clients that need the least time for download, local steps and upload.

    Paper: the greedy core of FedCS, Nishio & Yonetani, "Client Selection for Federated Learning with
    Heterogeneous Resources in Mobile Edge", ICC 2019 (as many fast clients as fit; here m).
    Needs: seconds per step, bandwidth.
    Aggregation: the world's aggregator; biased by design towards fast clients.
    Defaults: m = 10, 10 local steps.
    """

    name: ClassVar[str] = "fastest-m"

    def scores(self, situation: Situation, steps: Counts) -> Floats:
        """Minus the seconds of the invitation."""
        return -situation.round_s(steps, self.transfers(situation))
