"""Transport over Flower: a grid that remembers what was sent and never blocks for an answer.

Flower's own `Grid.send_and_receive` forgets what has not been answered when its time is up, while the node
goes on working on it: a node takes one message at a time, and a message past the server's deadline is still
carried out. Asking it again makes every later round late too. `PatientGrid` gives the ids of messages away,
so that a late answer is recognised when it comes and its node is known to be busy until then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ....common.spelling import printable
from ....fl_core.remote import (
    ServeOrder,
    TrainOrder,
    pack_order,
    pack_serve_order,
    read_profile,
    read_reply,
    read_update,
    record_bytes,
)
from .base import Order, Reply

if TYPE_CHECKING:
    from flwr.app import Message, RecordDict
    from flwr.serverapp import Grid


class PatientGrid:
    """A `Transport` over a Flower grid.

    Args:
        grid: what Flower hands to the ServerApp.
    """

    def __init__(self, grid: Grid):
        self._grid = grid
        self._orders: dict[str, Order] = {}

    def nodes(self) -> dict[int, str]:
        """See `Transport.nodes`; the mark is the time of the connection's activation."""
        return {int(node.node_id): str(node.last_activated_at) for node in self._grid.get_nodes()}

    def ask(self, node: int, ttl_s: float) -> str | None:
        """See `Transport.ask`."""
        from flwr.app import ConfigRecord, RecordDict

        return self._push(
            RecordDict({"question": ConfigRecord({"about": "profile"})}), node, "query", ttl_s, ""
        )

    def send(self, node: int, order: Order, ttl_s: float) -> tuple[str | None, int]:
        """See `Transport.send`."""
        if isinstance(order, ServeOrder):
            content, kind, group = pack_serve_order(order), "query.serve", str(order.number)
        else:
            content, kind, group = pack_order(order), "train", str(order.round_index)
        ticket = self._push(content, node, kind, ttl_s, group)
        if ticket is not None:
            self._orders[ticket] = order
        return ticket, record_bytes(content)

    def poll(self, tickets: Iterable[str]) -> list[Reply]:
        """See `Transport.poll`; an answer that the engine made says which message it is about."""
        wanted = dict.fromkeys(tickets)
        self._orders = {ticket: order for ticket, order in self._orders.items() if ticket in wanted}
        if not wanted:
            return []
        try:
            return [self._reply(message) for message in self._grid.pull_messages(wanted)]
        except Exception as error:
            if _is_connection(error):
                raise
        # Flower could not put somebody's answer together: one by one, so that it is that node's failure only.
        return [reply for ticket in wanted for reply in self._pull_one(ticket)]

    def _pull_one(self, ticket: str) -> list[Reply]:
        try:
            return [self._reply(message) for message in self._grid.pull_messages([ticket])]
        except Exception as error:
            if _is_connection(error):
                raise
            return [Reply(ticket, error=f"answer not understood: {one_line(error)}", unreadable=True)]

    def _push(self, content: RecordDict, node: int, kind: str, ttl_s: float, group: str) -> str | None:
        from flwr.app import Message

        message = Message(content, dst_node_id=node, message_type=kind, ttl=ttl_s, group_id=group)
        sent = list(self._grid.push_messages([message]))
        return sent[0] if sent and sent[0] else None

    def _reply(self, message: Message) -> Reply:
        """A Flower message as an answer; one that cannot be read is an error of its node's, not ours."""
        # The SuperLink sends error replies in its own name: only this id tells whose answer it is.
        reply = Reply(message.metadata.reply_to_message_id)
        order = self._orders.pop(reply.ticket, None)
        if message.has_error():
            reason = (message.error.reason or "").strip().splitlines()
            said = printable(reason[-1]) if reason else "no reason given"
            return replace(reply, error=f"error {message.error.code}: {said}")
        try:
            content = message.content
            update = read_update(content, order) if isinstance(order, TrainOrder) else None
            served = read_reply(content, order) if isinstance(order, ServeOrder) else None
            profile = read_profile(message.content)
            size = record_bytes(message.content)
        except Exception as error:  # whatever a node's bytes may raise
            return replace(reply, error=f"answer not understood: {one_line(error)}", unreadable=True)
        return replace(reply, update=update, served=served, profile=profile, up_bytes=size)


def _is_connection(error: Exception) -> bool:
    """Whether the SuperLink could not be reached, which is no node's fault."""
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError) or bool(libraries & {"grpc", "httpx"})


def one_line(error: BaseException) -> str:
    """What an exception says, as one line of a log."""
    return printable(str(error) or type(error).__name__)
