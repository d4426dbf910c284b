"""Schedules that wait for no answer: once and for all, every few hours, after every drift if one is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import SchedulerKind, Situation
from ..base import State, knob
from ..parts import Adapted
from .paced import Bursts, Paced, flattened


@dataclass(kw_only=True)
class TrainThenStop(Paced):
    """Train, then serve: rounds until accuracy flattens, then never again.

    Random m participants. What most federated runs do today: whatever happens after the last round, the
    model stays. Accuracy is flat when the last five rounds gained fewer than `flat_gain` points; in a world
    of streams it is that of the answers known so far.
    Paper: none, common practice.
    Needs: accuracy after every round.
    Aggregation: the world's aggregator.
    Defaults: a point, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "train-then-stop"

    flat_gain: float = knob(
        1.0, "accuracy is flat if five rounds gain fewer points", low=0.05, high=10.0, log=True
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `flat` `[E]`."""
        return super().fresh_state(num_envs, num_clients) | {"flat": np.zeros(num_envs, dtype=bool)}

    def due(self, situation: Situation) -> Bools:
        """Until it is flat."""
        self.state["flat"] = self.state["flat"] | flattened(situation, self.flat_gain)
        return np.asarray(~self.state["flat"])

    def over(self, situation: Situation) -> Bools:
        """For good."""
        return self.state["flat"]


@dataclass(kw_only=True)
class Periodic(Paced):
    """Periodic retraining: a round every k hours, whatever happens.

    Random m participants; `period_h` hours from one round's beginning to the next one's, or as long as a
    round takes. If nobody is there when one is due, it is held as soon as somebody is.
    Paper: none, common practice.
    Needs: the clock.
    Aggregation: the world's aggregator.
    Defaults: every two hours, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "periodic"

    period_h: float = knob(
        2.0, "k, hours from round to round; off: one after the other", low=0.25, high=48.0, log=True, off=0.0
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `next_s` `[E]`, when the next round is due."""
        return super().fresh_state(num_envs, num_clients) | {"next_s": np.zeros(num_envs)}

    def due(self, situation: Situation) -> Bools:
        """When the clock says so."""
        return np.asarray(situation.run.time_s >= self.state["next_s"] - 1e-6)

    def pause_s(self, situation: Situation) -> Floats:
        """Until the next round."""
        return np.asarray(self.state["next_s"] - situation.run.time_s)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """The next one is due a period after this one."""
        after_s = situation.run.time_s + self.period_h * SECONDS_PER_HOUR
        self.state["next_s"] = np.where(trained.any(axis=1), after_s, self.state["next_s"])


@dataclass(kw_only=True)
class DriftOracle(Adapted, Bursts):
    """Told the drift: n rounds at the beginning and after every drift, which it sees as it happens.

    Random m participants, in bursts; see `Bursts`. It sees what no coordinator does (`Situation.future`), and
    so counts with those who see the future: the distance of a detector to it is what detection costs. In an
    evaluation it also plays every episode with the pace, the number of participants, the steps and the
    receivers that were best for it, see `Adapted`. It is not told how much a drift changes, nor who will be
    there, and holds as many rounds after every drift; more is possible (`clairvoyant`).
    Paper: none.
    Needs: `Situation.future.drift_s`; without drift it trains until accuracy flattens and stops.
    Aggregation: the world's aggregator.
    Defaults: 10 rounds half an hour apart, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "drift-oracle"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = True

    tried: ClassVar[tuple[str, ...]] = (
        "after_rounds",
        "participants",
        "upkeep_h",
        "refresh",
        "local_steps",
        "spacing_s",
        "rest_h",
        "quorum",
        "min_survival",
        "wait_saving",
    )

    after_rounds: int = knob(10, "n, rounds after each drift", low=1, high=60, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `drifts` `[E]` so far, and `owed` `[E]`, rounds still to be held after the last one."""
        more = {
            "drifts": np.zeros(num_envs, dtype=np.int64),
            "owed": np.full(num_envs, self.after_rounds, dtype=np.int64),
            "flat": np.zeros(num_envs, dtype=bool),
        }
        return super().fresh_state(num_envs, num_clients) | more

    def wanted(self, situation: Situation) -> Bools:
        """While rounds are owed; where nothing drifts, until accuracy flattens."""
        drift_s = _drifts(situation)
        if drift_s is None:
            self.state["flat"] = self.state["flat"] | flattened(situation, 1.0)
            return np.asarray(~self.state["flat"])
        drifts: Ints = (drift_s <= 0).sum(axis=1)
        owed = np.where(drifts > self.state["drifts"], self.after_rounds, self.state["owed"])
        self.state["drifts"], self.state["owed"] = drifts, owed
        return np.asarray(owed > 0)

    def over(self, situation: Situation) -> Bools:
        """Where nothing is owed and nothing will drift."""
        drift_s = _drifts(situation)
        if drift_s is None:
            return self.state["flat"]
        coming = (drift_s > 0) & (drift_s < SECONDS_PER_HOUR * situation.terms.budget_left[:, :1])
        idle = (self.state["owed"] <= 0) & ~coming.any(axis=1)
        return np.asarray(idle & (not self._keeps_up(situation)))

    def pause_s(self, situation: Situation) -> Floats:
        """Until the next drift, if it comes first."""
        pause_s, drift_s = super().pause_s(situation), _drifts(situation)
        if drift_s is None:
            return pause_s
        ahead = np.where(drift_s > 0, drift_s, np.inf).min(axis=1, initial=np.inf)
        quiet = ~self.state["burst"] & np.isfinite(ahead)
        if self._keeps_up(situation):
            return np.asarray(np.minimum(pause_s, ahead))
        return np.asarray(np.where(quiet, ahead, np.minimum(pause_s, ahead)))

    def learn(self, situation: Situation, trained: Bools) -> None:
        """One less is owed."""
        super().learn(situation, trained)
        held = trained.any(axis=1) & self.state["burst"]
        self.state["owed"] = self.state["owed"] - held


def _drifts(situation: Situation) -> Floats | None:
    """Seconds `[E, D]` until each drift; None where nothing drifts or nobody tells."""
    return None if situation.future is None else situation.future.drift_s
