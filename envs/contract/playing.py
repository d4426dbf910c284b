"""Playing episodes: the one loop of situation, plan and step that everybody uses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Ints
from .rounds import RoundPlan
from .scheduler import Scheduler
from .situation import Situation
from .world import SimulatedWorld, StepResult

_PERSON = b"scheduler"
"""Keeps these hashes apart from all others of the same seeds."""


@dataclass(frozen=True)
class Turn:
    """One decision of E episodes."""

    situation: Situation  # before the decision
    plan: RoundPlan  # the decision
    result: StepResult  # what came of it
    after: Situation  # what is known then
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


def rollout(world: SimulatedWorld, scheduler: Scheduler, seeds: Ints) -> Iterator[Turn]:
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
