"""Uniform random selection of m available clients, as in FedAvg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base import Rule


@dataclass(kw_only=True)
class RandomM(Rule):
    """Random selection: m available clients drawn uniformly, or all if fewer (FedAvg, McMahan et al. 2017).

    Paper: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017; over-selection (invite 1.3 m, close the round at m answers): Bonawitz et al., "Towards
    Federated Learning at Scale", MLSys 2019, here `over_selection=1.3`.
    Needs: availability only.
    Aggregation: the world's aggregator (by samples, among the updates that arrived).
    Defaults: m = 10, 10 local steps, no over-selection.
    """

    name: ClassVar[str] = "random-m"
