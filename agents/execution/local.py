"""Work in processes of this machine, one piece per process at a time: a killed one loses nothing else."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait

from ...common.parent import end_with_parent
from .base import ATTEMPTS, SINGLE_THREAD, Landed, R, environment, reason_of

_CONTEXT = multiprocessing.get_context("spawn")
_END_S = 5.0
"""Patience with a process that was told to end."""


class LocalEngine:
    """An `Engine` of so many worker processes, started when there is work for them.

    Args:
        jobs: processes.
    """

    def __init__(self, jobs: int = 2):
        self._jobs = jobs
        self._workers: set[_Worker] = set()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *reason: object) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers = set()

    def run(self, function: Callable[..., R], work: Mapping[str, tuple[object, ...]]) -> Iterator[Landed[R]]:
        """See `Engine.run`."""
        waiting, attempts = deque(work), Counter[str]()
        busy: dict[Connection, tuple[str, _Worker]] = {}
        idle = list(self._workers)
        try:
            while waiting or busy:
                while waiting and len(busy) < self._jobs:
                    key = waiting.popleft()
                    attempts[key] += 1
                    worker = idle.pop() if idle else self._start()
                    worker.send(function, work[key])
                    busy[worker.answers] = (key, worker)
                for connection in wait(list(busy)):
                    key, worker = busy.pop(connection)  # type: ignore[call-overload]
                    landed: Landed[R] = worker.receive(key)
                    if worker.alive:
                        idle.append(worker)
                    else:
                        self._workers.discard(worker)
                    if landed.failure is not None and attempts[key] < ATTEMPTS:
                        waiting.append(key)  # at the end: what killed it may be over by then
                    else:
                        yield landed
        finally:
            for _, worker in busy.values():  # left early: nobody waits for their answers any more
                worker.kill()
                self._workers.discard(worker)

    def _start(self) -> _Worker:
        worker = _Worker()
        self._workers.add(worker)
        return worker


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        self.answers, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        with environment(SINGLE_THREAD):
            self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.alive = True

    def send(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        try:
            self.answers.send((function, arguments))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; `receive` says so

    def receive(self, key: str) -> Landed[R]:
        try:
            succeeded, value = self.answers.recv()
        except (EOFError, ConnectionResetError):
            self.kill()
            code = self._process.exitcode
            name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
            return Landed(key, failure=f"its process ended unexpectedly ({name})")
        return Landed(key, value) if succeeded else Landed(key, failure=value)

    def kill(self) -> None:
        self.alive = False
        self.answers.close()
        self._process.join(timeout=0.2)
        if self._process.is_alive():
            self._process.kill()
        self._process.join(timeout=_END_S)


def _serve(orders: Connection) -> None:
    """What a worker process does all its life."""
    # Ctrl-C reaches the whole group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    while True:
        try:
            function, arguments = orders.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:  # whatever it is: it is reported, and must not end the other pieces
            answer = (False, reason_of(error))
        orders.send(answer)
