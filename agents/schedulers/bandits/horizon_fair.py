"""Horizon fairness: alpha-fair participation over the whole episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import State, knob
from .online_ascent import GradientAscent

_PRIOR_ROUNDS = 1.0
"""Rounds of equal chances that the running means begin with."""


@dataclass(kw_only=True)
class HorizonFair(GradientAscent):
    """Horizon fairness: online ascent on the alpha-fairness of mean participation (Si Salem et al. 2023).

    Paper: Si Salem, Iosifidis & Neglia, "Enabling Long-Term Fairness in Dynamic Resource Allocation", ACM
    SIGMETRICS 2023 (horizon fairness). Utility of k in a round is its chance of training, 0 while it is away;
    fair is what maximises sum_k F(u_k) of the time averages u_k, F(u) = u^(1 - a) / (1 - a). The primal step
    climbs along the dual weights u_k^(-a) of those who are there, so clients that are seldom there are taken
    when they are. The duals are the weights at the present averages, the paper's dual ascent at its optimum.
    `fairness` a: 0 counts participations, 1 is proportional fairness, large is max-min.
    Needs: availability, alpha.
    Aggregation: alpha_k over the chance of being there and drawn (`mean`); see `MarginalRule`.
    Defaults: a = 1, the theory's step, quota 0.3 m / N, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "horizon-fair"

    fairness: float = knob(1.0, "a: 0 none, 1 proportional, large max-min", low=0.0, high=5.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the sum `[E, N]` of the chances played, and the number `[E]` of rounds."""
        m = min(self.invitations, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "utility_sum": np.full((num_envs, num_clients), _PRIOR_ROUNDS * m / num_clients),
            "rounds_played": np.full(num_envs, _PRIOR_ROUNDS),
        }

    def raw_gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """u_k^(-a) of the round's candidates, u_k with this round."""
        state, moved = self.state, self.state["pending"]
        state["utility_sum"] = state["utility_sum"] + np.where(moved[:, None], played, 0.0)
        state["rounds_played"] = state["rounds_played"] + moved
        mean = state["utility_sum"] / state["rounds_played"][:, None]
        return np.where(played > 0, mean**-self.fairness, 0.0)
