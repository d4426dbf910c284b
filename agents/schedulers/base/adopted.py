"""Schedulers of one's own that have `reset` and `plan` only, given what the protocol wants besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast, runtime_checkable

from ....common.arrays import Bools, Ints
from ....envs.contract import Preparing, RoundPlan, Scheduler, SchedulerKind, SimulatedWorld, Situation


@runtime_checkable
class Deciding(Protocol):
    """The least that a class of one's own has to have."""

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """See `Scheduler.reset`."""
        ...

    def plan(self, situation: Situation) -> RoundPlan:
        """See `Scheduler.plan`."""
        ...


class Adopted:
    """A scheduler around an object of one's own: its name, kind and clairvoyance, or the usual ones.

    Args:
        own: the object.

    Attributes:
        name: the object's, or the name of its class.
        kind: the object's, or "handcrafted".
        clairvoyant: the object's, or False.
    """

    def __init__(self, own: Deciding) -> None:
        self.own = own
        self.name = str(getattr(own, "name", type(own).__name__))
        self.kind = cast(SchedulerKind, getattr(own, "kind", "handcrafted"))
        self.clairvoyant = bool(getattr(own, "clairvoyant", False))

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """See `Scheduler.reset`."""
        self.own.reset(envs, seeds, num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """See `Scheduler.plan`."""
        return self.own.plan(situation)


class AdoptedPreparing(Adopted):
    """The same for an object that wants to be shown the episodes before."""

    def prepare(
        self,
        take: Callable[[int], SimulatedWorld],
        seeds: Sequence[int],
        batch: int,
        rivals: Sequence[Scheduler] = (),
    ) -> None:
        """See `Preparing.prepare`."""
        cast(Preparing, self.own).prepare(take, seeds, batch, rivals)


def adopt(scheduler: object) -> Scheduler:
    """A scheduler as it is, or an object that has only `reset` and `plan` as one.

    Raises:
        ValueError: it has no `reset` and `plan`.
    """
    if isinstance(scheduler, Scheduler):
        return scheduler
    if isinstance(scheduler, type) or not isinstance(scheduler, Deciding):
        raise ValueError(f"scheduler: {type(scheduler).__name__} has no plan() and reset(), see Scheduler")
    return AdoptedPreparing(scheduler) if isinstance(scheduler, Preparing) else Adopted(scheduler)


def original(scheduler: object) -> object:
    """The object that was adopted, or the scheduler itself."""
    return scheduler.own if isinstance(scheduler, Adopted) else scheduler
