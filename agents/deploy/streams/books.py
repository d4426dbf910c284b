"""Books of requests: how many came, which of them a node has reported, and which nobody will ever report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import Served, StreamFacts
from ....envs.episode import StreamDraw
from ....envs.streaming import KnownAnswers
from ....fl_core.data.streams import Memory
from ....fl_core.remote import LocalUpdate
from ....traces.arrivals import ArrivalBatch
from .ages import mean_age_s

_COUNTS = ("settled", "answered", "right", "lost")


class StreamBooks:
    """What a coordinator keeps of the requests of N nodes that report two integers each.

    A request that came is answered (its label is known and its node has said so), lost (its label was due in
    a report, and the node did not have it: it was started again in between, or has not come back in the end)
    or waits. How many came the coordinator knows because the requests are the scenario's; schedulers are
    told what was reported.

    Args:
        draw: the requests.
        memory: what nodes keep.
        num_clients: N.
        accuracy: `[1]`, of the untrained model.
        loss: `[1]`, likewise.

    Attributes:
        settled: int64 `[1, N]`, number of each client's first request that is neither answered nor lost.
        answered: int64 `[1, N]`, labelled answers that nodes reported.
        right: int64 `[1, N]`, right ones among them.
        lost: int64 `[1, N]`.
        heard_s: `[N]`, time of the last report; -1 = none.
        horizon_s: until when requests come.
    """

    def __init__(
        self, draw: StreamDraw, memory: Memory, num_clients: int, accuracy: Floats, loss: Floats
    ) -> None:
        shape = (1, num_clients)
        self._memory, self._drift_s, self.horizon_s = memory, draw.drift.times_s, draw.horizon_s
        self._arrivals = ArrivalBatch(*shape)
        self._arrivals.set(0, draw.arrivals)
        self.expected = self._arrivals.expected()
        self.known = KnownAnswers(*shape)
        self.known.reset(np.ones(1, dtype=bool), accuracy, loss)
        self.settled, self.answered, self.right, self.lost = (
            np.zeros(shape, dtype=np.int64) for _ in range(4)
        )
        self.heard_s, self._asked_s = np.full(num_clients, -1.0), np.zeros(num_clients)
        self._closed_s, self._last = 0.0, np.zeros((2, *shape), dtype=np.int64)
        self._before = np.zeros((2, *shape), dtype=np.int64)

    @property
    def end_s(self) -> float:
        """When the last label is known."""
        return self.horizon_s + self._memory.label_delay_s

    def came(self, now_s: float) -> Ints:
        """`[1, N]`, requests until now."""
        return self._arrivals.until(np.array([now_s]))

    def waiting(self, now_s: float) -> Ints:
        """`[1, N]`, requests until now of which nothing is known yet."""
        return np.asarray(self.came(now_s) - self.settled)

    def ask(self, client: int, now_s: float) -> None:
        """A client is sent an order at this time, and will report until then."""
        self._asked_s[client] = now_s

    def hear(self, client: int, update: LocalUpdate) -> None:
        """Enter the report in an answer to a client's last order.

        Raises:
            ValueError: more than can have become known.
        """
        due = self._due(client, self._asked_s[client])
        most = max(due - int(self.settled[0, client]), 0)
        if not 0 <= update.right <= update.answered <= most:
            said = f"{update.answered} ({update.right} right)"
            raise ValueError(f"answered: {said}, expected at most {most}, as many as came")
        self.answered[0, client] += update.answered
        self.right[0, client] += update.right
        self.lost[0, client] += most - update.answered
        self.settled[0, client] += most
        self.heard_s[client] = self._asked_s[client]

    def give_up(self) -> None:
        """The run is over: what has not been reported is lost."""
        total = self.came(np.inf)
        self.lost += total - self.settled
        self.settled = total

    def close(self, now_s: float, refreshed: Bools, validation: Floats) -> Served:
        """What was reported since the last step was closed; means and tests learn of it.

        Args:
            now_s: the end of the step.
            refreshed: bool `[1, N]`, who was sent the new model after the round.
            validation: `[1]`, accuracy on the coordinator's own rows.
        """
        now = np.stack([self.answered, self.right])
        labels, right = self._last = now - self._before
        hours = np.array([(now_s - self._closed_s) / SECONDS_PER_HOUR])
        self.known.enter(hours, labels, right, np.zeros(1))
        drifts = self._drift_s[(self._drift_s > self._closed_s) & (self._drift_s <= now_s)]
        self._before, self._closed_s = now, now_s
        return Served(
            requests=labels,
            right=right,
            loss=np.full(labels.shape, np.nan),
            labels=labels.copy(),
            labels_right=right.copy(),
            refreshed=refreshed,
            drift_events=np.array([np.unique(drifts).size]),
            frozen_right=np.full(1, np.nan),
            validation=validation,
            expected=self.expected.copy(),
        )

    def facts(self, now_s: float, held: Ints, lag: Ints) -> StreamFacts:
        """What a coordinator knows of requests, labels and memories; arguments `[1, N]` as in the result."""
        known = self.known
        return StreamFacts(
            arrived=self._last[0].copy(),
            requests=self.answered.copy(),
            memory_rows=held.copy(),
            most_rows=np.array([self._memory.rows]),
            memory_age_s=mean_age_s(self._memory, held, self.answered, now_s),
            version_lag=lag,
            labels=self._last[0].copy(),
            right=self._last[1].copy(),
            right_share=known.right_share,
            right_fast=known.fast,
            right_slow=known.slow,
            page_hinkley=known.page_hinkley.copy(),
            requests_hour=self._arrivals.expected_per_h(np.array([now_s])).sum(axis=1, dtype=np.float64),
            points_per_request=100.0 / self.expected,
        )

    def state(self) -> dict[str, AnyArray]:
        """Everything that other books of the same requests need to go on from here."""
        known = {f"known{name}": table for name, table in vars(self.known).items()}
        mine = {name: getattr(self, name) for name in (*_COUNTS, "heard_s", "_last", "_before")}
        return known | mine | {"_closed_s": np.array(self._closed_s)}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Restore `state()`; KeyError naming what is missing."""
        for name, table in vars(self.known).items():
            table[...] = state[f"known{name}"]
        for name in (*_COUNTS, "heard_s", "_last", "_before"):
            getattr(self, name)[...] = state[name]
        self._closed_s = float(state["_closed_s"])

    def _due(self, client: int, now_s: float) -> int:
        """Requests of a client whose labels are known at this time."""
        return int(self.came(now_s - self._memory.label_delay_s)[0, client])
