"""Power of choice by a batch loss (cpow-d): the largest losses, estimated on one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Ints32
from ....envs.contract import Situation
from ..base import knob
from .pow_d import PowD


@dataclass(kw_only=True)
class CpowD(PowD):
    """Power of choice by a batch loss: d clients evaluate one batch, the m worst train (Cho et al. 2022).

    As `pow-d`, but whoever is asked evaluates a single batch: less computing, the same traffic.
    Paper: Cho, Wang & Joshi, "Towards Understanding Biased Client Selection in Federated Learning",
    AISTATS 2022, the variant cpow-d.
    Needs: losses before the choice (`ClientFacts.probed_loss`, paid for), alpha.
    Aggregation: plain mean over those who answer, 1/m each in the paper (`plain_mean`); off: the world's
    aggregator.
    Defaults: batches of 64 as in the paper's code, d = 2 m, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "cpow-d"

    probe_samples: int = knob(64, "samples each asked client evaluates, b", low=8, high=512, log=True)

    def probe_size(self, situation: Situation) -> Ints32:
        """b, or all it holds if that is less."""
        return np.minimum(situation.clients.samples_held, self.probe_samples).astype(np.int32)
