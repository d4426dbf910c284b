"""Who is in the federation: clients of the partition, the nodes that play them, and what is known of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints
from ....common.spelling import printable
from ..nodes import NodeProfile
from ..settings import DEFENCE, Defence
from ..transport import Reply, Transport
from .border import believable_step, read_believable
from .own_rows import OwnRows
from .presence import presence
from .trust import Trust
from .twins import Twins

_LOG = logging.getLogger(__name__)


HELLO_TTL_S = 600.0
"""Real seconds after which a node that has not said who it is is asked again."""
_MEMORY = 0.5
"""Weight of the latest measurement of a client's speed."""

_TABLES = ("step_s", "down_bytes_per_s", "up_bytes_per_s", "watts", "network_j_per_byte", "zone")
_HISTORY = ("here_s", "away_s", "leavings", "returns", "measured")


class Dealt(Protocol):
    """What a draw says of N machines: zone `[N]`, and speeds, links and watts by name."""

    @property
    def zone(self) -> Ints: ...  # noqa: D102

    @property
    def devices(self) -> Mapping[str, Floats]: ...  # noqa: D102


class Roster:
    """N clients as arrays; a client is away until a node has said that it plays it.

    What a node does not say of itself is taken from the scenario's draw for its client, until it is measured.

    Attributes:
        names: the node that plays each client, by name; empty until one has come.
        node: its present id; 0 = none.
        connected: bool `[N]`.
        order: ticket of the order each client is working on; None = idle. A node takes one order at a time,
            and what it was ordered it will do, however late: until it has answered or has left it is busy.
        overdue: bool `[N]`, whose order was not answered by its deadline, and is not yet.
        session_start_s: `[N]`, when the present session began.
        announced_end_s: `[N]`, when it will end; inf if it does not say.
        step_s, down_bytes_per_s, up_bytes_per_s, watts, network_j_per_byte: `[N]`.
        zone: int64 `[N]`.
        trust: whose answers were wrong, and how often.
        own: who brings rows of its own.

    Args:
        draw: the scenario's draw for this federation.
        zone_names: names of the grid zones.
        defence: see `Trust` and `OwnRows`.
        scale: seconds of federation time in one of a node's.
    """

    def __init__(
        self, draw: Dealt, zone_names: Sequence[str], defence: Defence = DEFENCE, scale: float = 1.0
    ):
        n = draw.zone.size
        self._zones, self._scale = tuple(zone_names), scale
        self.names: list[str] = [""] * n
        # Flower's ids fill 64 bits unsigned.
        self.node = [0] * n
        self.connected = np.zeros(n, dtype=bool)
        self.order: list[str | None] = [None] * n
        self.overdue = np.zeros(n, dtype=bool)
        self.session_start_s = np.zeros(n)
        self.announced_end_s = np.full(n, np.inf)
        self.zone = draw.zone.astype(np.int64)
        self.watts = draw.devices["compute_watts"].astype(np.float64)
        for name in ("step_s", "down_bytes_per_s", "up_bytes_per_s", "network_j_per_byte"):
            setattr(self, name, draw.devices[name].astype(np.float64))
        self.here_s, self.away_s, self.measured = np.zeros(n), np.zeros(n), np.zeros(n)
        self.leavings, self.returns = np.zeros(n), np.zeros(n)
        self.trust, self._twins = Trust(n, defence.most_faults), Twins()
        self.own = OwnRows(n, defence.own_samples)
        self._mark = [""] * n
        self._nodes: dict[int, str] = {}
        self._played: dict[int, int] = {}
        self._asked: dict[int, tuple[str, float]] = {}
        self._refused: set[int] = set()
        self._looked_s: float | None = None

    step_s: Floats
    down_bytes_per_s: Floats
    up_bytes_per_s: Floats
    network_j_per_byte: Floats

    @property
    def available(self) -> Bools:
        """Bool `[N]`: connected, not busy, and not given up for its faults."""
        idle: Bools = np.array([ticket is None for ticket in self.order])
        return self.connected & idle & ~self.trust.given_up

    @property
    def announced_share(self) -> float:
        """Share of the connected nodes that say when they will leave; 0 where nobody is connected."""
        says = np.isfinite(self.announced_end_s) & self.connected
        return float(says.sum() / max(1, self.connected.sum()))

    @property
    def questions(self) -> list[str]:
        """Tickets of the questions that nobody has answered yet."""
        return [*(ticket for ticket, _ in self._asked.values()), *self._twins.questions]

    def look(self, transport: Transport, now_s: float, wall_s: float) -> None:
        """See who is connected: departures are entered, strangers asked who they are.

        Args:
            transport: knows the nodes.
            now_s: federation time.
            wall_s: real seconds of any clock that never goes back.
        """
        nodes = self._nodes = transport.nodes()
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        known = np.array([bool(name) for name in self.names])
        self.here_s += passed_s * self.connected
        self.away_s += passed_s * (known & ~self.connected)
        for client in np.flatnonzero(self.connected).tolist():
            # A new mark is a new connection: the node was restarted, and its order died with it.
            if nodes.get(self.node[client]) != self._mark[client]:
                self.leave(client, now_s)
        self._settle_twins(transport, now_s, wall_s)
        self._refused &= set(nodes)
        self._asked = {node: asked for node, asked in self._asked.items() if node in nodes}
        strangers = set(nodes) - set(self.node) - self._refused - self._twins.younger
        for node in sorted(strangers):
            if node in self._asked and wall_s - self._asked[node][1] < HELLO_TTL_S:
                continue
            ticket = transport.ask(node, HELLO_TTL_S)
            if ticket is not None:
                self._asked[node] = (ticket, wall_s)

    def hear(self, reply: Reply, now_s: float) -> bool:
        """Enter the answer to a question; returns whether it was one."""
        client = self._twins.asked(reply.ticket)
        if client is not None:
            self._twins.answered(client, alive=not reply.error)
            return True
        node = next((node for node, (ticket, _) in self._asked.items() if ticket == reply.ticket), None)
        if node is None:
            return False
        del self._asked[node]
        if reply.error:
            _LOG.warning("node %d did not say who it is: %s", node, reply.error)
            return True
        try:
            profile, doubts = read_believable(reply.profile)
            self.own.check(profile)
            client = self._client_of(node, profile)
        except Exception as error:  # whatever is wrong with what it says is its fault
            self._refuse(node, printable(str(error) or type(error).__name__))
            return True
        if self.holds(client) and not self.overdue[client]:
            self._twins.begin(client, node, profile)
        else:
            self.enrol(node, profile, now_s)
        self.trust.doubt(client, self.names[client], doubts)
        return True

    def heard(self, client: int) -> None:
        """A client's node has answered an order: it is alive, whoever else claims its name."""
        self._twins.answered(client, alive=True)

    def _settle_twins(self, transport: Transport, now_s: float, wall_s: float) -> None:
        """Of two nodes of one name the younger is refused if the older still answers, else it replaces it."""
        for client, younger, alive in self._twins.settled(self, transport, wall_s):
            if younger.node not in self._nodes:
                continue
            if alive:
                name = self.names[client]
                self._refuse(younger.node, f"name: {name!r}, expected another one: that node still answers")
            else:
                self.enrol(younger.node, younger.profile, now_s)

    def holds(self, client: int) -> bool:
        """Whether a client's node is connected, under the connection it came with."""
        return bool(self.connected[client]) and self._nodes.get(self.node[client]) == self._mark[client]

    def _refuse(self, node: int, why: str) -> None:
        self._refused.add(node)
        _LOG.warning("node %d is refused: %s", node, why)

    def enrol(self, node: int, profile: NodeProfile, now_s: float) -> int:
        """A node has said who it is; returns the client it plays.

        A node that returns is the client it was, by its name, or by its id where it authenticates with a key;
        it replaces a connection that the client still has.

        Raises:
            ValueError: the client does not exist or another node plays it, or there is no client left.
        """
        client = self._client_of(node, profile)
        if self.connected[client]:
            self.leave(client, now_s)
        back = bool(self.names[client])
        self.names[client] = profile.name or f"client-{client}"
        self.node[client], self.connected[client] = node, True
        self.order[client], self.overdue[client] = None, False
        self._mark[client], self._played[node] = self._nodes.get(node, ""), client
        self.session_start_s[client] = now_s
        self.returns[client] += back
        self.update(client, profile, now_s)
        _LOG.info(
            "%s %s as client %d (node %d)", self.names[client], "is back" if back else "joins", client, node
        )
        return client

    def leave(self, client: int, now_s: float) -> None:
        """A client's node has gone, and with it whatever it was working on."""
        self.connected[client] = self.overdue[client] = False
        self.order[client] = None
        self.node[client] = 0
        self.announced_end_s[client] = np.inf
        self.leavings[client] += 1
        _LOG.info("%s (client %d) has left at %.0f s", self.names[client], client, now_s)

    def update(self, client: int, profile: NodeProfile, now_s: float) -> None:
        """Take what a node says of itself over what was assumed."""
        if profile.zone is not None:
            if profile.zone in self._zones:
                self.zone[client] = self._zones.index(profile.zone)
            else:
                known = ", ".join(self._zones)
                said = [f"zone: {profile.zone!r}, expected one of {known}"]
                self.trust.doubt(client, self.names[client], said)
        for name in ("watts", "down_bytes_per_s", "up_bytes_per_s"):
            value = getattr(profile, name)
            if value is not None:
                getattr(self, name)[client] = value
        if profile.step_s is not None and not self.measured[client]:
            self.step_s[client] = profile.step_s * self._scale
        self.trust.doubt(client, self.names[client], self.own.take(client, profile))
        left_s = profile.session_left_s
        self.announced_end_s[client] = np.inf if left_s is None else now_s + left_s

    def measure(self, client: int, step_s: float) -> None:
        """Enter how long a client really took per local step; older measurements fade."""
        if believable_step(step_s):
            old_s = self.step_s[client] if self.measured[client] else step_s
            self.step_s[client] = (1 - _MEMORY) * old_s + _MEMORY * step_s
            self.measured[client] += 1

    def forecast(self, now_s: float, leads_s: Floats) -> Floats:
        """Chance `[N, L]` to be connected at each lead, by what was seen; 0 behind an announced end."""
        seen = (self.leavings, self.returns, self.here_s, self.away_s)
        known = np.array([bool(name) for name in self.names])[:, None]
        chance = presence(*seen, self.connected, leads_s) * known
        ended = self.announced_end_s[:, None] - now_s < leads_s
        return np.where(ended & self.connected[:, None], 0.0, chance)

    def state(self) -> dict[str, AnyArray]:
        """What is worth keeping when the coordinator is stopped: who is who, and what was learned."""
        arrays = {name: getattr(self, name).copy() for name in (*_TABLES, *_HISTORY)}
        return arrays | {"names": np.array(self.names, dtype=np.str_), "own_samples": self.own.samples.copy()}

    def load_state(self, state: dict[str, AnyArray]) -> None:
        """Restore `state()`; everybody is away until they have said who they are again."""
        for name in (*_TABLES, *_HISTORY):
            getattr(self, name)[...] = state[name]
        self.names = [str(name) for name in state["names"]]
        self.own.samples = np.array(state["own_samples"])

    def _client_of(self, node: int, profile: NodeProfile) -> int:
        name, client = profile.name, profile.client
        if name and name in self.names:
            return self.names.index(name)
        if node in self._played:
            return self._played[node]
        if client is None:
            free = [index for index, taken in enumerate(self.names) if not taken]
            if not free:
                raise ValueError(
                    f"name: {name!r}: all {len(self.names)} clients are taken; add clients or partition-id"
                )
            return free[0]
        if client >= len(self.names):
            raise ValueError(f"partition-id: {client}, expected 0 to {len(self.names) - 1}")
        holder = self.names[client]
        if holder and holder != (name or f"client-{client}") and self.connected[client]:
            raise ValueError(f"partition-id: {client}, expected a free one for {name!r}: {holder!r} plays it")
        return client
