"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what is written stays, and a line says how to go on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What `kill`, systemd and Slurm send, and a terminal that is closed."""


class Stopped(KeyboardInterrupt):
    """Somebody has asked the command to end, as with Ctrl-C.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stopping_signals() -> Iterator[None]:
    """Raise `Stopped` where a signal would have ended the process; one that is ignored (`nohup`) stays so."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is signal.SIG_DFL:
                signal.signal(number, handler)


def told(prog: str, stop: KeyboardInterrupt) -> int:
    """Say in one line that a command was stopped; returns its exit code, 128 + the signal's number."""
    number = stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)
    say(f"{prog}: stopped ({signal.Signals(number).name})")
    return 128 + number


def say(line: str) -> None:
    """Write a line to stderr, if there is still somebody who reads it: a closed terminal is none."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
