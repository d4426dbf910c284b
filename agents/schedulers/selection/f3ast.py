"""F3AST: selection rates that keep the variance of an unbiased aggregate small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, switch


@dataclass(kw_only=True)
class F3ast(Rule):
    """F3AST: selection rates that keep the variance of an unbiased mean small (Ribero et al. 2023).

    The m available clients with the largest alpha_k^2 / r_k^2, r_k their selection rate so far.
    Paper: Ribero, Vikalo & de Veciana, "Federated Learning Under Intermittent Client Availability and
    Time-Varying Communication Constraints", IEEE J-STSP 2023. Greedy descent on H(r) = sum alpha_k^2 / r_k,
    the variance of the unbiased aggregate; after each round r_k <- (1 - beta) r_k + beta 1{k selected}, and
    the update of k counts alpha_k / r_k, with the rate before the round. (The paper's are not normalised, so
    that they also scale the step; here they are divided by their sum over those who answer.) The paper has
    thousands of rounds: within some tens of them beta = 0.001 leaves r about where it starts, and with nearly
    equal alpha the rule then takes the clients in turn.
    Needs: availability, alpha.
    Aggregation: alpha_k / r_k, self-normalised (`unbiased_mean`); off: the world's aggregator.
    Defaults: beta = 0.001 as in the paper, r starts at m / N, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "f3ast"

    beta: float = knob(0.001, "step of the selection rates", low=0.001, high=0.1, log=True)
    unbiased_mean: bool = switch(
        True, "aggregate by the paper's alpha_k / r_k instead of the world's aggregator"
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `rate` `[E, N]`, the selection rates r_k."""
        start = min(self.participants / num_clients, 1.0)
        return super().fresh_state(num_envs, num_clients) | {"rate": np.full((num_envs, num_clients), start)}

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """-dH / dr_k."""
        return (situation.clients.target_weight / self.state["rate"]) ** 2

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """alpha_k / r_k of those invited."""
        if not self.unbiased_mean:
            return None
        return np.where(chosen, situation.clients.target_weight / self.state["rate"], 0.0)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Exponential average of who is selected; rounds in which nobody trains do not count."""
        moved = (1 - self.beta) * self.state["rate"] + self.beta * trained
        self.state["rate"] = np.where(trained.any(axis=1, keepdims=True), moved, self.state["rate"])
