"""Work on the machines of a Ray cluster, one task per piece. Needs the extra `ray`, Ray's core only.

The package must be importable on every node, in the same version, and what a piece reads from files (traces,
trained runs) must be there under the same path.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

from .base import ATTEMPTS, SINGLE_THREAD, Landed, R, reason_of

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Read when Ray is imported: it announces a change of its default for tasks without GPUs.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray

_NODE_RETRIES = 3
"""How often Ray itself repeats a task whose process or machine has died."""
_LISTENS_S = 10.0
"""Patience with an address."""


class RayEngine:
    """An `Engine` on a Ray cluster.

    A task whose worker or machine dies is repeated by Ray; one that raises is tried once more.

    Args:
        address: of a running cluster ("HOST:PORT", "auto" or "ray://..."); None: the one that the environment
            variable RAY_ADDRESS names, else a new one on this machine.
    """

    def __init__(self, address: str | None = None):
        self._address = address
        self._started = False

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *reason: object) -> None:
        if self._started:
            ray.shutdown()

    def run(self, function: Callable[..., R], work: Mapping[str, tuple[object, ...]]) -> Iterator[Landed[R]]:
        """See `Engine.run`."""
        if not work:
            return
        self._connect()
        task = ray.remote(num_cpus=1, max_retries=_NODE_RETRIES)(function)
        attempts = dict.fromkeys(work, 1)
        pending = {task.remote(*arguments): key for key, arguments in work.items()}
        while pending:
            (reference,), _ = ray.wait(list(pending), num_returns=1)
            key = pending.pop(reference)
            try:
                landed = Landed(key, ray.get(reference))
            except ray.exceptions.RayTaskError as error:
                landed = Landed(key, failure=reason_of(error.cause))
            except ray.exceptions.RayError as error:
                landed = Landed(key, failure=reason_of(error)[:300])
            if landed.failure is not None and attempts[key] < ATTEMPTS:
                attempts[key] += 1
                pending[task.remote(*work[key])] = key
            else:
                yield landed

    def _connect(self) -> None:
        if self._started or ray.is_initialized():
            return
        _check_address(self._address)
        ends = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=self._address,
                runtime_env={"env_vars": SINGLE_THREAD},
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = reason_of(error)[:200]
            raise ValueError(f"address: {self._address!r}: no Ray cluster answers there ({reason})") from None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ends)  # Ray sets its own, which leaves no word how to go on
        self._started = True


def _check_address(address: str | None) -> None:
    """Refuse an address where nobody listens at once; Ray itself tries for minutes."""
    if address is None or address == "auto" or "://" in address:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"address: {address!r}, expected HOST:PORT, 'auto' or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=_LISTENS_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"address: {address!r}: nobody listens there ({error})") from None
