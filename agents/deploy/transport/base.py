"""Transport of orders to nodes and of answers back, and the clock of a federation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ....fl_core.remote import LocalUpdate, ServeOrder, ServeReply, TrainOrder

Order: TypeAlias = TrainOrder | ServeOrder


@dataclass(frozen=True)
class Reply:
    """What came back on one ticket.

    Attributes:
        ticket: the ticket that `send` or `ask` gave out.
        update: the trained update, or None.
        served: answers to rows, or None.
        profile: what the node says of itself; empty if it said nothing.
        error: why there is no answer, in one line; empty if there is one.
        up_bytes: size of the answer.
        unreadable: whether an answer came that could not be read: its node's fault.
    """

    ticket: str
    update: LocalUpdate | None = None
    served: ServeReply | None = None
    profile: Mapping[str, object] = field(default_factory=dict)
    error: str = ""
    up_bytes: int = 0
    unreadable: bool = False


class Transport(Protocol):
    """Carries questions and orders to nodes; never blocks for an answer."""

    def nodes(self) -> dict[int, str]:
        """Nodes that are connected now: id, and a mark that is another one for every new connection."""
        ...

    def ask(self, node: int, ttl_s: float) -> str | None:
        """Ask a node who it is; returns the ticket of the answer, None if it could not be sent."""
        ...

    def send(self, node: int, order: Order, ttl_s: float) -> tuple[str | None, int]:
        """Send an order; returns the ticket (None if it could not be sent) and the bytes sent."""
        ...

    def poll(self, tickets: Iterable[str]) -> list[Reply]:
        """Answers that have come in on these tickets; each is handed out once."""
        ...


class Clock:
    """Seconds of federation time since the run began.

    Args:
        began_s: what the clock shows first; a resumed run goes on where it was stopped.
        scale: seconds of federation time per real second; more than 1 for rehearsals.
        wall: a clock of real seconds that never goes back.
        sleep: lets real seconds pass.
        skips: whether time in which nothing happens passes at once; for simulations, whose nodes never leave.
    """

    def __init__(
        self,
        began_s: float = 0.0,
        scale: float = 1.0,
        wall: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        skips: bool = False,
    ):
        self.scale, self.skips = scale, skips
        self._wall, self._sleep = wall, sleep
        self._zero_s = wall() - began_s / scale

    def now(self) -> float:
        """Federation time now."""
        return (self._wall() - self._zero_s) * self.scale

    def wait(self, seconds: float) -> None:
        """Let federation time pass."""
        if seconds > 0:
            self._sleep(seconds / self.scale)

    def skip(self, seconds: float) -> None:
        """Put the clock forward."""
        self._zero_s -= seconds / self.scale
