"""CS-UCB-Q: confidence bounds on speed, with queues that guarantee every client its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import State, knob
from .cs_ucb import CsUcb


@dataclass(kw_only=True)
class CsUcbQ(CsUcb):
    """CS-UCB-Q: confidence bounds on speed against queues that guarantee shares (Xia et al. 2020).

    The m candidates with the largest (1 - beta) min(1, ucb) + beta D, D a queue of missed turns.
    Paper: Xia et al., "Multi-Armed Bandit-Based Client Scheduling for Federated Learning", IEEE Transactions
    on Wireless Communications 2020, with ucb = mean(y) + sqrt(2 ln t / z). D_k <- max(D_k + c_k - b_k, 0) per
    training round, b_k = 1 if k was invited, c_k = `guarantee` m alpha_k (at most 0.95) the share of rounds
    it is owed; the published code never updates b_k, so that its queues only grow. While a client is away
    its queue grows too: it is served first when it is back.
    Needs: durations of past rounds, completions, alpha.
    Aggregation: the world's aggregator (the paper's FedAvg).
    Defaults: beta = 0.5, guarantee 0.5, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "cs-ucb-q"

    beta: float = knob(0.5, "weight of the queues against the speed", low=0.01, high=0.99)
    guarantee: float = knob(0.5, "share of the m places that is owed by alpha", low=0.05, high=1.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the queues D `[E, N]`."""
        queue = np.zeros((num_envs, num_clients))
        return super().fresh_state(num_envs, num_clients) | {"queue": queue}

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """Bound and queue."""
        bound = np.minimum(self.index(factor=2.0), 1.0)
        return (1.0 - self.beta) * bound + self.beta * self.state["queue"]

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Owe everyone a share, and strike off the turns given."""
        super().learn(situation, trained)
        owed = np.minimum(self.guarantee * self.participants * situation.clients.target_weight, 0.95)
        queue = np.maximum(self.state["queue"] + owed - trained, 0.0)
        self.state["queue"] = np.where(trained.any(axis=1, keepdims=True), queue, self.state["queue"])
