"""Selection probabilities: base of schedulers that learn them and draw exactly m clients with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob
from ..parts import best_value, madow

_PRIOR_LOOKS = 2.0
"""Pseudo-looks of the prior on a client's availability."""


@dataclass(kw_only=True)
class MarginalRule(Rule):
    """Selection probabilities with sum m, a systematic draw of m, feedback from the updates that came back.

    A subclass says with which probabilities the candidates of a round are drawn (`marginals`), what a round
    was worth per client once its answers are in (`gains`), and how that moves its state (`ascend`).

    Availability: x lives on all N clients, a round only has its candidates A. The probabilities played, p,
    have sum min(m, |A|) on A and 0 elsewhere, and p_k >= x_k on A; where A has fewer than m clients all are
    taken. A client that is not there earns nothing. Hence what is played never earns less than x itself, and
    regret bounds that hold for x hold for what is played, against any fixed x.

    Aggregation by `mean`, self-normalised as all coefficients are: "drawn": alpha_k / p_k, for the
    alpha-weighted mean of the candidates. "unbiased": alpha_k / (pi_k p_k), pi_k the share of decisions at
    which k was there: the chance of being drawn whoever is there, hence for everybody's alpha-weighted mean.
    "world": the world's aggregator.

    Regret: the learner's gains g_t (scaled as each method says) give the best fixed point in hindsight,
    max_x sum_t <g_t, x>, minus what was earned, sum_t <g_t, p_t>; see `regret`.
    """

    quota: float = knob(
        0.3, "least chance of every candidate, in shares of the equal chance m / N", low=0.01, high=0.95
    )
    mean: str = knob("unbiased", "aggregation coefficients", choices=("unbiased", "drawn", "world"))

    # What a method says -----------------------------------------------------------------------------------

    def marginals(self, situation: Situation, allowed: Bools, wanted: int) -> Floats:
        """Probabilities p `[E, N]`: 0 outside `allowed`, sum min(wanted, allowed)."""
        raise NotImplementedError

    def gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """What the last round was worth per client, `[E, N]`, never negative.

        Args:
            situation: after the round.
            done: bool `[E, N]`, whose update came back.
            played: `[E, N]`, the probabilities with which the round was drawn.
        """
        raise NotImplementedError

    def ascend(self, gains: Floats, moved: Bools) -> None:
        """Move the learner's state along the gains `[E, N]` in the rows `moved` `[E]`."""
        raise NotImplementedError

    # The common way of a round ----------------------------------------------------------------------------

    @property
    def invitations(self) -> int:
        """Clients invited per round where there are enough: m with over-selection."""
        return math.ceil(self.participants * self.over_selection - 1e-9)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds what was played last, who had completed how often then, and the sums behind the regret."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "played": np.zeros(shape),
            "completions": np.zeros(shape, dtype=np.int64),
            "pending": np.zeros(num_envs, dtype=bool),
            "invited": np.zeros(shape, dtype=bool),
            "gained": np.zeros(shape),
            "earned": np.zeros(num_envs),
            "horizon": np.zeros(num_envs),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Learn from the last round's answers, then a systematic draw from the new probabilities."""
        first = self.state["horizon"] == 0
        rounds = np.maximum(situation.run.round_index + situation.run.rounds_left, 1)
        self.state["horizon"] = np.where(first, rounds, self.state["horizon"])
        self._digest(situation)
        self.state["played"] = self.marginals(situation, allowed, wanted)
        return madow(self.state["played"], np.array([rng.random() for rng in self._rngs]))

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """The coefficients of `mean` for those invited."""
        if self.mean == "world":
            return None
        chance = np.where(chosen, self.state["played"], 1.0)
        if self.mean == "unbiased":
            chance = chance * seen_share(situation)
        return np.where(chosen, situation.clients.target_weight / np.maximum(chance, 1e-12), 0.0)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember what the answers will be compared with; a round in which nobody trains teaches nothing."""
        self.state["pending"], self.state["invited"] = np.asarray(trained.any(axis=1)), trained.copy()
        self.state["completions"] = situation.clients.completions.astype(np.int64)

    def regret(self) -> Floats:
        """Regret `[E]` so far of what was played against the best fixed point in hindsight.

        The last round counts once its answers have been seen, that is from the next `plan` on.
        """
        num_clients = self._num_clients
        m = min(self.invitations, num_clients)
        least = floor_of(self.quota, m, num_clients)
        gained = self.state["gained"]
        best = least * gained.sum(axis=1) + (1 - least) * best_value(gained, spread(m, num_clients, least))
        return np.asarray(best - self.state["earned"])

    def _digest(self, situation: Situation) -> None:
        state = self.state
        moved = state["pending"]
        # Late updates of earlier rounds may arrive too; they say nothing of this draw.
        done = state["invited"] & moved[:, None] & (situation.clients.completions > state["completions"])
        gains = np.where(moved[:, None], self.gains(situation, done, state["played"]), 0.0)
        state["gained"] = state["gained"] + gains
        state["earned"] = state["earned"] + (gains * state["played"]).sum(axis=1)
        self.ascend(gains, moved)
        state["pending"] = np.zeros_like(moved)


def seen_share(situation: Situation) -> Floats:
    """Availability `[E, N]` as seen so far, with a prior of two looks at the mean of all clients."""
    looks = situation.run.looks[:, None]
    mean = situation.clients.sightings.mean(axis=1, keepdims=True) / looks
    seen = (situation.clients.sightings + _PRIOR_LOOKS * mean) / (looks + _PRIOR_LOOKS)
    return np.asarray(np.clip(seen, 1e-3, 1.0))


def floor_of(quota: float, m: int, count: int) -> float:
    """Least probability of each of `count` clients of which m are drawn."""
    return quota * min(m, count) / max(count, 1)


def spread(m: int, count: int, least: float) -> float:
    """Sum of z in x = least + (1 - least) z, so that x sums to m and stays in [least, 1]."""
    return count if m >= count else (m - count * least) / (1 - least)
