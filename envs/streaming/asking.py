"""Clients that answer from an early exit: who is not sure enough, and what the hub answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints8
from ...fl_core.federation import Answers, ConsultedEngine, RequestSpans, RoundEngine
from ...traces.arrivals import ArrivalBatch
from ...traces.availability import SessionBatch
from ..contract import OWN_ASK_BELOW, Asked, AskFacts, RoundPlan, said_of
from .known import FAST_H
from .spans_kernels import ASKED, RIGHT

HUB_ANSWER_BYTES = 8.0
"""A class and a confidence."""


@dataclass(frozen=True)
class Given:
    """The answers to R requests, the hub's where it was asked."""

    marks: Ints8  # [R] RIGHT and ASKED
    loss: Floats32  # [R]


class Consultation:
    """The hub of E environments, which answers what clients are not sure of.

    Args:
        levels: of the threshold, the last of them the world's own.
        core: answers.
        sessions: a client can ask while its session runs.
        arrivals: when it is asked.

    Attributes:
        model_share: part of the model that a client needs to answer.
    """

    def __init__(
        self, levels: tuple[float, ...], core: RoundEngine, sessions: SessionBatch, arrivals: ArrivalBatch
    ):
        if not isinstance(core, ConsultedEngine):
            raise ValueError(f"exits: given, but a {type(core).__name__} answers no questions")
        self._core, self._sessions, self._arrivals = core, sessions, arrivals
        self._levels = np.array(levels)
        self.model_share = core.early_share
        shape = (sessions.num_envs, sessions.num_clients)
        self._below = np.zeros(sessions.num_envs)
        self._price = np.zeros(sessions.num_envs)
        self._known = np.zeros((2, 2, sessions.num_envs))  # right and all known answers, of clients and hub
        self._start = np.zeros(sessions.num_envs)
        self._last = np.zeros(shape, dtype=np.int64)

    def set(self, env: int, price: float) -> None:
        """What a question costs in one environment's new episode, in hundredths of a right answer."""
        self._price[env] = price

    def reset(self, envs: Bools, accuracy: Floats) -> None:
        """New episodes in the rows of `envs`, whose untrained models are so often right."""
        self._known[:, :, envs], self._last[envs] = 0.0, 0
        self._start[envs] = accuracy[envs]

    def order(self, plan: RoundPlan) -> None:
        """Take the threshold of a plan, which holds until the next."""
        said = said_of(plan, "ask_below")
        self._below = np.where(said == OWN_ASK_BELOW, self._levels[-1], said)

    def give(self, spans: RequestSpans, answers: Answers, newest: Ints) -> Given:
        """The answers after those who are not sure have asked.

        Args:
            spans: of the requests.
            answers: the clients' own.
            newest: `[E]`, row of `spans.models` that the hub answers with.
        """
        assert answers.confidence is not None
        count = spans.end - spans.begin
        asked = answers.confidence < np.repeat(self._below[spans.env], count)
        place = np.flatnonzero(asked)
        job = np.searchsorted(spans.first, place, side="right") - 1
        env, client = spans.env[job], spans.client[job]
        moment_s = self._arrivals.moments(env, client, spans.begin[job] + place - spans.first[job])
        asked[place] = self._sessions.running_at(env, client, moment_s)
        marks, loss = answers.right.astype(np.int8), answers.loss.copy()
        if asked.any():
            right, loss[asked] = self._core.consult(replace(spans, origin=newest[spans.env]), asked)
            marks[asked] = ASKED + RIGHT * right
        return Given(marks, loss)

    def charge(self, count: Ints, expected: Floats) -> Asked:
        """What so many questions `[E, N]` cost, of the expected requests `[E]` of the episodes."""
        self._last = count
        return Asked(count, self._price * count.sum(axis=1) / expected)

    def learn(self, hours: Floats, env: Ints, marks: Ints8) -> None:
        """Hours `[E]` pass, and at their end labels of `[R]` answers become known: whose, and their marks."""
        self._known *= np.exp(-hours / FAST_H)
        right, asked = (marks & RIGHT) > 0, (marks & ASKED) > 0
        for who, mine in enumerate((~asked, asked)):
            for row, those in enumerate((mine & right, mine)):
                self._known[row, who] += np.bincount(env[those], minlength=hours.size)

    def facts(self, extra: Floats) -> AskFacts:
        """What a coordinator knows; `extra` `[E]`: right answers that a question's bytes and grams cost."""
        right, count = self._known
        start = np.broadcast_to(self._start, right.shape).copy()
        kept, hub = np.divide(right, count, out=start, where=count > 0)
        price = self._price / 100.0 + extra
        return AskFacts(self._last.copy(), kept, hub, count[1].copy(), price, self._levels.copy())
