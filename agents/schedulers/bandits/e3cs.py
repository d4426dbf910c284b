"""E3CS: exponential weights (Exp3) for volatile clients, with a quota for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import State, knob, switch
from ..parts import capped_proportional
from .marginal_rule import MarginalRule


@dataclass(kw_only=True)
class E3cs(MarginalRule):
    """E3CS: exponential weights for clients whose updates come back, with quotas (Huang et al. 2022).

    p_k = sigma + (m - N sigma) w_k / sum w, capped at 1; those whose updates come back gain weight.
    Paper: Huang et al., "Stochastic Client Selection for Federated Learning with Volatile Clients", IEEE IoT
    Journal 2022. Success s_k = 1 if the update of k came back, known in the next situation from the
    completions; hat s_k = s_k 1{k drawn} / p_k; w_k <- w_k exp((m - N sigma) eta hat s_k / N) unless p_k was
    capped at 1. sigma = `quota` m / N is every candidate's guaranteed chance; `quota_growth` is the paper's
    increasing quota: 0 until a quarter of the episode, then 1 (equal chances). Systematic sampling draws m.
    Here N is the number of candidates of the round: who is away is seen beforehand and is neither drawn nor
    judged; what remains volatile is whether an invited client is still there at the end.
    The regret (`regret`) is in the scaled gains (m - N sigma) hat s_k / N.
    Needs: availability, completions, alpha.
    Aggregation: alpha_k over the chance of being there and drawn (`mean`); see `MarginalRule`.
    Defaults: eta = 0.5, quota 0.5 m / N, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "e3cs"

    quota: float = knob(
        0.5, "sigma, least chance of every candidate, in shares of the equal chance", low=0.01, high=0.95
    )
    eta: float = knob(0.5, "learning rate of the weights", low=0.01, high=5.0, log=True)
    quota_growth: bool = switch(
        False, "the paper's increasing quota instead: none first, equal chances later"
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the weights' logarithms, and who was capped and what room was above the quota last time."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "log_weight": np.zeros(shape),
            "capped": np.zeros(shape, dtype=bool),
            "room": np.zeros(num_envs),
        }

    def marginals(self, situation: Situation, allowed: Bools, wanted: int) -> Floats:
        """The quota plus the rest in proportion to the weights, none above 1.

        Written as x = sigma + (1 - sigma) z with z capped-proportional to the weights, which is the paper's
        alpha_t by bisection.
        """
        count = np.maximum(allowed.sum(axis=1), 1)
        m = np.minimum(wanted, count)
        share = np.full(situation.num_envs, self.quota)
        if self.quota_growth:
            share = np.where(situation.run.round_index < 0.25 * self.state["horizon"], 0.0, 1.0)
        sigma = share * m / count
        room = m - count * sigma
        log_weight = np.where(allowed, self.state["log_weight"], -np.inf)
        highest = np.where(allowed.any(axis=1), log_weight.max(axis=1), 0.0)
        weight = np.exp(np.maximum(log_weight - highest[:, None], -400.0))
        above = capped_proportional(weight, room / np.maximum(1.0 - sigma, 1e-12), allowed)
        p = np.where(allowed, sigma[:, None] + (1.0 - sigma[:, None]) * above, 0.0)
        self.state["capped"], self.state["room"] = allowed & (above >= 1.0), room / count
        return np.minimum(p, 1.0)

    def gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """(m - N sigma) hat s_k / N."""
        return np.where(done, self.state["room"][:, None] / np.where(done, played, 1.0), 0.0)

    def ascend(self, gains: Floats, moved: Bools) -> None:
        """Exponential weights, except for those that were certain to be drawn."""
        grown = self.state["log_weight"] + self.eta * np.where(self.state["capped"], 0.0, gains)
        self.state["log_weight"] = np.where(moved[:, None], grown, self.state["log_weight"])
