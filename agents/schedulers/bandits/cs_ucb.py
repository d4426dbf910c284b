"""CS-UCB: upper confidence bounds on the speed of clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob


@dataclass(kw_only=True)
class CsUcb(Rule):
    """CS-UCB: the m candidates with the largest upper confidence bound on their speed (Xia et al. 2020).

    Paper: Xia et al., "Multi-Armed Bandit-Based Client Scheduling for Federated Learning", IEEE Transactions
    on Wireless Communications 2020. Reward y = 1 - t_k / t_max of a round in which k trained; index
    mean(y) + sqrt((m + 1) ln t / z_k), z_k rounds of k out of t; who never trained comes first.
    t_k is the time k's round took by its speed and bandwidth in that round and t_max the slowest client's;
    an update that did not come back earns 0, so unreliable clients count as slow. The bandit uses nothing
    but what those it invited have shown.
    Needs: durations of past rounds, completions.
    Aggregation: the world's aggregator (the paper's FedAvg).
    Defaults: the paper's index (`exploration` 1), m = 10, 10 local steps.
    """

    name: ClassVar[str] = "cs-ucb"

    exploration: float = knob(
        1.0, "weight of the confidence width, 1: the paper's", low=0.01, high=3.0, log=True
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds sums and numbers of rewards, and the reward each of the last invited would earn."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "reward_sum": np.zeros(shape),
            "trials": np.zeros(shape),
            "promised": np.zeros(shape),
            "invited": np.zeros(shape, dtype=bool),
            "completions": np.zeros(shape, dtype=np.int64),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Credit the last round, then the best indices."""
        self._credit(situation)
        seconds = situation.round_s(steps, self.transfers(situation))
        self.state["promised"] = 1.0 - seconds / seconds.max(axis=1, keepdims=True)
        return super().choose(situation, allowed, wanted, steps)

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """The index; inf for those never tried."""
        return self.index(factor=self.participants + 1.0)

    def index(self, factor: float) -> Floats:
        """mean(y) + exploration sqrt(factor ln t / z) `[E, N]`."""
        trials = np.maximum(self.state["trials"], 1.0)
        rounds = np.maximum(self.state["rounds"], 1)[:, None]
        width = np.sqrt(factor * np.log(rounds) / trials)
        bound = self.state["reward_sum"] / trials + self.exploration * width
        return np.where(self.state["trials"] > 0, bound, np.inf)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember whose answers are awaited."""
        self.state["invited"] = trained.copy()
        self.state["completions"] = situation.clients.completions.astype(np.int64)

    def _credit(self, situation: Situation) -> None:
        state = self.state
        done = state["invited"] & (situation.clients.completions > state["completions"])
        state["reward_sum"] = state["reward_sum"] + np.where(done, state["promised"], 0.0)
        state["trials"] = state["trials"] + state["invited"]
        state["invited"] = np.zeros_like(state["invited"])
