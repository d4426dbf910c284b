"""Errands to nodes that answer: sent, awaited with patience, lost with their node."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ....common.arrays import Ints
from ....common.spelling import printable
from ....fl_core.remote import ServeOrder, ServeReply, check_reply
from ..federation import Roster, read_believable
from ..transport import Clock, Reply, Transport

_LOG = logging.getLogger(__name__)

_TTL_PATIENCES = 6.0
"""Flower gives up an order that was not answered within so many patiences; its node then counts as idle."""


@dataclass
class Errand:
    """An order on its way to a node."""

    client: int
    order: ServeOrder
    sent_s: float  # on the wall
    name: str
    node: int
    requests: dict[int, Ints] = field(default_factory=dict)  # ids by slot; empty once they were taken back


@dataclass(frozen=True)
class Return:
    """An errand that has come to its end."""

    errand: Errand
    reply: ServeReply | None  # None: the node has failed or left
    trip_s: float  # real seconds since it was sent
    up_bytes: int = 0


class Courier:
    """Carries orders to the roster's nodes, one at a time each, and brings back what they say.

    Args:
        transport: reaches the nodes.
        roster: who is there.
        clock: federation time.
        wall: a clock of real seconds that never goes back.
        patience_s: real seconds after which an errand is overdue.
    """

    def __init__(
        self,
        transport: Transport,
        roster: Roster,
        clock: Clock,
        wall: Callable[[], float],
        patience_s: float,
    ) -> None:
        self._transport, self.roster, self._clock, self.wall = transport, roster, clock, wall
        self.patience_s = patience_s
        self.errands: dict[str, Errand] = {}
        self._number = 0

    def send(self, client: int, order: ServeOrder, requests: Mapping[int, Ints]) -> int | None:
        """Send an order with the number that it gets here; the bytes sent, None if it could not be."""
        self._number += 1
        order = ServeOrder(self._number, order.questions, order.loads)
        node, name = self.roster.node[client], self.roster.names[client]
        ticket, size = self._transport.send(node, order, _TTL_PATIENCES * self.patience_s)
        if ticket is None:
            return None
        self.errands[ticket] = Errand(client, order, self.wall(), name, node, dict(requests))
        self.roster.order[client] = ticket
        return size

    def look(self) -> None:
        """See who is connected."""
        self.roster.look(self._transport, self._clock.now(), self.wall())

    def collect(self) -> Iterator[Return]:
        """Errands that have come to their end since the last look: answers, failures, nodes that left."""
        self.look()
        for reply in self._transport.poll([*self.errands, *self.roster.questions]):
            if self.roster.hear(reply, self._clock.now()) or reply.ticket not in self.errands:
                continue
            errand = self.errands.pop(reply.ticket)
            if self.roster.order[errand.client] == reply.ticket:
                self.roster.order[errand.client] = None
                self.roster.overdue[errand.client] = False
            yield self._read(reply, errand)
        for ticket, errand in list(self.errands.items()):
            if self.roster.order[errand.client] != ticket:
                del self.errands[ticket]
                yield self._failed(errand, "it has left")

    def overdue(self) -> list[Errand]:
        """Errands beyond the patience whose requests have not been taken back yet; their nodes stay busy."""
        late = [
            errand
            for errand in self.errands.values()
            if errand.requests and self.wall() - errand.sent_s > self.patience_s
        ]
        for errand in late:
            self.roster.overdue[errand.client] = True
            _LOG.warning("%s has not answered for %.0f s", errand.name, self.wall() - errand.sent_s)
        return late

    def _read(self, reply: Reply, errand: Errand) -> Return:
        """What of an answer is taken for true."""
        present = self._is_present(errand)
        has_come = reply.unreadable or not reply.error
        if present and has_come:
            self.roster.heard(errand.client)
        try:
            if reply.served is None:
                raise ValueError(reply.error or "no answers in its reply")
            trip_s = self.wall() - errand.sent_s
            check_reply(reply.served, errand.order, trip_s)
            profile, doubts = read_believable(reply.profile) if reply.profile else (None, [])
        except Exception as error:  # whatever goes wrong while an answer is read is its node's failure
            if present and has_come:
                self.roster.trust.blame(errand.client, errand.name)
            return self._failed(errand, printable(str(error) or type(error).__name__))
        if present and profile is not None:
            self.roster.trust.doubt(errand.client, errand.name, doubts)
            self.roster.update(errand.client, profile, self._clock.now())
        return Return(errand, reply.served, trip_s, reply.up_bytes)

    def _failed(self, errand: Errand, why: str) -> Return:
        _LOG.warning("%s failed with %d rows: %s", errand.name, errand.order.rows, why)
        return Return(errand, None, self.wall() - errand.sent_s)

    def _is_present(self, errand: Errand) -> bool:
        """Whether the node that was sent the order still plays its client."""
        client = errand.client
        return bool(self.roster.connected[client]) and self.roster.node[client] == errand.node
