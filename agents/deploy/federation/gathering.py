"""Waiting for nodes, in the beginning only."""

from __future__ import annotations

from collections.abc import Callable

from ..transport import Clock
from .roster import Roster


def await_nodes(
    listen: Callable[[], object], roster: Roster, clock: Clock, poll_s: float, nodes: int, timeout_s: float
) -> None:
    """Wait until so many nodes have said who they are.

    Args:
        listen: takes what they say.
        roster: who is there.
        clock: federation time.
        poll_s: real seconds between two looks.
        nodes: how many.
        timeout_s: real seconds.

    Raises:
        ValueError: they do not come in time.
    """
    began_s = clock.now()
    while True:
        listen()
        connected = int(roster.connected.sum())
        if connected >= nodes:
            return
        if clock.now() - began_s > timeout_s * clock.scale:
            raise ValueError(
                f"nodes: {connected} came within {timeout_s:g} s, expected {nodes}; start more SuperNodes"
            )
        clock.wait(poll_s * clock.scale)
