"""Plays that are kept order by order, repeated, and changed from some decision on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.contract import (
    LEFT_OPEN,
    STOP_S,
    RoundPlan,
    Scheduler,
    SchedulerKind,
    SimulatedWorld,
    Situation,
    StepResult,
    choose_plans,
    rollout,
    said_of,
    scheduler_seeds,
)

LOOKED_AHEAD = 12
"""Decisions that `play_ahead` looks ahead after an alternative, unless told otherwise."""
_FRESH_SEEDS = 1_000_003
"""Keeps the random numbers of one change of a play apart from those of the next."""


@dataclass(frozen=True)
class Play:
    """E episodes from their start to their end, scored after each of D decisions and before the first.

    A run may be ended after any decision, so that one play is D + 1 of them.
    """

    net_points: Floats  # [D + 1, E] on the validation accuracy; -inf once the episode had ended
    pooled_points: Floats  # [D + 1, E] the same on `SimulatedWorld.pooled_accuracy`, which is less noisy
    plans: tuple[RoundPlan, ...]  # what was ordered, decision by decision

    @property
    def decisions(self) -> Ints:
        """`[E]`, before the best moment to stop by net points; 0: do not begin."""
        return np.asarray(self.net_points.argmax(axis=0))

    @property
    def points(self) -> Floats:
        """`[E]`, net points then."""
        return np.asarray(self.net_points.max(axis=0))

    def orders(self, row: int, decisions: int) -> tuple[RoundPlan, ...]:
        """One episode's first orders, as plans of a single environment."""
        return tuple(plan.rows(slice(row, row + 1)) for plan in self.plans[:decisions])


def play_out(world: SimulatedWorld, scheduler: Scheduler, seeds: Ints) -> Play:
    """Play a scheduler to the end of every episode.

    Args:
        world: of as many environments as there are seeds.
        scheduler: who decides; shown the future if it is clairvoyant.
        seeds: int64 `[E]`.
    """
    log: _Log | None = None
    for turn in rollout(world, scheduler, seeds):
        log = log or _Log(turn.situation)
        log.add(turn.plan, turn.result, world)
    if log is None:
        raise ValueError("seeds: none, expected at least one episode")
    return log.play


def play_ahead(
    world: SimulatedWorld,
    base: Scheduler,
    others: Sequence[Scheduler],
    seeds: Ints,
    depth: int = LOOKED_AHEAD,
) -> Play:
    """Play with the world itself as the model: try every scheduler's next orders on copies of the world.

    Rollout (Bertsekas, "Rollout Algorithms for Discrete Optimization", 2013): each alternative is carried
    out on a copy that then goes on under `base` for `depth` decisions, and each episode takes the one with
    the most net points at its best moment to stop; it ends where none of them is worth more than that.

    Args:
        world: of as many environments as there are seeds.
        base: whose orders are one alternative, and who goes on after each.
        others: whose orders are the other alternatives.
        seeds: int64 `[E]`.
        depth: decisions looked ahead after the alternative.
    """
    everyone, schedulers = np.ones(len(seeds), dtype=bool), [base, *others]
    world.reset(everyone, seeds)
    situation = world.situation(clairvoyant=True)
    for scheduler in schedulers:
        scheduler.reset(everyone, scheduler_seeds(seeds), situation.num_clients)
    log = _Log(situation)
    while log.running.any():
        plans = [scheduler.plan(situation) for scheduler in schedulers]
        ahead = np.stack([_look_ahead(world, plan, base, depth, log.running) for plan in plans])
        plan = choose_plans(plans, np.argmax(ahead, axis=0))
        plan = replace(plan, wait_s=np.where(ahead.max(axis=0) > 0, plan.wait_s, STOP_S))
        log.add(plan, world.step(plan), world)
        situation = world.situation(clairvoyant=True)
    return log.play


def _look_ahead(
    world: SimulatedWorld, plan: RoundPlan, base: Scheduler, depth: int, running: Bools
) -> Floats:
    """Best net points `[E]` within one order and `depth` more of `base`, on a copy of the world."""
    copy_of_world, copy_of_base = fork(world), copy.deepcopy(base)
    points, going = np.zeros(running.size), running
    best = np.full(running.size, -np.inf)
    for step in range(depth + 1):
        result = copy_of_world.step(plan)
        points = points + np.where(going, result.reward, 0.0)
        best = np.where(going, np.maximum(best, points), best)
        going = going & ~(result.terminated | result.truncated)
        if not going.any():
            break
        if step < depth:
            plan = copy_of_base.plan(copy_of_world.situation(clairvoyant=True))
    return best


@runtime_checkable
class _Sourced(Protocol):
    """A world with a store of data and models that never change."""

    source: object


WorldT = TypeVar("WorldT", bound=SimulatedWorld)


def fork(world: WorldT) -> WorldT:
    """A copy of a world that goes on by itself; what never changes (data, scenario, models) is shared."""
    shared: list[object] = [world.scenario]
    if isinstance(world, _Sourced):
        shared.append(world.source)
        for each in vars(world.source).values():
            shared += [each, *getattr(each, "__dict__", {}).values()]
    return copy.deepcopy(world, {id(each): each for each in shared})


class _Log:
    """Keeps the orders of a play and what they came to.

    Args:
        start: before the first decision.
    """

    def __init__(self, start: Situation):
        accuracy = start.run.accuracy
        self.running = np.ones(accuracy.size, dtype=bool)
        self._points, self._costs = [np.zeros(accuracy.size)], np.zeros(accuracy.size)
        self._start, self._pooled = accuracy, [np.zeros(accuracy.size)]
        self._plans: list[RoundPlan] = []

    def add(self, plan: RoundPlan, result: StepResult, world: SimulatedWorld) -> None:
        """One decision of all episodes; the world is the one that has carried it out."""
        gain = result.reward_terms["accuracy"]
        ended = np.where(self.running, 0.0, -np.inf)
        self._plans.append(plan)
        self._costs = self._costs + np.where(self.running, result.reward - gain, 0.0)
        self._points.append(self._points[-1] + result.reward + ended)
        gained = world.pooled_accuracy() - self._start
        self._pooled.append(100.0 * gained + self._costs + ended)
        self.running = self.running & ~(result.terminated | result.truncated)

    @property
    def play(self) -> Play:
        """What came of it."""
        return Play(np.array(self._points), np.array(self._pooled), tuple(self._plans))


class Tape:
    """Kept orders of E episodes, played again; each ends with its last order.

    Args:
        orders: per episode, plans of one environment each.
        num_clients: N.
    """

    name: ClassVar[str] = "tape"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = False

    def __init__(self, orders: Sequence[Sequence[RoundPlan]], num_clients: int):
        stop = _stop(num_clients)
        longest = max((len(each) for each in orders), default=0)
        padded = [[*each, *[stop] * (longest + 1 - len(each))] for each in orders]
        self._plans = [_joined([each[step] for each in padded]) for step in range(longest + 1)]
        self._step = 0

    def at(self, step: int) -> RoundPlan:
        """The orders `[E]` of one decision."""
        return self._plans[min(step, len(self._plans) - 1)]

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start all episodes anew."""
        self._step = 0

    def plan(self, situation: Situation) -> RoundPlan:
        """The next orders, whatever the situation."""
        self._step += 1
        return self.at(self._step - 1)


class Splice:
    """Repeats kept orders up to a decision of each episode, and lets a scheduler decide from there on.

    The scheduler watches from the start, so that it knows what there is to know; what it would have ordered
    before is dropped.

    Args:
        tape: the orders kept.
        switch: int `[E]`, the first decision that is the scheduler's.
        tail: the scheduler.
        number: of the splice; the scheduler's random numbers differ between splices.
    """

    name: ClassVar[str] = "spliced"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = True

    def __init__(self, tape: Tape, switch: Ints, tail: Scheduler, number: int):
        self._tape, self._switch, self._tail, self._number = tape, switch, tail, number
        self._step = 0

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start all episodes anew."""
        self._step = 0
        self._tail.reset(envs, seeds + _FRESH_SEEDS * (1 + self._number), num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """The tape's orders, or the scheduler's."""
        fresh = (self._step >= self._switch).astype(np.int64)
        plan = choose_plans([self._tape.at(self._step), self._tail.plan(situation)], fresh)
        self._step += 1
        return plan


def _joined(rows: Sequence[RoundPlan]) -> RoundPlan:
    """Plans of one environment each as one plan."""
    blank = np.full(rows[0].local_steps.shape, np.nan)
    nobody = np.zeros_like(rows[0].local_steps)
    weighted = any(row.weights is not None for row in rows)
    probing = any(row.probe_samples is not None for row in rows)
    weights = [blank if row.weights is None else row.weights for row in rows]
    asked = [nobody if row.probe_samples is None else row.probe_samples for row in rows]
    return RoundPlan(
        np.concatenate([row.local_steps for row in rows]),
        np.concatenate([row.transfer_samples for row in rows]),
        np.concatenate([row.quorum for row in rows]),
        np.concatenate([row.wait_s for row in rows]),
        np.concatenate(weights) if weighted else None,
        np.concatenate(asked) if probing else None,
        **{
            name: np.concatenate([said_of(row, name) for row in rows])  # type: ignore[arg-type]
            for name in LEFT_OPEN
            if any(getattr(row, name) is not None for row in rows)
        },
    )


def _stop(num_clients: int) -> RoundPlan:
    """The order to end the run, for one environment."""
    nobody = np.zeros((1, num_clients), dtype=np.int32)
    return RoundPlan(nobody, nobody, np.ones(1), np.full(1, STOP_S))
