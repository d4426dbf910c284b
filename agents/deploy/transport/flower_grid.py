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

from ....fl_core.remote import TrainOrder, pack_order, read_profile, read_update, record_bytes
from .base import Reply

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

    def nodes(self) -> dict[int, str]:
        """See `Transport.nodes`; the mark is the time of the connection's activation."""
        return {int(node.node_id): str(node.last_activated_at) for node in self._grid.get_nodes()}

    def ask(self, node: int, ttl_s: float) -> str | None:
        """See `Transport.ask`."""
        from flwr.app import ConfigRecord, RecordDict

        return self._push(
            RecordDict({"question": ConfigRecord({"about": "profile"})}), node, "query", ttl_s, ""
        )

    def send(self, node: int, order: TrainOrder, ttl_s: float) -> tuple[str | None, int]:
        """See `Transport.send`."""
        content = pack_order(order)
        return self._push(content, node, "train", ttl_s, str(order.round_index)), record_bytes(content)

    def poll(self, tickets: Iterable[str]) -> list[Reply]:
        """See `Transport.poll`; an answer that the engine made says which message it is about."""
        wanted = list(tickets)
        if not wanted:
            return []
        return [_reply(message) for message in self._grid.pull_messages(wanted)]

    def _push(self, content: RecordDict, node: int, kind: str, ttl_s: float, group: str) -> str | None:
        from flwr.app import Message

        message = Message(content, dst_node_id=node, message_type=kind, ttl=ttl_s, group_id=group)
        sent = list(self._grid.push_messages([message]))
        return sent[0] if sent and sent[0] else None


def _reply(message: Message) -> Reply:
    """A Flower message as an answer; one that makes no sense is an error of its node's, not ours."""
    # The SuperLink sends error replies in its own name: only this id tells whose answer it is.
    reply = Reply(message.metadata.reply_to_message_id)
    if message.has_error():
        reason = (message.error.reason or "").strip().splitlines()
        return replace(
            reply, error=f"error {message.error.code}: {reason[-1] if reason else 'no reason given'}"
        )
    try:
        update = read_update(message.content) if message.metadata.message_type == "train" else None
        profile = read_profile(message.content)
    except (ValueError, TypeError) as error:
        return replace(reply, error=f"answer not understood: {error}")
    return replace(reply, update=update, profile=profile, up_bytes=record_bytes(message.content))
