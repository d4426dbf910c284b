"""Waiting while real nodes come and go."""

from __future__ import annotations

from collections.abc import Callable

from ..transport import Clock
from .roster import Roster

_LISTEN_S = 1.0
"""Real seconds between two looks at the nodes while nobody trains."""


def await_nodes(
    listen: Callable[[], object], roster: Roster, clock: Clock, poll_s: float, nodes: int, timeout_s: float
) -> None:
    """Wait until so many nodes have said who they are; in the beginning only, never between rounds.

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


def idle(listen: Callable[[], object], roster: Roster, clock: Clock, wait_s: float) -> None:
    """Let time pass. With nobody to decide about, a wait ends as soon as somebody has come.

    Args:
        listen: takes what nodes say.
        roster: who is there.
        clock: federation time.
        wait_s: federation seconds.
    """
    began_s = clock.now()
    nobody = not roster.available.any()
    if clock.skips:
        clock.skip(wait_s)
    while (left_s := began_s + wait_s - clock.now()) > 0:
        clock.wait(min(left_s, _LISTEN_S * clock.scale))
        listen()
        if nobody and roster.available.any():
            break
