"""Whittle's index of the model's age: train when answers given up to age are worth more than a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import Situation
from ..base import State, knob
from .paced import Bursts, flattened, news

_CELL_H = 0.5
_CELLS = 96
"""Ages are told apart by half hours, up to two days."""


def whittle_index(loss: Floats) -> Floats:
    """`W(a) = a f(a) - sum of f(0) ... f(a - 1)`, `[E, A]`, of losses per slot f `[E, A]` that grow with age.

    The price of a renewal at which renewing at age a and going on are equally good (Kadota et al. 2018;
    Tripathi and Modiano, "A Whittle Index Approach to Minimizing Functions of Age of Information", 2019).
    """
    before = np.cumsum(loss, axis=1) - loss
    return np.asarray(np.arange(loss.shape[1]) * loss - before)


@dataclass(kw_only=True)
class AgeIndex(Bursts):
    """Whittle's index of age: train when what age costs outweighs a round (Tripathi & Modiano 2019).

    Random m participants. The share of wrong answers is learned as a function of the hours since the model
    was last renewed: known answers are entered under their age, after a prior rise of `rise_per_h` that
    counts as `prior_answers` in each half hour, and the curve is made to grow. Times requests and the worth
    of an answer it is f, points lost per half hour; a renewal is due where W(a) = a f(a) - sum of f before
    exceeds `caution` times its price at the present bytes, hours and carbon. A renewal is a burst of
    `renewal_rounds`, see `Bursts`, because one round alone seldom makes a model new; there are
    `first_rounds` at the beginning, which is no matter of age.
    Paper: Tripathi & Modiano, "A Whittle Index Approach to Minimizing Functions of Age of Information",
    Allerton 2019; the age of the model instead of a measurement's.
    Needs: requests per hour, their worth, answers known to be right or wrong, prices; in a world without
    streams it trains until accuracy flattens and stops.
    Aggregation: the world's aggregator.
    Defaults: 12 rounds at the beginning, 4 for a renewal, a rise of 0.02 per hour, 100 answers, caution 1.
    """

    name: ClassVar[str] = "age-index"

    first_rounds: int = knob(12, "rounds at the beginning", low=2, high=60, log=True)
    renewal_rounds: int = knob(4, "rounds that make the model new", low=1, high=30, log=True)
    upkeep_h: float = knob(
        0.0, "a round after so many hours without one, besides", low=0.5, high=24.0, log=True, off=0.0
    )
    rise_per_h: float = knob(
        0.02, "errors per hour of age, before any is known", low=0.001, high=0.3, log=True
    )
    prior_answers: float = knob(100.0, "answers that this counts as", low=5.0, high=5000.0, log=True)
    caution: float = knob(1.0, "factor on the price of a round", low=0.1, high=10.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds rounds still owed `[E]`, and answers and errors by age `[E, A]`."""
        more: State = {"owed": np.full(num_envs, self.first_rounds, dtype=np.int64)}
        more |= {key: np.zeros((num_envs, _CELLS)) for key in ("answers", "wrong")}
        return super().fresh_state(num_envs, num_clients) | more

    def wanted(self, situation: Situation) -> Bools:
        """While rounds are owed; a renewal is where the index exceeds its price."""
        if situation.stream is None:
            return np.asarray((self.state["owed"] > 0) & ~flattened(situation, 1.0))
        began_s = np.where(np.isfinite(self.state["began_s"]), self.state["began_s"], 0.0)
        age_h = (situation.run.time_s - began_s) / SECONDS_PER_HOUR
        cell = np.clip((age_h / _CELL_H).astype(np.int64), 0, _CELLS - 1)
        quiet = self.state["owed"] <= 0
        self._enter(situation, cell, quiet)
        worth = situation.stream.requests_hour * situation.stream.points_per_request * _CELL_H
        index = whittle_index(worth[:, None] * self.curve())[np.arange(cell.size), cell]
        price = self.caution * self.renewal_rounds * self.price(situation)
        self.state["owed"] = np.where(quiet & (index > price), self.renewal_rounds, self.state["owed"])
        return np.asarray(self.state["owed"] > 0)

    def over(self, situation: Situation) -> Bools:
        """In a world without streams, where accuracy is flat."""
        done = (self.state["owed"] <= 0) | flattened(situation, 1.0)
        return np.asarray(done & (situation.stream is None))

    def curve(self) -> Floats:
        """Share of wrong answers `[E, A]` by age, never falling."""
        prior = self.rise_per_h * _CELL_H * np.arange(_CELLS)
        answers, wrong = self.state["answers"], self.state["wrong"]
        young = answers[:, :1] > 0
        base = np.where(young, wrong[:, :1] / np.maximum(answers[:, :1], 1), 0.0)
        share = (self.prior_answers * np.minimum(base + prior, 1.0) + wrong) / (self.prior_answers + answers)
        return np.maximum.accumulate(share, axis=1)

    def price(self, situation: Situation) -> Floats:
        """Points `[E]` of a round of m of those there."""
        steps, there = self.steps_now(situation), situation.clients.available
        points = np.where(there, situation.round_points(steps, self.transfers(situation)), 0.0)
        mean = points.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        round_s = np.where(there, situation.round_s(steps), 0.0).max(axis=1) + situation.terms.overhead_s
        hours = situation.terms.price_per_hour * round_s / SECONDS_PER_HOUR
        return np.asarray(mean * np.minimum(self.participants, there.sum(axis=1)) + hours)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """One less is owed."""
        super().learn(situation, trained)
        self.state["owed"] = self.state["owed"] - (trained.any(axis=1) & self.state["burst"])

    def _enter(self, situation: Situation, cell: Ints, quiet: Bools) -> None:
        """Enter the known answers under their age; those during a renewal say nothing of it."""
        rows = np.arange(cell.size)
        for key, new in zip(("answers", "wrong"), news(situation), strict=True):
            self.state[key][rows, cell] += np.where(quiet, new, 0.0)
