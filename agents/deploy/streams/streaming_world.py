"""A federation of real nodes that are asked things all the time, as a `World` of one environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import OWN_REFRESH, REFRESHES, RoundOutcome, RoundPlan, Situation, StepResult, said_of
from ....fl_core.federation import TrainResult
from ....fl_core.remote import LocalUpdate, RemoteCore, RemoteStreamCore, StreamCall, StreamDay, TrainOrder
from ..federation import LiveRound, LiveWorld
from .books import StreamBooks

_STATE = "stream/"


class StreamingLiveWorld(LiveWorld):
    """A `LiveWorld` whose nodes answer requests with the version they hold, and train on what they keep.

    After every step all nodes that are not at work are sent a word: the new model, where the plan's `refresh`
    says so, and otherwise nothing but the question what became known. So every answer brings two integers.
    Once the training has ended the nodes serve until the last label is known. Arguments as of `LiveWorld`.
    """

    core_type: ClassVar[type[RemoteCore]] = RemoteStreamCore
    core: RemoteStreamCore

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        draw, said = self.draw, self.scenario
        if draw.stream is None:
            raise ValueError("arrivals: none, expected a model of them where nodes are asked things")
        self._day = StreamDay(draw.start_utc_s, draw.stream.horizon_s, tuple(draw.utc_offset_h.tolist()))
        scores = self.ledger.accuracy.copy(), self.ledger.loss.copy()
        self.books = StreamBooks(draw.stream, said.memory, said.clients, *scores)
        self._validation = scores[0]
        self._number, self._has = 0, np.zeros((1, said.clients), dtype=np.int64)  # versions
        self._sent = np.zeros(said.clients, dtype=np.int64)
        self._refresh = REFRESHES.index(said.serving.refresh[-1])
        self._longest_s = max([each for each in said.levels.wait_s if np.isfinite(each)] or [0.0])

    @property
    def _ready(self) -> Bools:
        """See `LiveWorld`; nobody who remembers nothing."""
        return np.asarray(super()._ready & (self.held[0] > 0))

    def test_scores(self) -> tuple[Floats, Floats]:
        """Share of right answers among those known so far, 0 before the first; losses are not told."""
        answered = np.maximum(self.books.answered.sum(axis=1), 1)
        return np.asarray(self.books.right.sum(axis=1) / answered), np.full(1, np.nan)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """See `LiveWorld.situation`."""
        self._keep_to_the_clock()
        known = super().situation(clairvoyant)
        clients = replace(known.clients, available=known.clients.available & self._ready)
        stream = self.books.facts(self.clock.now(), self.held, self._number - self._has)
        return replace(known, clients=clients, stream=stream)

    def step(self, plan: RoundPlan) -> StepResult:
        """See `LiveWorld.step`."""
        self._keep_to_the_clock()
        return super().step(plan)

    def _keep_to_the_clock(self) -> None:
        """The hours of the budget are over when requests are, though books count no time between steps."""
        left_h = max(self.books.horizon_s - self.clock.now(), 0.0) / SECONDS_PER_HOUR
        self.draw.budgets[0] = self.population.budgets[0, 0] = self.ledger.hours[0] + left_h

    def state(self) -> dict[str, AnyArray]:
        """See `LiveWorld.state`."""
        stream = self.books.state() | {"validation": self._validation, "number": np.array(self._number)}
        return super().state() | {_STATE + name: np.array(value) for name, value in stream.items()}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """See `LiveWorld.load_state`; what nodes held and had not reported belongs to the stopped run."""
        super().load_state(state)
        mine = {name.removeprefix(_STATE): each for name, each in state.items() if name.startswith(_STATE)}
        try:
            self.books.load_state(mine)
            self._number, self._validation = int(mine["number"]), mine["validation"]
        except KeyError as error:
            raise ValueError(
                f"checkpoint: {_STATE}{error.args[0]} is missing, expected one of nodes that are asked things"
            ) from None

    def _carry_out(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        outcome, trained = super()._carry_out(plan)
        moves_alone = plan.is_round[0] and self.core.aggregator.moves_alone and not outcome.diverged[0]
        if trained[0] or moves_alone:
            self._number += 1
            self._validation = outcome.accuracy.copy()
        return self._heard(outcome, self._receivers(plan, outcome)), trained

    def _end(self, outcome: RoundOutcome) -> RoundOutcome:
        """What the versions that are held serve after the last step, until the last label is known."""
        whole = outcome
        while (left_s := self.books.end_s - self.clock.now()) > 0:
            began_s = self.clock.now()
            self._idle(min(left_s, self._longest_s or left_s))
            waited = self._outcome(LiveRound.blank(self.scenario.clients), None, 0, began_s)
            whole = _together(whole, self._heard(waited, np.zeros_like(outcome.invited)))
        self.books.give_up()
        self.ledger.extend(outcome, whole)
        return whole

    def _receivers(self, plan: RoundPlan, outcome: RoundOutcome) -> Bools:
        """Who is sent the new model after a round, bool `[1, N]`: those who do not have it."""
        rule = int(said_of(plan, "refresh")[0])
        rule = self._refresh if rule == OWN_REFRESH else rule
        wanted = ((rule == 1) & outcome.invited) | (rule == 2)
        useful = bool(plan.is_round[0]) and self.clock.now() < self.books.horizon_s
        return np.asarray(wanted & (self._has < self._number) & useful)

    def _heard(self, outcome: RoundOutcome, receivers: Bools) -> RoundOutcome:
        """The outcome of a step after which all idle nodes were sent a word, some of them the new model."""
        began_s = self.clock.now()
        self.runner.listen()
        self._forget_sent()
        idle = np.flatnonzero(self.roster.available)
        refreshed = receivers & self.roster.available
        words = self.core.words(idle, refreshed[0], int(self.ledger.rounds[0]))
        word = self._outcome(self._ask(words, 1.0), None, 0, began_s)
        served = self.books.close(self.clock.now(), refreshed, self._validation.copy())
        known, told = self.books.known.fast, outcome.reported_loss[np.isfinite(outcome.reported_loss)]
        loss = np.full(1, told.mean(dtype=np.float64)) if told.size else self.ledger.loss.copy()
        return _together(replace(outcome, accuracy=known, loss=loss, served=served), word)

    def _play(self, orders: dict[int, TrainOrder], quorum: float) -> LiveRound:
        if not orders:
            self._idle(self.overhead_s)
        return self._ask(orders, quorum)

    def _ask(self, orders: dict[int, TrainOrder], quorum: float) -> LiveRound:
        """Send orders, with what a node that is asked things has to know, and enter the reports."""
        now_s = self.clock.now()
        for client, order in orders.items():
            self.books.ask(client, now_s)
            self._sent[client] = self._number if order.params.size else self._has[0, client]
        calls = {
            client: StreamCall(
                now_s=now_s,
                since_s=float(self.roster.session_start_s[client]),
                heard_s=float(self.books.heard_s[client]),
                sent_utc_s=time.time(),
                scale=self.clock.scale,
                day=self._day,
            )
            for client in orders
        }
        told = {client: replace(order, stream=calls[client]) for client, order in orders.items()}
        played = self.runner.run(told, quorum, self.draw.operator["deadline_s"])
        for client, update in list(played.updates.items()):
            if why := self._report(client, update):
                self.runner.refuse(played, client, why)
        self._enter_held({client: update.held for client, update in played.updates.items()})
        return played

    def _report(self, client: int, update: LocalUpdate) -> str:
        """Enter a client's report; says why it cannot be true, which is its node's failure."""
        try:
            self.books.hear(client, update)
        except ValueError as error:
            return str(error)
        self._has[0, client] = self._sent[client]
        return ""

    def _outcome(
        self,
        played: LiveRound,
        result: TrainResult | None,
        repairs: int,
        began_s: float,
        scores: tuple[Floats, Floats] | None = None,
    ) -> RoundOutcome:
        for answer in self.runner.late:  # too late to count, but not to tell
            if why := self._report(answer.client, answer.update):
                self.roster.trust.doubt(answer.client, self.roster.names[answer.client], [why])
        return super()._outcome(played, result, repairs, began_s, scores)

    def _enter_held(self, held: dict[int, int]) -> None:
        """What clients say they remember, as far as memories reach."""
        for client, count in held.items():
            self.held[0, client] = int(np.clip(count, 0, self.scenario.memory.rows))
        self.core.hold(self.held)

    def _forget(self, gone: Bools) -> None:
        """Nothing is known of these until they are back and have told."""
        self.held[0, gone] = self._has[0, gone] = 0
        self.core.hold(self.held)
        self.core.end_sessions(gone[None])


def _together(step: RoundOutcome, word: RoundOutcome) -> RoundOutcome:
    """A step, and what was said to the nodes afterwards: costs and answers add up."""
    sums = ("duration_s", "down_bytes", "up_bytes", "energy_j", "emissions_g", "wasted_j")
    added = {name: getattr(step, name) + getattr(word, name) for name in sums}
    if step.served is not None and word.served is not None:
        one, other = step.served, word.served
        counts = ("requests", "right", "loss", "labels", "labels_right", "drift_events")
        served = {name: getattr(one, name) + getattr(other, name) for name in counts}
        added |= {"served": replace(one, **served), "accuracy": word.accuracy, "loss": word.loss}
    return replace(step, **added)
