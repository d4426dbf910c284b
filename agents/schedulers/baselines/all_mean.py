"""FedAvg over all clients: every available one trains, with its share of the objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import Everyone


@dataclass(kw_only=True)
class AllMean(Everyone):
    """FedAvg over all clients: every available one trains with the coefficient alpha_k (Xiang et al. 2024).

    Paper: "FedAvg over all clients" of Xiang et al., "Efficient Federated Learning against Heterogeneous and
    Non-stationary Client Unavailability", NeurIPS 2024, and of Wang & Ji, NeurIPS 2022. It optimises
    effective weights alpha_k pi_k, in favour of those that are there more often. (In the papers the absent
    count as zero, so that the steps also shrink with their share; here coefficients are self-normalised.)
    Needs: availability, alpha.
    Aggregation: alpha_k, self-normalised.
    Defaults: 10 local steps.
    """

    name: ClassVar[str] = "all-mean"

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Alpha of those invited."""
        return np.where(chosen, situation.clients.target_weight, 0.0)
