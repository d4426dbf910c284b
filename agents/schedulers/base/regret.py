"""Schedulers that say how far they are behind the best fixed choice, and how far they can be at most."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ....common.arrays import Floats


@runtime_checkable
class WithRegret(Protocol):
    """A scheduler with a regret of its own and a bound of it, both in the gains that it learns from."""

    def regret(self) -> Floats:
        """Regret `[E]` so far against the best fixed choice in hindsight."""
        ...

    def regret_bound(self) -> Floats:
        """What the theory says that it cannot exceed, `[E]`."""
        ...
