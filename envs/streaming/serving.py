"""The serving of E worlds: requests between two decisions, answered, learned from, and refreshed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints8
from ...common.units import SECONDS_PER_HOUR
from ...fl_core.federation import RequestSpans, RoundEngine, StreamEngine
from ...traces.arrivals import ArrivalBatch
from ...traces.availability import SessionBatch
from ..contract import OWN_REFRESH, REFRESHES, RoundPlan, Served, StreamFacts
from ..episode import StreamDraw
from ..scenario import Scenario
from .asking import Consultation, Given
from .known import KnownAnswers
from .spans_kernels import RIGHT, Sums, Window, book, cut, made_known
from .versions import Versions

_FIRST_PLACES = 64


@dataclass(frozen=True)
class Now:
    """Where E worlds stand, and how far a step takes them."""

    begin_s: Floats  # [E] since the episodes began
    end_s: Floats  # [E]
    active: Bools  # [E] whose episode is running


class Serving:
    """Clients that are asked things all the time, and answer with the version of the model they hold.

    Args:
        scenario: its blocks `arrivals`, `memory`, `serving`, `exits`.
        core: answers and learns.
        sessions: who is connected, where clients may ask the hub.

    Attributes:
        right: int64 `[E, N]`, right answers so far.
        requests: int64 `[E, N]`, requests so far.
        loss: `[E]`, sum of the answers' losses.
        known: what is known of them.
        versions: who answers with what.
        hub: answers what clients are not sure of; None where they hold the whole model.
        validation: `[E]`, accuracy on the validation set in the present concepts when the model last changed.
    """

    def __init__(self, scenario: Scenario, core: RoundEngine, sessions: SessionBatch):
        if not isinstance(core, StreamEngine):
            raise ValueError(f"arrivals: given, but a {type(core).__name__} answers no requests")
        self._core, self._engine = core, core
        shape = num_envs, n = sessions.num_envs, scenario.clients
        self._delay_s = scenario.memory.label_delay_s
        self._ephemeral = scenario.memory.ephemeral
        self._most_rows = np.full(num_envs, scenario.memory.rows)
        self._global = scenario.serving.model == "global"
        self._own_refresh = REFRESHES.index(scenario.serving.refresh[-1])
        self.arrivals = ArrivalBatch(num_envs, n)
        self.known, self.versions = KnownAnswers(*shape), Versions(*shape, core.parameters())
        self.hub: Consultation | None = None
        if scenario.exits is not None:
            self.hub = Consultation(scenario.levels.ask_below, core, sessions, self.arrivals)
        self._horizon_s, self._expected = np.zeros(num_envs), np.ones(num_envs)
        self._drift_s, self._drift = np.full((*shape, 0), np.inf), np.zeros((*shape, 0), dtype=np.int64)
        self._concepts = np.zeros((*shape, 1), dtype=np.int64)
        self._moments_s = np.full((num_envs, 0), np.inf)  # at which some client's concept changes
        self.requests, self.right = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self._known_until = np.zeros(shape, dtype=np.int64)
        self._last = np.zeros((3, *shape), dtype=np.int64)  # arrived, labels, right among them
        self.loss, self.validation = np.zeros(num_envs), np.zeros(num_envs)
        self._ring_marks: Ints8 = np.zeros((*shape, _FIRST_PLACES), dtype=np.int8)
        self._ring_loss: Floats32 = np.zeros((*shape, _FIRST_PLACES), dtype=np.float32)

    def set(self, env: int, draw: StreamDraw) -> None:
        """Enter what was drawn for one environment's new episode."""
        self.arrivals.set(env, draw.arrivals)
        self._horizon_s[env] = draw.horizon_s
        if self.hub is not None:
            self.hub.set(env, draw.ask_price)
        self._expected[env] = self.arrivals.expected()[env]
        changes = draw.drift.num_changes
        missing = changes - self._drift_s.shape[2]
        if missing > 0:
            more = ((0, 0), (0, 0), (0, missing))
            self._drift_s = np.pad(self._drift_s, more, constant_values=np.inf)
            self._concepts = np.pad(self._concepts, more, mode="edge")
        self._drift_s[env, :, :changes], self._drift_s[env, :, changes:] = draw.drift.times_s, np.inf
        self._concepts[env, :, : changes + 1] = draw.drift.concept
        self._concepts[env, :, changes + 1 :] = draw.drift.concept[:, -1:]

    def begin(self, envs: Bools, accuracy: Floats, loss: Floats) -> None:
        """The episodes in the rows of `envs` begin; their untrained models score so on the validation set."""
        steps = [self.arrivals.until(self._drift_s[:, :, d]) for d in range(self._drift_s.shape[2])]
        self._drift = np.stack(steps, axis=2) if steps else np.zeros(self._drift_s.shape, dtype=np.int64)
        self._moments_s = _moments(self._drift_s)
        for table in (self.requests, self.right, self._known_until, self.loss):
            table[envs] = 0
        self._last[:, envs] = 0
        self.validation[envs] = accuracy[envs]
        self.known.reset(envs, accuracy, loss)
        if self.hub is not None:
            self.hub.reset(envs, accuracy)
        self.versions.reset(envs, self._core.parameters())

    def play(self, now: Now, got_s: Floats) -> Served:
        """Let the time of a step pass: requests are answered, and the labels that are due become known.

        Args:
            now: from when until when; nothing arrives beyond the horizon.
            got_s: `[E, N]`, when each client had the newest version with the round's download; inf = not.
        """
        end_s = np.where(now.active, np.minimum(now.end_s, self._horizon_s), now.begin_s)
        end_s = np.maximum(end_s, now.begin_s)
        slots, change_s = self.versions.play(end_s, got_s, now.active)
        arrived = np.where(now.active[:, None], self.arrivals.until(end_s), self.requests)
        window = Window(
            begin=self.requests,
            end=arrived,
            begin_s=now.begin_s,
            end_s=end_s,
            change=np.stack([self.arrivals.until(change_s[:, :, c]) for c in (0, 1)], axis=2),
            change_s=change_s,
            slot=slots,
            drift=self._drift,
            drift_s=self._drift_s,
            concept=self._concepts,
        )
        sums = self._answer(window)
        asked = arrived - self.requests
        self.right += sums.right
        self.loss += sums.loss.sum(axis=1)
        self.requests = arrived
        labels, labels_right = self._learn(now, end_s)
        self._last = np.stack([asked, labels, labels_right])
        self._engine.be_in(self._concept_at(end_s), end_s)
        return Served(
            requests=asked,
            right=sums.right,
            loss=sums.loss,
            labels=labels,
            labels_right=labels_right,
            refreshed=np.zeros(asked.shape, dtype=bool),
            drift_events=self._drifts(now.begin_s, end_s),
            frozen_right=sums.frozen,
            validation=self.validation.copy(),
            expected=self._expected.copy(),
            asked=None if self.hub is None else self.hub.charge(sums.asked, self._expected),
        )

    def receivers(self, plan: RoundPlan, participants: Bools, available: Bools, now_s: Floats) -> Bools:
        """Who is sent the new model after a round, bool `[E, N]`: those who do not have it, nor expect it."""
        rule = np.full(len(now_s), OWN_REFRESH) if plan.refresh is None else plan.refresh
        rule = np.where(rule == OWN_REFRESH, self._own_refresh, rule)[:, None]
        wanted = ((rule == 1) & participants) | (rule == 2)
        useful = plan.is_round & (now_s < self._horizon_s)
        behind = self.versions.expected < self.versions.number[:, None]
        return np.asarray(wanted & available & useful[:, None] & behind)

    def move(self, moved: Bools, validation: Floats) -> None:
        """The models in the rows of `moved` have changed; they score so on the validation set."""
        self.versions.add(moved, self._core.parameters())
        self.validation = np.where(moved, validation, self.validation)
        if self._global:
            self.versions.hand_over(np.broadcast_to(moved[:, None], self.right.shape))

    def end_sessions(self, ended: Bools) -> None:
        """These clients' `[E, N]` sessions have ended, and with them an ephemeral memory."""
        if self._ephemeral and ended.any():
            self._engine.forget(ended)

    def rest_s(self, time_s: Floats) -> Floats:
        """`[E]`, seconds from `time_s` until the horizon."""
        return np.maximum(self._horizon_s - time_s, 0.0)

    @property
    def right_of_expected(self) -> Floats:
        """`[E]`, right answers so far over the requests that the whole episode may expect."""
        return np.asarray(self.right.sum(axis=1) / self._expected)

    @property
    def prequential(self) -> tuple[Floats, Floats]:
        """Share of right answers among all so far, and mean loss, each `[E]`; 0 before the first."""
        asked = np.maximum(self.requests.sum(axis=1), 1)
        return np.asarray(self.right.sum(axis=1) / asked), self.loss / asked

    @property
    def client_accuracy(self) -> Floats:
        """`[E, N]`, each client's share of right answers; nan where nothing was asked."""
        shares = np.full(self.right.shape, np.nan)
        return np.asarray(np.divide(self.right, self.requests, out=shares, where=self.requests > 0))

    def drift_ahead_s(self, time_s: Floats) -> Floats:
        """`[E, D]`, from `time_s` until the moments at which some client's concept changes, in order."""
        return np.asarray(self._moments_s - time_s[:, None])

    def facts(self, time_s: Floats, question_points: Floats) -> StreamFacts:
        """What a coordinator knows at `time_s` `[E]`; bytes and grams of a question cost points `[E]`."""
        per_request = 100.0 / self._expected
        return StreamFacts(
            arrived=self._last[0].copy(),
            requests=self.requests.copy(),
            memory_rows=self._core.held.astype(np.int64),
            most_rows=self._most_rows.copy(),
            memory_age_s=self._engine.memory_age_s(time_s),
            version_lag=self.versions.lag,
            labels=self._last[1].copy(),
            right=self._last[2].copy(),
            right_share=self.known.right_share,
            right_fast=self.known.fast,
            right_slow=self.known.slow,
            page_hinkley=self.known.page_hinkley.copy(),
            requests_hour=self.arrivals.expected_per_h(time_s).sum(axis=1, dtype=np.float64),
            points_per_request=per_request,
            ask=None if self.hub is None else self.hub.facts(question_points / per_request),
        )

    def _answer(self, window: Window) -> Sums:
        """Answer the requests of a window and keep the answers until their labels are known."""
        env, client, first, last, concept, middle_s, origin = cut(window, self.versions.models.shape[1])
        pending = int((window.end - self._known_until).max(initial=0))
        if pending > self._ring_marks.shape[2]:
            self._widen(pending, window.begin)
        models = self.versions.models.reshape(-1, self.versions.models.shape[2])
        spans = RequestSpans(env, client, first, last, concept, middle_s, models, origin)
        answers = self._engine.answer(spans)
        given = Given(answers.right.astype(np.int8), answers.loss)
        if self.hub is not None:
            given = self.hub.give(spans, answers, self.versions.newest)
        shape = self.right.shape
        counts = np.zeros((2, *shape), dtype=np.int64)
        sums = Sums(counts[0], counts[1], np.zeros(shape), np.zeros(shape[0]))
        each = (given.marks, given.loss, answers.frozen)
        book(env, client, first, last, each, sums, self._ring_marks, self._ring_loss)
        return sums

    def _learn(self, now: Now, end_s: Floats) -> tuple[Ints, Ints]:
        """Labels that become known `[E, N]`, and how many of those answers were right."""
        due = np.where(now.active[:, None], self.arrivals.until(end_s - self._delay_s), self._known_until)
        rings = (self._ring_marks, self._ring_loss)
        columns = made_known(self._known_until, due, self._drift, self._concepts, *rings)
        self._known_until = np.maximum(due, self._known_until)
        kept = self._engine.labelled(*columns[:3])
        if kept.size < columns[0].size:
            columns = tuple(column[kept] for column in columns)  # type: ignore[assignment]
        env, client, number, concept, marks, loss = columns
        right = (marks & RIGHT) > 0
        e, n = self.right.shape
        of_client = env * n + client
        labels = np.bincount(of_client, minlength=e * n).reshape(e, n)
        right_counts = np.bincount(of_client[right], minlength=e * n).reshape(e, n)
        hours = (end_s - now.begin_s) / SECONDS_PER_HOUR
        self.known.enter(
            hours, labels, right_counts, np.bincount(env, weights=loss, minlength=e).astype(np.float64)
        )
        if self.hub is not None:
            self.hub.learn(hours, env, marks)
        if env.size:
            self._engine.learn(env, client, number, concept, self.arrivals.moments(env, client, number))
        return labels, right_counts

    def _widen(self, pending: int, begin: Ints) -> None:
        """Room for so many answers whose labels are not known; those that are there keep their numbers."""
        places = self._ring_marks.shape[2]
        more = 1 << (pending - 1).bit_length()
        number = begin[:, :, None] - 1 - np.arange(places)  # the last answers, all that may be pending
        wide_marks = np.zeros((*begin.shape, more), dtype=np.int8)
        wide_loss = np.zeros((*begin.shape, more), dtype=np.float32)
        for ring, wide in ((self._ring_marks, wide_marks), (self._ring_loss, wide_loss)):
            values = np.take_along_axis(ring, number % places, axis=2)
            np.put_along_axis(wide, number % more, values, axis=2)
        self._ring_marks, self._ring_loss = wide_marks, wide_loss

    def _concept_at(self, time_s: Floats) -> Ints:
        """`[E, N]`, the concept that each client is in."""
        stage = (self._drift_s <= time_s[:, None, None]).sum(axis=2)
        return np.take_along_axis(self._concepts, stage[:, :, None], axis=2)[:, :, 0]

    def _drifts(self, begin_s: Floats, end_s: Floats) -> Ints:
        """`[E]`, moments in (begin, end] at which some client's concept changed."""
        ahead = self.drift_ahead_s(begin_s)
        return np.asarray(((ahead > 0) & (ahead <= (end_s - begin_s)[:, None])).sum(axis=1))


def _moments(drift_s: Floats) -> Floats:
    """The different times `[E, D]` among `[E, N, D]`, in order; inf behind them."""
    times = np.sort(drift_s.reshape(len(drift_s), -1), axis=1)
    again = np.zeros(times.shape, dtype=bool)
    again[:, 1:] = times[:, 1:] == times[:, :-1]
    ordered = np.sort(np.where(again, np.inf, times), axis=1)
    return np.asarray(ordered[:, : int(np.isfinite(ordered).sum(axis=1).max(initial=0))])
