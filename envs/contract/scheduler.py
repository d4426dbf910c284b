"""What decides: schedulers, handcrafted or learned."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ...common.arrays import Bools, Ints
from .rounds import RoundPlan
from .situation import Situation


@runtime_checkable
class Scheduler(Protocol):
    """Anything that turns situations of E worlds into plans.

    Two more attributes are looked for, and may be missing: `kind`, one of "handcrafted" (the default),
    "learned" and "ceiling", and `clairvoyant`, True for a scheduler that wants `Situation.future`.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes.

        Args:
            envs: bool `[E]`, the rows that start anew; the others go on. Its length sets E.
            seeds: int64 `[E]`, one seed per row; read where `envs` is true.
            num_clients: N.
        """
        ...

    def plan(self, situation: Situation) -> RoundPlan:
        """Orders for all E rows. Row i depends on nothing but row i."""
        ...
