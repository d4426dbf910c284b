"""Cyclic participation: groups of clients train in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, switch, top_m


@dataclass(kw_only=True)
class Cyclic(Rule):
    """Cyclic participation: in its slot only a group trains, m of it drawn uniformly (Cho et al. 2023).

    In slot i of each cycle only the clients of group i may train, m of them drawn uniformly.
    Paper: Cho, Sharma, Joshi, Xu, Kale & Zhang, "On the Convergence of Federated Averaging with Cyclic Client
    Participation", ICML 2023. If whole groups take part, or the clients of a group are alike, the error
    falls with the square of the step size instead of with the step size. `order="random"` draws a group per
    round instead, the paper's comparison. Groups are every K-th client (`by="index"`) or the zones, dealt in
    turn. A slot lasts one round of training; a group of which nobody is there is passed over.
    Needs: availability; zones where groups are zones.
    Aggregation: plain mean over those who answer, 1/m each in the paper (`plain_mean`); off: the world's
    aggregator.
    Defaults: 5 groups by index, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "cyclic"

    groups: int = knob(5, "groups in a cycle, K", low=1, high=20)
    by: str = knob("index", "what makes a group", choices=("index", "zone"))
    order: str = knob("cyclic", "who comes next", choices=("cyclic", "random"))
    plain_mean: bool = switch(True, "aggregate by the paper's plain mean instead of the world's aggregator")

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `slot` `[E]`, the group whose turn it is."""
        return super().fresh_state(num_envs, num_clients) | {"slot": np.zeros(num_envs, dtype=np.int64)}

    def group(self, situation: Situation) -> Ints:
        """Int `[E, N]`, 0 to K - 1."""
        if self.by == "zone":
            return situation.clients.zone % self.groups
        return np.broadcast_to(np.arange(situation.num_clients), situation.clients.zone.shape) % self.groups

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Draw m of the next group that has somebody."""
        uniforms = self.uniforms()
        group = self.group(situation)
        start = self._state["slot"]
        if self.order == "random":
            start = (uniforms[:, 0] * self.groups).astype(np.int64)
        turns = (group - start[:, None]) % self.groups
        nearest = np.where(allowed, turns, self.groups).min(axis=1)
        self._state["slot"] = (start + np.where(nearest < self.groups, nearest, 0)) % self.groups
        return top_m(self.uniforms(), wanted, allowed & (turns == nearest[:, None]))

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Equal ones: the plain mean over the updates that arrive."""
        return chosen.astype(np.float64) if self.plain_mean else None

    def learn(self, situation: Situation, trained: Bools) -> None:
        """The slot ends with a round of training."""
        moved = self._state["slot"] + trained.any(axis=1)
        self._state["slot"] = moved % self.groups
