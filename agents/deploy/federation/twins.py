"""Two connected nodes that claim one name: the older keeps it as long as it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ....common.arrays import Bools
from ..nodes import NodeProfile
from ..transport import Transport

CHALLENGE_S = 30.0
"""Real seconds in which an idle node can say that it is still there; a process start takes it 2 to 12."""


class Holders(Protocol):
    """Who holds the names now."""

    node: list[int]
    order: list[str | None]
    overdue: Bools

    def holds(self, client: int) -> bool:
        """Whether the client's node is connected, under the connection it came with."""
        ...


@dataclass
class Younger:
    """A node that claims the name of one that is connected.

    Attributes:
        node: its id.
        profile: what it says of itself.
        ticket: of the question to the older node; None = not asked yet.
        asked_s: when that was, in real seconds.
        older_lives: what is known of the older node; None = nothing yet.
    """

    node: int
    profile: NodeProfile
    ticket: str | None = None
    asked_s: float = 0.0
    older_lives: bool | None = None


class Twins:
    """Claims to names that are held, until it is known whether their holders live.

    A node that was killed stays listed for a while, and its successor has its name; an operator may also have
    given two nodes one name. Only an answer of the older node tells which it is.
    """

    def __init__(self) -> None:
        self._claims: dict[int, Younger] = {}

    @property
    def questions(self) -> list[str]:
        """Tickets of the questions to older nodes."""
        return [claim.ticket for claim in self._claims.values() if claim.ticket is not None]

    @property
    def younger(self) -> set[int]:
        """Nodes whose claims are not settled."""
        return {claim.node for claim in self._claims.values()}

    def begin(self, client: int, node: int, profile: NodeProfile) -> None:
        """A node claims a client that another one plays; the latest claim counts."""
        self._claims[client] = Younger(node, profile)

    def asked(self, ticket: str) -> int | None:
        """The client whose node was asked with this ticket, or None."""
        return next((client for client, claim in self._claims.items() if claim.ticket == ticket), None)

    def answered(self, client: int, alive: bool) -> None:
        """The older node has answered, or is known not to."""
        if client in self._claims:
            self._claims[client].older_lives = alive

    def settled(
        self, holders: Holders, transport: Transport, wall_s: float
    ) -> Sequence[tuple[int, Younger, bool]]:
        """Claims that are decided now, with whether the older node lives; asks those not asked yet."""
        done = []
        for client, claim in list(self._claims.items()):
            if not holders.holds(client) or holders.overdue[client]:
                claim.older_lives = False
            elif claim.older_lives is None and claim.ticket is None:
                claim.ticket = transport.ask(holders.node[client], CHALLENGE_S)
                claim.asked_s = wall_s
            elif claim.older_lives is None and holders.order[client] is not None:
                claim.asked_s = wall_s  # a busy node answers when it is done, or leaves the list
            elif claim.older_lives is None and wall_s - claim.asked_s > CHALLENGE_S:
                claim.older_lives = False
            if claim.older_lives is not None:
                done.append((client, self._claims.pop(client), claim.older_lives))
        return done
