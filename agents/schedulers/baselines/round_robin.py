"""Round robin: the next m available clients in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Rule, State


@dataclass(kw_only=True)
class RoundRobin(Rule):
    """Round robin: the next m available clients in the order of their numbers (Cho et al. 2023).

    Paper: cyclic client participation, Cho et al., "On the Convergence of Federated Averaging with Cyclic
    Client Participation", ICML 2023, with groups of m and those that are away skipped.
    Needs: availability only.
    Defaults: m = 10, 10 local steps.
    """

    name: ClassVar[str] = "round-robin"

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `next`, int `[E]`: whose turn it is."""
        return super().fresh_state(num_envs, num_clients) | {"next": np.zeros(num_envs, dtype=np.int64)}

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """Those whose turn comes first, first."""
        return -self._distance(situation.num_clients).astype(np.float64)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Move on behind the last one invited."""
        n = situation.num_clients
        steps_on = np.where(trained, self._distance(n) + 1, 0).max(axis=1)
        self.state["next"] = (self.state["next"] + steps_on) % n

    def _distance(self, num_clients: int) -> Ints:
        return (np.arange(num_clients)[None, :] - self.state["next"][:, None]) % num_clients
