"""Inverse-availability weights: every available client trains, weighted by how rarely it is available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Everyone, State, knob
from ..parts import estimated_availability, fresh_chains, observe_chains


@dataclass(kw_only=True)
class Unbiased(Everyone):
    """Inverse-availability weights: all available clients train with alpha_k / pi_k (Xiang et al. 2024).

    Paper: "FedAvg with known probabilities" of Xiang et al., NeurIPS 2024; the baseline AdaFed of Rodio et
    al., "Federated Learning under Heterogeneous and Correlated Client Availability", INFOCOM 2023, which
    divides by the sum over those who take part, as every world does. (Not divided, Xiang's and Rodio's
    Unbiased, the expected step is that of everybody taking part, and its length varies with who is there.)
    Such weights stop paying where a client's availability is rare and strongly correlated from round to
    round.
    Needs: availability, alpha. The true pi is used if it is given in Python as `availability=`, one number
    per client; otherwise it is estimated from sightings, with `prior_rounds` pseudo-rounds at the mean of all
    clients.
    Aggregation: alpha_k / pi_k, self-normalised.
    Defaults: pi estimated with 2 prior rounds, 10 local steps.
    """

    name: ClassVar[str] = "unbiased"

    prior_rounds: float = knob(2.0, "pseudo-rounds of the prior on pi", low=0.5, high=100.0, log=True)
    availability: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.availability is None:
            return
        known = np.asarray(self.availability, dtype=np.float64)
        if known.ndim != 1 or not np.all((known > 0) & (known <= 1)):
            raise ValueError(
                f"{self.name}.availability: {self.availability!r}, expected one probability per client"
            )
        self.availability = tuple(known.tolist())

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the counts of `chains`."""
        if self.availability is not None and len(self.availability) != num_clients:
            raise ValueError(
                f"{self.name}.availability: {len(self.availability)} numbers, expected {num_clients}"
            )
        return super().fresh_state(num_envs, num_clients) | fresh_chains(num_envs, num_clients)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """All allowed clients; takes note of who is there."""
        observe_chains(self._state, situation.clients.available, np.ones(situation.num_envs, dtype=bool))
        return super().choose(situation, allowed, wanted, steps)

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """alpha_k / pi_k of those invited."""
        known = self.availability
        pi = estimated_availability(self._state, self.prior_rounds) if known is None else np.array(known)
        return np.where(chosen, situation.clients.target_weight / pi, 0.0)
