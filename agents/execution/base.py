"""What every job engine promises, and how a job's failure is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

ATTEMPTS = 2
"""How often a piece of work is tried."""


SINGLE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
}
"""Environment of a worker: one thread each, the cores are shared out among the pieces."""


R = TypeVar("R")


@dataclass(frozen=True)
class Landed(Generic[R]):
    """A piece of work that is over.

    Attributes:
        key: which one.
        value: what its function returned; None if it failed.
        failure: one line that says why it was given up; None if it succeeded.
    """

    key: str
    value: R | None = None
    failure: str | None = None

    def result(self) -> R:
        """What its function returned; ValueError if it failed."""
        if self.failure is not None:
            raise ValueError(f"{self.key}: {self.failure}")
        return cast(R, self.value)


class Engine(Protocol):
    """Carries out work; a context manager that ends its workers."""

    def __enter__(self) -> Engine:
        """Nothing is started before there is work."""
        ...

    def __exit__(self, *reason: object) -> None:
        """End the workers, finished or not."""
        ...

    def run(self, function: Callable[..., R], work: Mapping[str, tuple[object, ...]]) -> Iterator[Landed[R]]:
        """Call `function(*arguments)` for every key, in the order given; yield each as it lands."""
        ...


def reason_of(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes started inside."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
