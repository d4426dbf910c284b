"""Lyapunov drift plus penalty: utility now against a queue of carbon debt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, top_m


@dataclass(kw_only=True)
class DriftPlusPenalty(Rule):
    """Lyapunov drift plus penalty: clients whose utility outweighs a queue of carbon debt (Neely 2010).

    Client k is worth inviting if V u_k > Q g_k; of those, the m with the largest V u_k - Q g_k train.
    Paper: Neely, "Stochastic Network Optimization", 2010, as in carbon-aware client selection (CAFE,
    Bian et al. 2023). Q is a virtual queue of emissions above the allowance, Q <- max(Q + g - k/T, 0), with g
    what was really emitted since the last decision. Utility u_k is N alpha_k times the last reported loss
    over the present validation loss, 1 while unknown. Grams are counted in units of a typical invitation (the
    mean over all clients at the forecast's mean intensity at the first decision), which makes V unitless.
    The allowance k/T is what is left of a carbon budget per round left, where the episode has one, else
    `allowance` times m typical invitations. A slot is a decision: a wait lets the queue drain, too.
    Needs: carbon now, energy per round, reported losses, budget.
    Aggregation: the world's aggregator.
    Defaults: V = 3, allowance 0.8, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "drift-plus-penalty"

    tradeoff: float = knob(
        3.0, "V, weight of the utility against the carbon debt", low=0.1, high=300.0, log=True
    )
    allowance: float = knob(0.8, "grams per round, in m typical invitations", low=0.05, high=2.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `queue` (Q), `unit_g` and `emitted_g` at the last decision, all `[E]`."""
        extra = {key: np.zeros(num_envs) for key in ("queue", "unit_g", "emitted_g")}
        return super().fresh_state(num_envs, num_clients) | extra

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Top-m of drift plus penalty among those with a positive balance."""
        self._update_queue(situation, steps)
        grams = situation.round_g(steps, self.transfers(situation)) / self.state["unit_g"][:, None]
        loss = np.where(
            np.isnan(situation.clients.last_loss), situation.run.loss[:, None], situation.clients.last_loss
        )
        worth = loss / np.maximum(situation.run.loss, 1e-9)[:, None]
        utility = situation.num_clients * situation.clients.target_weight * worth
        balance = self.tradeoff * utility - self.state["queue"][:, None] * grams
        return top_m(balance, wanted, allowed & (balance > 0), self.uniforms())

    def _update_queue(self, situation: Situation, steps: Ints32) -> None:
        state, emitted_g = self.state, 1e3 * situation.run.kilograms
        first = state["unit_g"] == 0
        state["unit_g"] = np.where(first, _typical_g(situation, steps), state["unit_g"])
        new_g = np.where(first, 0.0, emitted_g - state["emitted_g"])
        budget_g = 1e3 * situation.terms.budget_left[:, 2] / np.maximum(situation.run.rounds_left, 1)
        own = self.allowance * self.participants
        allowed = np.where(np.isfinite(budget_g), np.maximum(budget_g, 0.0) / state["unit_g"], own)
        queue = np.maximum(state["queue"] + new_g / state["unit_g"] - allowed, 0.0)
        state["queue"] = np.where(first, 0.0, queue)
        state["emitted_g"] = emitted_g


def _typical_g(situation: Situation, steps: Ints32) -> Floats:
    """Grams `[E]` of an invitation, mean over all clients, at the mean of the present and forecast carbon."""
    curves = np.concatenate(
        [situation.zones.carbon_g_per_kwh[:, :, None], situation.zones.carbon_forecast], axis=2
    )
    mean = np.take_along_axis(curves.mean(axis=2), situation.clients.zone, axis=1)
    grams = situation.round_j(steps) / 3.6e6 * mean
    found: Floats = np.maximum(grams.mean(axis=1), 1e-12)
    return found
