"""TiFL: selection within tiers of equal speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, switch, top_m


@dataclass(kw_only=True)
class Tifl(Rule):
    """TiFL: each round draws a tier of equally fast clients and m clients inside it (Chai et al. 2020).

    Clients are sorted into tiers by latency; each round draws a tier and m clients uniformly inside it.
    Paper: Chai et al., "TiFL: A Tier-based Federated Learning System", HPDC 2020. The tiers are of equal
    size, by the time of a round as known at the first decision. Adaptive: every `interval` rounds, if the
    tier of the last round is no better than `interval` rounds ago, tiers are drawn in proportion to the rank
    of how badly they do (the worst most often); each tier has credits for a limited number of rounds.
    The paper judges a tier by its accuracy on held-out data of its clients, which no coordinator here can
    see: the mean loss last reported by its clients, weighted by alpha, stands for it. A tier nobody of which
    is there is not drawn, one with fewer than m candidates trains with those; credits are `credits` equal
    shares of the rounds of the episode, and are given anew when all tiers with candidates are out of them.
    Needs: seconds per step, bandwidths, last reported losses.
    Aggregation: the world's aggregator (the paper's FedAvg).
    Defaults: 5 tiers, adaptive, every 20 rounds, credits for 2 equal shares, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "tifl"

    tiers: int = knob(5, "tiers of equal size", low=1, high=10)
    adaptive: bool = switch(True, "draw tiers that do badly more often; off: all alike")
    interval: int = knob(
        20, "training rounds between changes of the tiers' chances", low=2, high=100, log=True
    )
    credits: float = knob(2.0, "rounds a tier may use, in equal shares of the episode", low=1.0, high=10.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds each client's tier (-1 before the first decision), tiers' chances, credits and old losses."""
        per_tier = (num_envs, self.tiers)
        return super().fresh_state(num_envs, num_clients) | {
            "tier": np.full((num_envs, num_clients), -1, dtype=np.int64),
            "chance": np.full(per_tier, 1.0 / self.tiers),
            "credits": np.zeros(per_tier),
            "loss_before": np.full(per_tier, np.inf),
            "current": np.zeros(num_envs, dtype=np.int64),
            "changed_at": np.zeros(num_envs, dtype=np.int64),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """At most m, uniformly from the tier drawn."""
        self._profile(situation, steps)
        if self.adaptive:
            self._adapt(situation)
        tier = self.state["tier"]
        numbers = np.arange(self.tiers)[None, :, None]
        present = ((tier[:, None, :] == numbers) & allowed[:, None, :]).any(axis=2)
        self.state["credits"] = self._refilled(situation, present)
        open_tiers = present & (self.state["credits"] >= 1.0)
        self.state["current"] = self._draw(open_tiers)
        inside = allowed & (tier == self.state["current"][:, None])
        return top_m(self.uniforms(), wanted, inside)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """The tier drawn pays a credit for the round."""
        used = trained.any(axis=1, keepdims=True) & (np.arange(self.tiers) == self.state["current"][:, None])
        self.state["credits"] = self.state["credits"] - used

    def _profile(self, situation: Situation, steps: Ints32) -> None:
        """Equal-frequency tiers by latency, once per episode."""
        latency_s = situation.round_s(steps)
        rank = np.argsort(np.argsort(latency_s, axis=1, kind="stable"), axis=1, kind="stable")
        fresh = rank * self.tiers // situation.num_clients
        self.state["tier"] = np.where(self.state["tier"] < 0, fresh, self.state["tier"])

    def _adapt(self, situation: Situation) -> None:
        state, rounds = self.state, self.state["rounds"]
        due = rounds - state["changed_at"] >= self.interval
        losses = self.tier_losses(situation)
        rows = np.arange(situation.num_envs)
        worse = losses[rows, state["current"]] >= state["loss_before"][rows, state["current"]]
        # Rank 1 for the smallest loss; a tier that never reported comes last, so it is drawn most often.
        ranks = 1.0 + np.argsort(np.argsort(losses, axis=1, kind="stable"), axis=1, kind="stable")
        chance = ranks / ranks.sum(axis=1, keepdims=True)
        state["chance"] = np.where((due & worse)[:, None], chance, state["chance"])
        state["loss_before"] = np.where(due[:, None], losses, state["loss_before"])
        state["changed_at"] = np.where(due, rounds, state["changed_at"])

    def tier_losses(self, situation: Situation) -> Floats:
        """Mean reported loss per tier `[E, tiers]`, weighted by alpha; inf where nobody has reported."""
        known = np.isfinite(situation.clients.last_loss)
        weight = np.where(known, situation.clients.target_weight, 0.0)
        loss = np.where(known, situation.clients.last_loss, 0.0)
        totals = np.zeros((situation.num_envs, self.tiers, 2))
        for number in range(self.tiers):
            inside = np.where(self.state["tier"] == number, weight, 0.0)
            totals[:, number, 0], totals[:, number, 1] = (inside * loss).sum(axis=1), inside.sum(axis=1)
        mean = totals[..., 0] / np.where(totals[..., 1] > 0, totals[..., 1], 1.0)
        return np.where(totals[..., 1] > 0, mean, np.inf)

    def _refilled(self, situation: Situation, present: Bools) -> Floats:
        credits = self.state["credits"]
        rounds = situation.run.round_index + situation.run.rounds_left
        share = np.maximum(np.ceil(self.credits * rounds / self.tiers), 1.0)
        left = (present & (credits >= 1.0)).any(axis=1, keepdims=True)
        return np.where(left, credits, share[:, None])

    def _draw(self, open_tiers: Bools) -> Ints:
        draws = np.array([rng.random() for rng in self._rngs])
        ends = np.cumsum(np.where(open_tiers, self.state["chance"], 0.0), axis=1)
        hit = ends > draws[:, None] * ends[:, -1:]
        return np.asarray(hit.argmax(axis=1))
