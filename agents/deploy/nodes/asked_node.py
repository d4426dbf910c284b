"""A node that is asked things: it answers with the version it holds, remembers, and trains on that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ....common.arrays import Ints8
from ....common.splits import Split
from ....envs.scenario import Scenario
from ....fl_core.federation import RequestSpans
from ....fl_core.remote import (
    MISSED,
    RIGHT,
    WRONG,
    LocalNode,
    LocalUpdate,
    Storage,
    StreamCall,
    StreamDay,
    StreamMemory,
    TrainOrder,
)
from .node_data import local_stream

_NO_COUNTS = np.zeros(0, dtype=np.int64)


class AskedNode:
    """One client of a stream where it really runs.

    Its version changes only when an order comes, so that all that came since the last order can be answered
    then: with the version held until then, and never with the one that the order brings. When that was, by
    the federation's clock, follows from when the order was sent and how long it was on its way, by the clocks
    of both machines. Labels are reported, and memories trained on, as of when the order was sent.

    Args:
        scenario: the federation's.
        split: as in the coordinator's settings.
        seed: likewise.
        client: which client the node plays.
        day: of its orders.
        clock: seconds of a clock that never goes back.
        utc: Unix time.
    """

    def __init__(
        self,
        scenario: Scenario,
        split: Split,
        seed: int,
        client: int,
        day: StreamDay,
        clock: Callable[[], float] = time.perf_counter,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self._scenario, self._client, self._clock, self._utc = scenario, client, clock, utc
        self._delay_s, self._ephemeral = scenario.memory.label_delay_s, scenario.memory.ephemeral
        self._stream = local_stream(scenario, split, seed, client, day)
        self._untrained = self._stream.core.parameters()[0].astype(np.float32)
        self._nothing = self._stream.core.memories.of(0, client)

    def carry_out(
        self,
        order: TrainOrder,
        memory: StreamMemory | None = None,
        storage: Storage | None = None,
        restarted: bool = False,
    ) -> tuple[LocalUpdate, StreamMemory, Storage]:
        """Answer what has come, learn what is known, and carry out one order.

        Args:
            order: with its `stream`.
            memory: what it kept of its stream; None = nothing: it begins with the untrained model and an
                empty memory. So it does if what it kept is of a later time, hence of another run.
            storage: what it kept so far otherwise; None = nothing.
            restarted: whether its process was started since; then nobody has answered in between.

        Returns:
            The update with the two integers, and what to keep.
        """
        call = order.stream
        if call is None:
            raise ValueError("order: nothing is said of a stream, expected the times of its requests")
        began_s = self._clock()
        if memory is None or memory.last_s > call.now_s:
            memory = self._born(call.since_s)
        elif restarted:
            memory = self._slept(memory, call.since_s)
        kept = self._lived(memory, call).heard(call.heard_s)
        way_s = max(self._utc() - call.sent_utc_s, 0.0) * call.scale if order.params.size else 0.0
        kept = self._caught_up(kept, call.now_s, call.now_s + way_s)
        kept_storage = storage or Storage.empty(self._stream.core.dataset.num_features)
        if order.local_steps or order.probe_samples:
            update, kept_storage = self._trained(order, kept_storage)
        else:
            nothing = np.zeros(0, dtype=np.float32)
            update = LocalUpdate(order.client, order.round_index, nothing, float("nan"), 0, 0.0)
        if order.params.size:
            kept = replace(kept, params=order.params)
        answered, right = kept.report
        held, spent_s = int(kept.tables.held), self._clock() - began_s
        update = replace(update, held=held, compute_s=spent_s, answered=answered, right=right)
        return update, kept, kept_storage

    def _until(self, time_s: float) -> int:
        """Requests that came before a moment."""
        return int(self._stream.arrivals.until(np.array([time_s]))[0, self._client])

    def _born(self, since_s: float) -> StreamMemory:
        first = self._until(since_s)
        return StreamMemory(
            params=self._untrained,
            session_s=since_s,
            last_s=since_s,
            answered=first,
            known=first,
            pending=np.zeros(0, dtype=np.int8),
            tables=self._nothing,
            report_s=np.zeros(0),
            report_answered=_NO_COUNTS,
            report_right=_NO_COUNTS,
        )

    def _slept(self, kept: StreamMemory, until_s: float) -> StreamMemory:
        """Nobody was there to answer until then."""
        first = max(self._until(until_s), kept.answered)
        missed = np.full(first - kept.answered, MISSED, dtype=np.int8)
        return replace(kept, answered=first, pending=np.concatenate([kept.pending, missed]))

    def _lived(self, kept: StreamMemory, call: StreamCall) -> StreamMemory:
        """What is left of it in the present session."""
        if self._ephemeral and kept.session_s != call.since_s:
            kept = replace(kept, tables=self._nothing)
        return replace(kept, session_s=call.since_s, last_s=call.now_s)

    def _caught_up(self, kept: StreamMemory, now_s: float, got_s: float) -> StreamMemory:
        """It has answered until the order was there, and learned what was known when it was sent."""
        core = self._stream.core
        core.memories.put(0, self._client, kept.tables)
        core.forget(np.zeros(core.held.shape, dtype=bool))  # nobody: the core looks its memories up again
        last = max(self._until(got_s), kept.answered)
        pending = np.concatenate([kept.pending, self._right(kept, last)])
        due = min(max(self._until(now_s - self._delay_s), kept.known), last)
        settled = pending[: due - kept.known]
        number = kept.known + np.flatnonzero(settled != MISSED)
        if number.size:
            env, client = np.zeros(number.size, dtype=np.int64), np.full(number.size, self._client)
            moments_s = self._stream.arrivals.moments(env, client, number)
            stage = np.searchsorted(self._stream.drift, number, side="right")
            core.learn(env, client, number, self._stream.concept[stage], moments_s)
        return replace(
            kept,
            answered=last,
            known=due,
            pending=pending[settled.size :],
            tables=core.memories.of(0, self._client),
            report_s=np.append(kept.report_s, now_s),
            report_answered=np.append(kept.report_answered, number.size),
            report_right=np.append(kept.report_right, int((settled == RIGHT).sum())),
        )

    def _right(self, kept: StreamMemory, last: int) -> Ints8:
        """How the version that is held answers the requests until `last`: `RIGHT` or not."""
        if last == kept.answered:
            return np.zeros(0, dtype=np.int8)
        edges = np.clip(self._stream.drift, kept.answered, last)
        begin, end = np.concatenate([[kept.answered], edges]), np.concatenate([edges, [last]])
        some = end > begin
        jobs = np.zeros(int(some.sum()), dtype=np.int64)
        spans = RequestSpans(
            env=jobs,
            client=jobs + self._client,
            begin=begin[some],
            end=end[some],
            concept=self._stream.concept[some],
            moment_s=np.zeros(jobs.size),
            models=kept.params[None],
            origin=jobs,
        )
        right, _ = self._stream.core.consult(spans, np.ones(last - kept.answered, dtype=bool))
        return np.where(right, RIGHT, WRONG).astype(np.int8)

    def _trained(self, order: TrainOrder, storage: Storage) -> tuple[LocalUpdate, Storage]:
        """What a node comes to whose own rows are those that it remembers."""
        said, core = self._scenario, self._stream.core
        rows = core.held_rows(0, self._client)
        node = LocalNode(core.dataset, core.model, said.training, said.trainer, rows, said.compression)
        return node.train(replace(order, base=node.own), storage)
