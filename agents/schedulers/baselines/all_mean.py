"""FedAvg over all clients: every available one trains, the others count as zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import Everyone


@dataclass(kw_only=True)
class AllMean(Everyone):
    """FedAvg over all clients: every available one trains, absent ones count as zero (Xiang et al. 2024).

    Invites every available client with the coefficient alpha_k, as if the absent had sent zeros.
    Paper: "FedAvg over all clients" of Xiang et al., "Efficient Federated Learning against Heterogeneous and
    Non-stationary Client Unavailability", NeurIPS 2024, and of Wang & Ji, NeurIPS 2022. Its steps shrink with
    the share of clients that are away, and it optimises effective weights alpha_k pi_k, in favour of those
    that are there more often.
    Needs: availability, alpha.
    Aggregation: alpha_k, not normalised.
    Defaults: 10 local steps.
    """

    name: ClassVar[str] = "all-mean"

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Alpha of those invited."""
        return np.where(chosen, situation.clients.target_weight, 0.0)
