"""Playing episodes: the one loop of situation, plan and step that everybody uses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Ints
from .rounds import RoundPlan
from .scheduler import Scheduler
from .situation import Situation
from .world import SimulatedWorld, StepResult


@dataclass(frozen=True)
class Turn:
    """One decision of E episodes."""

    situation: Situation  # before the decision
    plan: RoundPlan  # the decision
    result: StepResult  # what came of it
    after: Situation  # what is known then
    running: Bools  # [E] whose episode was still running when it was decided
    decided_s: float  # wall-clock time of the decision, all rows together


def rollout(world: SimulatedWorld, scheduler: Scheduler, seeds: Ints) -> Iterator[Turn]:
    """Play new episodes until every one has ended.

    Args:
        world: of as many environments as there are seeds; it is reset.
        scheduler: who decides; shown the future if it is clairvoyant.
        seeds: int64 `[E]`, one per episode.
    """
    running = np.ones(len(seeds), dtype=bool)
    world.reset(running, seeds)
    situation = world.situation(clairvoyant=scheduler.clairvoyant)
    scheduler.reset(running, seeds, situation.num_clients)
    while running.any():
        began_s = time.perf_counter()
        plan = scheduler.plan(situation)
        decided_s = time.perf_counter() - began_s
        result = world.step(plan)
        after = world.situation(clairvoyant=scheduler.clairvoyant)
        yield Turn(situation, plan, result, after, running, decided_s)
        running = running & ~(result.terminated | result.truncated)
        situation = after
