"""Schedulers: what turns situations into plans, handcrafted or learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from ...common.arrays import Bools, Ints
from .rounds import RoundPlan
from .situation import Situation
from .world import SimulatedWorld

SchedulerKind: TypeAlias = Literal["handcrafted", "learned", "ceiling"]
"""How tables group schedulers; "ceiling" is what sees the future."""

KIND_WORDS: Mapping[str, str] = {"handcrafted": "handcrafted", "learned": "learned", "ceiling": "hindsight"}
"""What tables call them: the best known in hindsight is no ceiling, more search finds more."""


@runtime_checkable
class Scheduler(Protocol):
    """Anything that turns situations of E worlds into plans.

    A class of one's own needs `reset` and `plan`; where the other attributes are missing, evaluations take
    the name of the class, "handcrafted" and not clairvoyant.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def kind(self) -> SchedulerKind:
        """How tables group it."""
        ...

    @property
    def clairvoyant(self) -> bool:
        """Whether it wants to see `Situation.future`."""
        ...

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes.

        Args:
            envs: bool `[E]`, the rows that start anew; the others go on. Its length sets E.
            seeds: int64 `[E]`, one seed per row, for the scheduler's random numbers; read where `envs` is
                true. Only a ceiling is given the episodes' own, see `scheduler_seeds`.
            num_clients: N.
        """
        ...

    def plan(self, situation: Situation) -> RoundPlan:
        """Orders for all E rows. Row i depends on nothing but row i."""
        ...


@runtime_checkable
class Adapting(Protocol):
    """A ceiling that fits itself to the episodes before it plays them, whoever else plays."""

    def adapt(self, take: Callable[[int], SimulatedWorld], seeds: Sequence[int], batch: int) -> None:
        """Get ready for some episodes.

        Args:
            take: gives worlds of so many environments.
            seeds: of the episodes.
            batch: how many will be played at once.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """A scheduler that is shown the episodes before it plays them: only searches in hindsight may be."""

    def prepare(
        self,
        take: Callable[[int], SimulatedWorld],
        seeds: Sequence[int],
        batch: int,
        rivals: Sequence[Scheduler] = (),
    ) -> None:
        """Get ready for some episodes.

        Args:
            take: gives worlds of so many environments.
            seeds: of the episodes.
            batch: how many will be played at once.
            rivals: the other schedulers of the same evaluation, which it may let play these episodes.
        """
        ...


def show_episodes(
    scheduler: Scheduler,
    take: Callable[[int], SimulatedWorld],
    seeds: Sequence[int],
    batch: int,
    rivals: Sequence[Scheduler] = (),
) -> None:
    """Let a scheduler that wants to see its episodes before it plays them, and its rivals likewise.

    Args:
        scheduler: who will play; most do not want to.
        take: gives worlds of so many environments.
        seeds: of the episodes.
        batch: how many will be played at once.
        rivals: the other schedulers of the same evaluation.

    Raises:
        ValueError: it wants to, and is no ceiling.
    """
    if not isinstance(scheduler, Adapting | Preparing):
        return
    if scheduler.kind != "ceiling":
        raise ValueError(
            f"scheduler {scheduler.name}: kind {scheduler.kind!r}, expected 'ceiling': it wants to see the "
            "episodes before it plays them (`prepare`, `adapt`)"
        )
    if isinstance(scheduler, Adapting):
        scheduler.adapt(take, seeds, batch)
    if isinstance(scheduler, Preparing):
        for rival in rivals:
            if isinstance(rival, Adapting):
                rival.adapt(take, seeds, batch)
        scheduler.prepare(take, seeds, batch, rivals)
