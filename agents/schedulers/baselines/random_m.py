"""FedAvg's uniformly random participants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base import Rule


@dataclass(kw_only=True)
class RandomM(Rule):
    """m clients uniformly at random among those available; all of them if there are fewer.

    Paper: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017; over-selection (invite 1.3 m, close the round at m answers): Bonawitz et al., "Towards
    Federated Learning at Scale", MLSys 2019, here `over_selection=1.3`.
    Needs: availability only.
    Aggregation: the world's aggregator (by samples, among the updates that arrived).
    Defaults: m = 10, 10 local steps, no over-selection.
    """

    name: ClassVar[str] = "random-m"
