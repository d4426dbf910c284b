"""CA-Fed: excludes clients whose rare or correlated availability costs more than their data is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Probing, State, knob
from ..parts import estimated_availability, estimated_memory, fresh_chains, observe_chains

Objective = Callable[[Floats], Floats]
"""Value `[E]` of coefficients `[E, N]`; smaller is better."""


@dataclass(kw_only=True)
class CaFed(Probing):
    """CA-Fed: all available clients but those whose rare availability costs too much (Rodio et al. 2023).

    Everybody available whose coefficient q_k survives two passes of exclusion.
    Paper: Rodio, Faticanti, Marfoq, Neglia & Leonardi, "Federated Learning under Heterogeneous and Correlated
    Client Availability", INFOCOM 2023 and IEEE/ACM ToN 2024. Starting from alpha_k / pi_k, clients are taken
    out one by one, first by decreasing |lambda_k|, then by increasing pi_k, as long as the surrogate
    `sum_k p_k Gap_k + c_bias max_k Gap_k TV(alpha, p)^2` with `p_k ~ pi_k q_k` does not grow. Gap_k is the
    latest loss of client k (F_k* is taken as 0); clients not seen yet start at the mean of those seen.
    Needs: losses of the available clients before every round (`ClientFacts.probed_loss`, paid for; with
    `losses="reported"` those they last reported in training, for free), alpha. pi and lambda are estimated
    from sightings, see `chains`; the reference code knows them.
    Aggregation: q_k, self-normalised. (Not normalised, the paper's steps are smaller the more is excluded.)
    Defaults: c_bias = 1, threshold 0, smoothing 0 as in the code, 10 prior rounds, 10 local steps.
    `participants` plays no part.
    """

    name: ClassVar[str] = "ca-fed"

    losses: str = knob(
        "probed", "losses at the present model, or last reported", choices=("probed", "reported")
    )
    c_bias: float = knob(1.0, "weight of the bias in the surrogate", low=0.01, high=100.0, log=True)
    threshold: float = knob(0.0, "least gain that excludes a client, tau", low=0.0, high=0.1)
    smoothing: float = knob(0.0, "weight of the old loss estimate, beta", low=0.0, high=0.9)
    prior_rounds: float = knob(
        10.0, "pseudo-rounds of the priors on pi and lambda", low=0.5, high=100.0, log=True
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the chains' counts, loss estimates `[E, N]` (nan: no loss known) and coefficients `[E, N]`."""
        own = {"loss": np.full((num_envs, num_clients), np.nan), "q": np.zeros((num_envs, num_clients))}
        return super().fresh_state(num_envs, num_clients) | fresh_chains(num_envs, num_clients) | own

    def question(self, situation: Situation, allowed: Bools, wanted: int) -> Bools:
        """Everyone available, or nobody."""
        return allowed & (self.losses == "probed")

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """As the base class; takes note of who is there, once per round."""
        anew = np.asarray(~self._state["asked"].any(axis=1))
        observe_chains(self._state, situation.clients.available, anew)
        self._note_losses(situation)
        self._state["q"] = self.coefficients(situation, steps)
        return super().choose(situation, allowed, wanted, steps)

    def pick(self, situation: Situation, allowed: Bools, answered: Bools, wanted: int) -> Bools:
        """Everyone allowed that is not excluded."""
        return allowed & (self._state["q"] > 0)

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """q_k of those invited."""
        return np.where(chosen, self._state["q"], 0.0)

    def coefficients(self, situation: Situation, steps: Ints32) -> Floats:
        """Coefficients q `[E, N]`, 0 for those excluded; nobody is where no loss is known yet."""
        alpha = situation.clients.target_weight
        pi = estimated_availability(self._state, self.prior_rounds)
        memory = estimated_memory(self._state, self.prior_rounds)
        q = alpha / pi
        known = np.asarray(np.isfinite(self._state["loss"]).all(axis=1))
        kept = self.exclude(situation, steps, q, pi, memory)
        return np.where(known[:, None], kept, q)

    def exclude(self, situation: Situation, steps: Ints32, q: Floats, pi: Floats, memory: Floats) -> Floats:
        """Coefficients `[E, N]` with those of the excluded at 0."""
        gap = np.nan_to_num(self._state["loss"])
        value = surrogate(situation.clients.target_weight, pi, gap, self.c_bias)
        for key in (-np.abs(memory), pi):
            q = truncate(q, np.argsort(key, axis=1, kind="stable"), value, self.threshold)
        return q

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        return np.full(chosen.shape[0], self.quorum)

    def _note_losses(self, situation: Situation) -> None:
        """Exponential average of the losses heard; at first everybody gets the mean of those heard."""
        heard = situation.clients.probed_loss if self.losses == "probed" else situation.clients.last_loss
        known, new = self._state["loss"], np.isfinite(heard)
        first = np.asarray(np.isnan(known).all(axis=1) & new.any(axis=1))
        mean = np.where(new, heard, 0.0).sum(axis=1) / np.maximum(new.sum(axis=1), 1)
        known = np.where(first[:, None], mean[:, None], known)
        mixed = self.smoothing * known + (1 - self.smoothing) * np.where(new, heard, 0.0)
        self._state["loss"] = np.where(new, np.where(first[:, None], heard, mixed), known)


def surrogate(alpha: Floats, pi: Floats, gap: Floats, c_bias: float) -> Objective:
    """CA-Fed's objective: optimisation error plus bias, with unit constants.

    Args:
        alpha: `[E, N]`, target weights.
        pi: `[E, N]`, availabilities.
        gap: `[E, N]`, F_k - F_k*.
        c_bias: weight of the squared total variation, times the largest gap.
    """
    worst = gap.max(axis=1)

    def value(q: Floats) -> Floats:
        p = pi * q
        p = p / p.sum(axis=1, keepdims=True)
        variation = 0.5 * np.abs(alpha - p).sum(axis=1)
        return np.asarray((gap * p).sum(axis=1) + c_bias * worst * variation**2)

    return value


def truncate(q: Floats, order: Ints, value: Objective, threshold: float = 0.0) -> Floats:
    """Set coefficients to 0, one client after the other, where that lowers the objective by the threshold.

    Args:
        q: `[E, N]`, coefficients, some of them positive.
        order: int `[E, N]`, in which the clients are tried. The last one left stays.
        value: the objective.
        threshold: least gain; with 0, ties are taken out.

    Returns:
        Fresh `[E, N]`.
    """
    q, rows = q.copy(), np.arange(q.shape[0])
    present = value(q)
    for client in order.T:
        trial = q.copy()
        trial[rows, client] = 0.0
        possible = np.asarray(trial.any(axis=1))
        reached = value(np.where(possible[:, None], trial, q))
        better = possible & (present - reached >= threshold)
        q, present = np.where(better[:, None], trial, q), np.where(better, reached, present)
    return q
