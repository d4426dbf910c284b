"""RBCS-F: shortest rounds by confidence bounds, with a guaranteed share for every client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob


@dataclass(kw_only=True)
class RbcsF(Rule):
    """RBCS-F: shortest expected round against queues of guaranteed shares (Huang et al. 2021).

    The m candidates that minimise V times the longest expected time minus the sum of their queues.
    Paper: Huang, Lin, Wu, He & Li, "An Efficiency-Boosting Client Selection Scheme for Federated Learning
    with Fairness Guarantee", IEEE TPDS 2021. A client's time is linear in its context (seconds of local work,
    whether it trained in the last round, seconds of transfer), with coefficients of its own that a ridge
    regression learns from the rounds it completed; what counts is the lower confidence bound of its time.
    Queues Z_k <- max(Z_k + beta - b_k, 0) per training round, b_k = 1 if k was invited, guarantee each client
    the share beta = `guarantee` m / N of the rounds. The choice is exact: for each candidate as the slowest,
    the largest queues among those no slower. Times are counted in units of the median round at the start.
    Needs: seconds per step, bandwidths, durations of past rounds, completions.
    Aggregation: the world's aggregator (the paper's FedAvg).
    Defaults: V = 5, guarantee 0.5, confidence width 0.1, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "rbcs-f"

    tradeoff: float = knob(5.0, "V, weight of the time against the queues", low=0.05, high=100.0, log=True)
    guarantee: float = knob(0.5, "share of the equal share m / N owed to everyone", low=0.05, high=0.95)
    width: float = knob(0.1, "weight of the confidence width", low=0.0, high=1.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the regressions, the queues, and the last round's contexts and times."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "gram": np.broadcast_to(np.eye(3), (*shape, 3, 3)).copy(),
            "moment": np.zeros((*shape, 3)),
            "queue": np.zeros(shape),
            "unit_s": np.zeros(num_envs),
            "context": np.zeros((*shape, 3)),
            "time": np.zeros(shape),
            "invited": np.zeros(shape, dtype=bool),
            "before": np.zeros(shape, dtype=bool),
            "completions": np.zeros(shape, dtype=np.int64),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Learn from the last round, then the best set."""
        state, transfer = self.state, self.transfers(situation)
        self._regress(situation)
        seconds = situation.round_s(steps, transfer)
        fresh = state["unit_s"] == 0
        state["unit_s"] = np.where(fresh, np.median(seconds, axis=1), state["unit_s"])
        unit_s = state["unit_s"][:, None]
        local = steps * situation.clients.step_s
        parts = (local / unit_s, state["before"] * 1.0, (seconds - local) / unit_s)
        state["context"], state["time"] = np.stack(parts, axis=2), seconds / unit_s
        places = np.minimum(wanted, allowed.sum(axis=1))
        return best_set(self.tradeoff * self.expected_times(), state["queue"], allowed, places)

    def expected_times(self) -> Floats:
        """Lower confidence bounds `[E, N]` of the times of a round in the present contexts, at least 0."""
        context = self.state["context"]
        both = np.stack([self.state["moment"], context], axis=3)
        solved = np.linalg.solve(self.state["gram"], both)
        mean = (context * solved[..., 0]).sum(axis=2)
        spread = np.sqrt(np.maximum((context * solved[..., 1]).sum(axis=2), 0.0))
        found: Floats = np.maximum(mean - self.width * spread, 0.0)
        return found

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Owe everyone a share, strike off the turns given, and remember whose answers are awaited."""
        state = self.state
        moved = trained.any(axis=1, keepdims=True)
        owed = self.guarantee * min(self.participants / situation.num_clients, 1.0)
        state["queue"] = np.where(moved, np.maximum(state["queue"] + owed - trained, 0.0), state["queue"])
        state["before"] = np.where(moved, trained, state["before"])
        state["invited"] = trained.copy()
        state["completions"] = situation.clients.completions.astype(np.int64)

    def _regress(self, situation: Situation) -> None:
        state = self.state
        done = state["invited"] & (situation.clients.completions > state["completions"])
        seen = np.where(done[..., None], state["context"], 0.0)
        state["gram"] = state["gram"] + seen[..., :, None] * seen[..., None, :]
        state["moment"] = state["moment"] + seen * state["time"][..., None]
        state["invited"] = np.zeros_like(state["invited"])


def best_set(cost: Floats, queue: Floats, allowed: Bools, places: Floats) -> Bools:
    """The set of `places` clients with the least max(cost) - sum(queue), exactly.

    Args:
        cost: `[E, N]`, of the slowest chosen.
        queue: `[E, N]`, earned by each chosen.
        allowed: bool `[E, N]`, at least `places` per row.
        places: `[E]`.

    Returns:
        Bool `[E, N]`.
    """
    order = np.lexsort((cost, -queue, ~allowed), axis=1)
    costs, queues = np.take_along_axis(cost, order, axis=1), np.take_along_axis(queue, order, axis=1)
    there = np.take_along_axis(allowed, order, axis=1)
    # within[e, j, i]: with j as the slowest, i (in order of its queue) may be chosen.
    within = there[:, None, :] & there[:, :, None] & (costs[:, None, :] <= costs[:, :, None])
    taken = within & (np.cumsum(within, axis=2) <= places[:, None, None])
    value = costs - np.where(taken, queues[:, None, :], 0.0).sum(axis=2)
    feasible = taken.sum(axis=2) == places[:, None]
    best = np.where(feasible & there, value, np.inf).argmin(axis=1)
    chosen = np.zeros(allowed.shape, dtype=bool)
    rows = np.arange(allowed.shape[0])
    np.put_along_axis(chosen, order, taken[rows, best], axis=1)
    return chosen & allowed
