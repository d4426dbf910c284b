"""Adaptive-FedAvg: steps that shrink with the rounds and grow again when updates begin to vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Floats, Ints32
from ....envs.contract import Situation
from ..base import State, knob
from .schedules import Periodic


@dataclass(kw_only=True)
class AdaptiveLr(Periodic):
    """Adaptive-FedAvg: work shrinks with the rounds, and grows when updates vary more (Canonaco et al. 2021).

    Random m participants in periodic rounds. With v the moving average of the updates' variance and r that of
    v over its predecessor, both corrected for their start, the t-th round has the share min(1, r / t) of the
    full step: settling while nothing changes, plastic after a drift.
    Paper: Canonaco, Bergamasco, Mongelluzzo & Roveri, "Adaptive Federated Learning in Presence of Concept
    Drift", IJCNN 2021. There the share scales the clients' learning rate; that is no decision here, the
    number of local steps is, which does the same to first order. The variance there is of the global model
    around its moving average; here it is the mean squared length of the last round's updates, which is what
    reports tell. `decay_power` 1 is the paper's 1 / t, which soon stands still: a long run wants less.
    Needs: lengths of the updates that arrived.
    Aggregation: the world's aggregator.
    Defaults: averages over about 2 (v) and 10 (r) rounds, decay power 0.5, every two hours, `local_steps` 20
    is the full step, m = 10.
    """

    name: ClassVar[str] = "adaptive-lr"

    local_steps: int = knob(20, "local steps of a full step", low=1, high=100, log=True)
    variance_memory: float = knob(0.5, "beta_2, weight of the old variance", low=0.0, high=0.99)
    ratio_memory: float = knob(0.9, "beta_3, weight of the old ratio", low=0.0, high=0.99)
    decay_power: float = knob(0.5, "power of 1 / t; off: none", low=0.1, high=1.0, off=0.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the averages before and after correction, and how many rounds they have seen, all `[E]`."""
        keys = ("variance", "corrected", "ratio", "share")
        start = {key: np.zeros(num_envs) for key in keys} | {"seen": np.zeros(num_envs, dtype=np.int64)}
        start["share"] = np.ones(num_envs)
        return super().fresh_state(num_envs, num_clients) | start

    def steps_now(self, situation: Situation) -> Ints32:
        """The share of the full step, at least one step."""
        self._adapt(situation)
        scaled = super().steps_now(situation) * self.state["share"][:, None]
        return np.clip(np.rint(scaled), 1, self.most_steps).astype(np.int32)

    def _adapt(self, situation: Situation) -> None:
        """Take in the updates of the last round, once."""
        state = self.state
        reported = np.isfinite(situation.clients.last_norm) & (situation.clients.rounds_since <= 1)
        fresh = state["trained_last"] & reported.any(axis=1) & (situation.run.round_index > 0)
        norm = np.where(reported, situation.clients.last_norm, 0.0)
        square = (norm**2).sum(axis=1) / np.maximum(reported.sum(axis=1), 1)
        seen = state["seen"] + fresh
        variance = _averaged(state["variance"], square, self.variance_memory)
        corrected = variance / np.maximum(1 - self.variance_memory**seen, 1e-12)
        steady = state["corrected"] > 0
        ratio_now = np.where(steady, corrected / np.where(steady, state["corrected"], 1.0), 1.0)
        ratio = _averaged(state["ratio"], ratio_now, self.ratio_memory)
        unbiased = ratio / np.maximum(1 - self.ratio_memory**seen, 1e-12)
        share = np.minimum(1.0, unbiased / np.maximum(seen, 1.0) ** self.decay_power)
        new = dict(variance=variance, corrected=corrected, ratio=ratio, share=share, seen=seen)
        for key, value in new.items():
            state[key] = np.where(fresh, value, state[key])


def _averaged(old: Floats, new: Floats, memory: float) -> Floats:
    return np.asarray(memory * old + (1 - memory) * new)
