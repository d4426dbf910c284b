"""One round on real nodes: orders out, answers in, closed at the quorum or the deadline."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ....common.arrays import Bools, Floats
from ....common.spelling import printable
from ....fl_core.remote import LocalUpdate, TrainOrder
from ..transport import Clock, Reply, Transport
from .border import Answer, LengthBound, read_answer
from .roster import Roster

_LOG = logging.getLogger(__name__)


TTL_DEADLINES = 3.0
"""Flower gives up an order that was not answered within so many deadlines; its node then counts as idle."""


_MEASURED = 32
"""Latest answers whose overhead counts."""


@dataclass
class LiveRound:
    """How one round went; arrays `[N]`, seconds since it began."""

    invited: Bools  # who was sent an order, or asked for its loss
    completed: Bools  # whose update arrived in time
    lost: Bools  # whose node left or failed
    cancelled: Bools  # who was still working when the round closed
    stop_s: Floats  # when the update arrived, the node was lost or the round closed
    compute_s: Floats  # computed, as those who answered say, else as many as they can have
    down_bytes: Floats  # sent to each client
    up_bytes: Floats  # received from it
    sample_bytes: Floats  # the part of `down_bytes` that was training data
    updates: dict[int, LocalUpdate] = field(default_factory=dict)  # that arrived in time, by client
    lengths: dict[int, float] = field(default_factory=dict)  # of these, per root of a local step
    duration_s: float = 0.0  # when the round closed

    @staticmethod
    def blank(num_clients: int) -> LiveRound:
        """A round to which nobody was invited."""
        flags = [np.zeros(num_clients, dtype=bool) for _ in range(4)]
        sums = [np.zeros(num_clients) for _ in range(5)]
        return LiveRound(*flags, *sums)  # type: ignore[call-arg, arg-type]


@dataclass(frozen=True)
class _Sent:
    """An order on its way."""

    client: int
    order: TrainOrder
    sent_s: float
    name: str
    node: int

    @property
    def number(self) -> int:
        """Of its round, counted from 1 as in the table of rounds."""
        return self.order.round_index + 1


@dataclass(frozen=True)
class Late:
    """An answer to an order of a round that was closed before it came."""

    client: int  # whose
    update: LocalUpdate  # what came back; it is not used
    up_bytes: int  # its size
    compute_s: float  # seconds computed since its round was closed


class RoundRunner:
    """Carries rounds out over a transport.

    Args:
        transport: carries orders and answers.
        roster: who is in the federation.
        clock: federation time.
        poll_s: real seconds between two looks at the transport.
        wall: a clock of real seconds that never goes back.
        norm_bound: see `LengthBound`.
    """

    def __init__(
        self,
        transport: Transport,
        roster: Roster,
        clock: Clock,
        poll_s: float,
        wall: Callable[[], float],
        norm_bound: float = 0.0,
    ):
        self._transport, self._roster, self._clock, self._poll_s = transport, roster, clock, poll_s
        self._wall = wall
        self.bound = LengthBound(norm_bound)
        self._sent: dict[str, _Sent] = {}
        self._charged_s: dict[str, float] = {}
        self._overheads_s: deque[float] = deque(maxlen=_MEASURED)
        self.late: list[Late] = []
        """Late answers since they were last taken off."""

    @property
    def overhead_s(self) -> float | None:
        """Seconds that an order lately took beyond computing, in the median; None before the first answer."""
        return float(np.median(self._overheads_s)) if self._overheads_s else None

    def run(self, orders: dict[int, TrainOrder], quorum: float, deadline_s: float) -> LiveRound:
        """Play one round.

        It closes when `ceil(quorum * invited)` updates are in, when nobody is left to wait for, or at the
        deadline. A node that leaves is lost at that moment; who is still working at the close is cancelled as
        far as the round is concerned. Its node stays busy until it answers, and the answer is dropped.

        Args:
            orders: by client; only of available ones.
            quorum: share of the invited updates to wait for.
            deadline_s: seconds of federation time.
        """
        result = LiveRound.blank(len(self._roster.names))
        began_s = self._clock.now()
        tickets = self._send(orders, result, began_s, deadline_s)
        invited = int(result.invited.sum())
        needed = max(int(np.ceil(quorum * invited - 1e-9)), 1)
        while True:
            self.look()
            passed_s = self._clock.now() - began_s
            for reply in self._transport.poll([*self._sent, *self._roster.questions]):
                self._enter(reply, tickets, result, passed_s)
            self._drop_vanished(tickets, result, passed_s)
            if len(result.updates) >= needed or not tickets or passed_s >= deadline_s:
                break
            self._pause(deadline_s - passed_s)
        if passed_s >= deadline_s:
            self._roster.overdue[list(tickets.values())] = True
        return self._close(tickets, result, self._clock.now() - began_s)

    def refuse(self, result: LiveRound, client: int, why: str) -> None:
        """What came in time turns out to be its node's failure: it is lost to the round."""
        del result.updates[client]
        result.completed[client], result.lost[client] = False, True
        self._roster.trust.blame(client, self._roster.names[client])
        _LOG.warning("%s failed: %s", self._roster.names[client], why)

    def look(self) -> None:
        """See who is connected."""
        self._roster.look(self._transport, self._clock.now(), self._wall())

    def listen(self) -> None:
        """Between rounds: see who is connected and take late answers and introductions."""
        self.look()
        for reply in self._transport.poll([*self._sent, *self._roster.questions]):
            self._enter(reply, {}, None, 0.0)

    def _pause(self, left_s: float) -> None:
        self._clock.wait(min(self._poll_s * self._clock.scale, max(left_s, 0.0)))

    def _send(
        self, orders: dict[int, TrainOrder], result: LiveRound, began_s: float, deadline_s: float
    ) -> dict[str, int]:
        """Send all orders; returns the clients of the tickets to wait for."""
        ttl_s = TTL_DEADLINES * deadline_s / self._clock.scale
        tickets: dict[str, int] = {}
        for client, order in orders.items():
            result.invited[client] = True
            ticket, size = self._transport.send(self._roster.node[client], order, ttl_s)
            if ticket is None:
                result.lost[client] = True
                continue
            tickets[ticket] = client
            node, name = self._roster.node[client], self._roster.names[client]
            self._sent[ticket] = _Sent(client, order, began_s, name, node)
            self._roster.order[client] = ticket
            result.down_bytes[client] = size
            result.sample_bytes[client] = order.sent_x.nbytes + order.sent_y.nbytes
        return tickets

    def _enter(
        self, reply: Reply, tickets: dict[str, int], result: LiveRound | None, passed_s: float
    ) -> None:
        """Enter one answer: an introduction, an update in time, a late one, or a failure."""
        now_s = self._clock.now()
        if self._roster.hear(reply, now_s) or reply.ticket not in self._sent:
            return
        sent = self._sent.pop(reply.ticket)
        if self._roster.order[sent.client] == reply.ticket:
            self._roster.order[sent.client] = None
            self._roster.overdue[sent.client] = False
        answer, failure = self._read(reply, sent, now_s)
        client = tickets.pop(reply.ticket, None)
        if client is None or result is None:
            self._enter_late(reply, sent, answer)
        elif answer is None:
            self._fail(sent, result, passed_s, failure)
        else:
            guessed_s = self._guess_s(sent, passed_s)
            result.completed[client], result.stop_s[client] = True, passed_s
            result.compute_s[client] = guessed_s if answer.compute_s is None else answer.compute_s
            result.compute_s[client] = min(result.compute_s[client], passed_s)
            result.up_bytes[client] = reply.up_bytes
            if answer.compute_s is not None:
                self._overheads_s.append(passed_s - float(result.compute_s[client]))
            result.updates[client] = answer.update
            result.lengths[client] = _length_per_step(answer, sent.order)

    def _read(self, reply: Reply, sent: _Sent, now_s: float) -> tuple[Answer | None, str]:
        """What of an answer is taken for true; None and the reason where it is its node's failure."""
        present = self._is_present(sent)
        has_come = reply.unreadable or not reply.error
        if present and has_come:
            self._roster.heard(sent.client)
        try:
            answer = read_answer(reply, sent.order, now_s - sent.sent_s, self._clock.scale)
            self.bound.check(_length_per_step(answer, sent.order))
        except Exception as error:  # whatever goes wrong while an answer is read is its node's failure
            failure = printable(str(error) or type(error).__name__)
            if present and has_come:
                self._roster.trust.blame(sent.client, sent.name)
            return None, failure
        if present:
            self._learn(answer, sent, now_s)
        return answer, ""

    def _is_present(self, sent: _Sent) -> bool:
        """Whether the node that was sent the order still plays its client."""
        roster, client = self._roster, sent.client
        return bool(roster.connected[client]) and roster.node[client] == sent.node

    def _fail(self, sent: _Sent, result: LiveRound, passed_s: float, why: str) -> None:
        """A node has failed: it is lost to the round."""
        client = sent.client
        result.completed[client], result.lost[client] = False, True
        result.stop_s[client] = passed_s
        result.compute_s[client] = self._guess_s(sent, passed_s)
        _LOG.warning("round %d: %s failed after %.1f s: %s", sent.number, sent.name, passed_s, why)

    def _learn(self, answer: Answer, sent: _Sent, now_s: float) -> None:
        """What an answer tells about its node, whether it came in time or not."""
        self._roster.trust.doubt(sent.client, sent.name, answer.doubts)
        if answer.profile is not None:
            self._roster.update(sent.client, answer.profile, now_s)
        if answer.compute_s is not None and sent.order.local_steps:
            self._roster.measure(sent.client, answer.compute_s / sent.order.local_steps)

    def _enter_late(self, reply: Reply, sent: _Sent, answer: Answer | None) -> None:
        charged_s = self._charged_s.pop(reply.ticket, 0.0)
        if answer is None:
            return
        extra_s = max((answer.compute_s or 0.0) - charged_s, 0.0)
        self.late.append(Late(sent.client, answer.update, reply.up_bytes, extra_s))
        _LOG.info("%s answered round %d too late; the update is dropped", sent.name, sent.number)

    def _drop_vanished(self, tickets: dict[str, int], result: LiveRound, passed_s: float) -> None:
        """Whose node has left is lost now; nobody waits for Flower to give the order up."""
        for ticket, client in list(tickets.items()):
            if self._roster.order[client] == ticket:
                continue
            del tickets[ticket]
            self._fail(self._sent.pop(ticket), result, passed_s, "it has left")

    def _close(self, tickets: dict[str, int], result: LiveRound, closed_s: float) -> LiveRound:
        for ticket, client in tickets.items():
            result.cancelled[client], result.stop_s[client] = True, closed_s
            result.compute_s[client] = self._guess_s(self._sent[ticket], closed_s)
            self._charged_s[ticket] = float(result.compute_s[client])
            _LOG.warning("round %d: closed without %s", self._sent[ticket].number, self._sent[ticket].name)
        self._drop_long(result)
        result.duration_s = closed_s
        return result

    def _drop_long(self, result: LiveRound) -> None:
        """Updates that only those of their own round show to be out of line: their nodes have failed."""
        for client in self.bound.settle(result.lengths):
            self.refuse(result, client, "its update is far longer than the others")

    def _guess_s(self, sent: _Sent, passed_s: float) -> float:
        """Seconds somebody can have computed who did not say so."""
        return float(min(passed_s, max(sent.order.local_steps, 1) * self._roster.step_s[sent.client]))


def _length_per_step(answer: Answer, order: TrainOrder) -> float:
    """Length of an update over the root of its local steps, between a straight walk's and a random one's."""
    return answer.length / float(np.sqrt(max(order.local_steps, 1)))
