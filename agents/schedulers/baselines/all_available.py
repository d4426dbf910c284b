"""Full participation: every available client trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import Everyone, knob

_PRIOR_ROUNDS = 2.0
"""Pseudo-rounds of full availability in the estimate of a client's availability."""


@dataclass(kw_only=True)
class AllAvailable(Everyone):
    """Full participation: every available client trains, with one of three averages (McMahan et al. 2017).

    Invites every available client; `participants` and `over_selection` play no part.
    Paper: the three averages of McMahan et al. 2017 and Wang & Ji, "A Unified Analysis of Federated Learning
    with Arbitrary Client Participation", NeurIPS 2022, by `mean`:
    "active": renormalised among the updates that arrived, which is what the world's aggregator does; favours
    clients that are there more often. "all": coefficient alpha_k, the same favour. "known-probability":
    alpha_k / pi_k, with pi_k the share of the decisions so far at which the client was seen (shrunk towards 1
    by two pseudo-rounds). (In the papers the last two are not normalised and also scale the step; here they
    are divided by their sum over those who answer.)
    Needs: availability, alpha.
    Defaults: active, 10 local steps.
    """

    name: ClassVar[str] = "all-available"

    mean: str = knob("active", "which average", choices=("active", "all", "known-probability"))

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """The coefficients of `mean`."""
        if self.mean == "active":
            return None
        if self.mean == "all":
            return np.where(chosen, situation.clients.target_weight, 0.0)
        looks = situation.run.looks[:, None]
        seen = (situation.clients.sightings + _PRIOR_ROUNDS) / (looks + _PRIOR_ROUNDS)
        return np.where(chosen, situation.clients.target_weight / np.minimum(seen, 1.0), 0.0)
