"""Playing episodes: the one loop of situation, plan and step that everybody uses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np
from typing_extensions import TypeVar

from ...common.arrays import Bools, Ints
from .rounds import RoundOutcome, RoundPlan
from .scheduler import SchedulerKind
from .situation import Situation
from .world import StepResult


class Elements(Protocol):
    """A situation that says how many clients, or slots, there are."""

    @property
    def num_clients(self) -> int:
        """N, or S."""
        ...


SituationT = TypeVar("SituationT", bound=Elements, default=Situation)
PlanT = TypeVar("PlanT", default=RoundPlan)
OutcomeT = TypeVar("OutcomeT", default=RoundOutcome)
# The same as protocols want them: what is handed out, and what is taken in.
SituationOut = TypeVar("SituationOut", covariant=True)
SituationIn = TypeVar("SituationIn", contravariant=True)
PlanOut = TypeVar("PlanOut", covariant=True)
PlanIn = TypeVar("PlanIn", contravariant=True)


class PlayedWorld(Protocol[SituationOut, PlanIn, OutcomeT]):
    """A batch of worlds of any class, as the loop that plays them sees it."""

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`."""
        ...

    def situation(self, clairvoyant: bool = False) -> SituationOut:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        ...

    def step(self, plan: PlanIn) -> StepResult[OutcomeT]:
        """Carry out one plan."""
        ...


class Decider(Protocol[SituationIn, PlanOut]):
    """Who decides in worlds of one class, as the loop that plays them sees it."""

    @property
    def kind(self) -> SchedulerKind:
        """A ceiling is given the episodes' own seeds."""
        ...

    @property
    def clairvoyant(self) -> bool:
        """Whether it wants to see the future."""
        ...

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes."""
        ...

    def plan(self, situation: SituationIn) -> PlanOut:
        """Orders for all rows."""
        ...


_PERSON = b"scheduler"
"""Keeps these hashes apart from all others of the same seeds."""


@dataclass(frozen=True)
class Turn(Generic[SituationT, PlanT, OutcomeT]):
    """One decision of E episodes."""

    situation: SituationT  # before the decision
    plan: PlanT  # the decision
    result: StepResult[OutcomeT]  # what came of it
    after: SituationT  # what is known then
    running: Bools  # [E] whose episode was still running when it was decided
    decided_s: float  # wall-clock time of the decision, all rows together


def scheduler_seeds(seeds: Ints) -> Ints:
    """Seeds for the schedulers of some episodes, one-way derived from the episodes' own, int64 `[E]`.

    Whoever holds an episode's seed and its scenario can build the same world and look into its future. These
    are as good for random numbers and say nothing of the episode: they are hashes, so that only somebody who
    tries out all seeds would find the one behind.
    """
    raw = [int(seed).to_bytes(8, "little", signed=True) for seed in seeds]
    digests = [hashlib.blake2b(each, person=_PERSON, digest_size=8).digest() for each in raw]
    return np.array([int.from_bytes(each, "little") % 2**63 for each in digests], dtype=np.int64)


def rollout(
    world: PlayedWorld[SituationT, PlanT, OutcomeT], scheduler: Decider[SituationT, PlanT], seeds: Ints
) -> Iterator[Turn[SituationT, PlanT, OutcomeT]]:
    """Play new episodes until every one has ended.

    Args:
        world: of as many environments as there are seeds; it is reset.
        scheduler: who decides; shown the future if it is clairvoyant. It is given `scheduler_seeds`, but a
            ceiling is given the seeds themselves, by which it looks its episodes up.
        seeds: int64 `[E]`, one per episode.
    """
    running = np.ones(len(seeds), dtype=bool)
    world.reset(running, seeds)
    situation = world.situation(clairvoyant=scheduler.clairvoyant)
    given = seeds if scheduler.kind == "ceiling" else scheduler_seeds(seeds)
    scheduler.reset(running, given, situation.num_clients)
    while running.any():
        began_s = time.perf_counter()
        plan = scheduler.plan(situation)
        decided_s = time.perf_counter() - began_s
        result = world.step(plan)
        after = world.situation(clairvoyant=scheduler.clairvoyant)
        yield Turn(situation, plan, result, after, running, decided_s)
        running = running & ~(result.terminated | result.truncated)
        situation = after
