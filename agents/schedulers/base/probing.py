"""Schedulers that ask for losses before they choose, and pay for the answers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import RoundPlan, Situation
from .rule import Rule, State


@dataclass(kw_only=True)
class Probing(Rule):
    """A rule with two kinds of decisions: a question to some clients, then a round of training.

    A question is a plan with `probe_samples`: those asked download the model, evaluate it on samples they
    hold and send one number back, which costs time, bytes, energy and emissions like everything else. The
    answers are in `ClientFacts.probed_loss` of the next decision. Clients without samples have no loss to
    tell and are only noted; a question to nobody else is not put. Whoever was asked stays asked until the
    next round of training, across waits; if all of them are gone by then, others are asked.
    """

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `asked` `[E, N]`, whom the last question went to, and `asking`, whom the present one does."""
        nobody = np.zeros((num_envs, num_clients), dtype=bool)
        return super().fresh_state(num_envs, num_clients) | {"asked": nobody, "asking": nobody.copy()}

    @abstractmethod
    def question(self, situation: Situation, allowed: Bools, wanted: int) -> Bools:
        """Whom to ask before the next round, bool `[E, N]`; an empty row trains without asking."""

    @abstractmethod
    def pick(self, situation: Situation, allowed: Bools, answered: Bools, wanted: int) -> Bools:
        """Who trains, bool `[E, N]`; `answered` are those asked that are still allowed."""

    def probe_size(self, situation: Situation) -> Ints32:
        """Samples `[E, N]` each asked client evaluates; here: all it holds."""
        return situation.clients.samples_held.astype(np.int32)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Those to ask where a question is due, else those who train."""
        question = self.question(situation, allowed, wanted) & allowed
        answered = self._state["asked"] & allowed
        due = np.asarray(
            ~answered.any(axis=1) & (question & (situation.clients.samples_held > 0)).any(axis=1)
        )
        self._state["asking"] = question & due[:, None]
        return np.where(due[:, None], question, self.pick(situation, allowed, answered, wanted))

    def plan(self, situation: Situation) -> RoundPlan:
        """A question or a round of training; see `Scheduler.plan`."""
        plan = super().plan(situation)
        asking = self._state["asking"] & (plan.wait_s <= 0)[:, None]
        rows = np.asarray(asking.any(axis=1))
        trained = self._state["trained_last"] & ~rows
        # A question is no round of training, which is what the base class took it for.
        self._state["rounds"] = self._state["rounds"] - rows
        self._state["trained_last"] = trained
        kept = np.where(trained[:, None], False, self._state["asked"])
        self._state["asked"] = np.where(rows[:, None], asking, kept)
        if not rows.any():
            return plan
        return replace(
            plan,
            local_steps=np.where(asking, 0, plan.local_steps).astype(np.int32),
            transfer_samples=np.where(asking, 0, plan.transfer_samples).astype(np.int32),
            quorum=np.where(rows, 1.0, plan.quorum),
            weights=_without(plan.weights, asking),
            probe_samples=np.where(asking, self.probe_size(situation), 0).astype(np.int32),
        )


def _without(weights: Floats | None, asking: Bools) -> Floats | None:
    return None if weights is None else np.where(asking, 0.0, weights)
