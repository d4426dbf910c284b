"""Checks of schedulers: the battery that the package's own pass, for everybody's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar, cast, get_args

import numpy as np

from ..common.arrays import Ints
from ..envs.contract import (
    LEFT_OPEN,
    ClientFacts,
    Future,
    Preparing,
    RoundPlan,
    RunFacts,
    Scheduler,
    SchedulerKind,
    Situation,
    StreamFacts,
    Terms,
    ZoneFacts,
    said_of,
)
from ..envs.mixture import make_world
from ..envs.scenario import Scenario, load_scenario
from .players import adopt, make_player

__all__ = ["check_scheduler"]

_SEEDS = np.array([11, 5, 923], dtype=np.int64)
_OTHER_SEEDS = np.array([4, 77, 31], dtype=np.int64)
_SHARED = ("forecast_leads_s", "carbon_leads_s")
"""Arrays that all environments have in common."""

Part = TypeVar("Part", ClientFacts, ZoneFacts, RunFacts, Terms, Future, StreamFacts)


@dataclass(frozen=True)
class _Played:
    """What a scheduler was shown, decision by decision, and what it planned."""

    situations: list[Situation]
    plans: list[RoundPlan]


def check_scheduler(
    scheduler: object, worlds: Sequence[Scenario | str] = ("quadratic",), decisions: int = 5
) -> None:
    """Let a scheduler play, and see that it keeps what `Scheduler` promises.

    Checked in every world: plans have the right shapes and ranges and invite or ask available clients only;
    where nobody is available they wait; a row of a batch is planned as it would be alone; the same seeds give
    the same plans; `reset` forgets what came before, in the rows that it names and in no other; a copy goes
    on as the original does, without disturbing it; whoever is not clairvoyant plans the same with and
    without the future.

    Example:
        A scheduler of one's own and a test of it:

            class Everybody:
                def reset(self, envs, seeds, num_clients): ...
                def plan(self, situation):
                    return plan_for(situation, situation.clients.available, local_steps=10)

            def test_everybody():
                check_scheduler(Everybody())

    Args:
        scheduler: an object with `reset` and `plan`, or a name for `make_player`.
        worlds: where to play, as `load_scenario` takes it.
        decisions: per episode.

    Raises:
        AssertionError: one line: what is not kept.
        ValueError: an unknown name, a field of a plan that is out of range.
    """
    for world in worlds:
        _check_in(scheduler, load_scenario(world), decisions)


def _check_in(source: object, scenario: Scenario, decisions: int) -> None:
    """The battery in one world."""
    scheduler = make_player(source, scenario) if isinstance(source, str) else adopt(source)
    kinds = get_args(SchedulerKind)
    _expect(bool(scheduler.name), "name: empty, expected what tables call it")
    _expect(scheduler.kind in kinds, f"kind: {scheduler.kind!r}, expected one of {', '.join(kinds)}")
    if isinstance(scheduler, Preparing):
        seeds = [*_SEEDS.tolist(), *_OTHER_SEEDS.tolist()]
        scheduler.prepare(lambda num_envs: make_world(scenario, num_envs, "val"), seeds, len(_SEEDS))
    played = _play(copy.deepcopy(scheduler), scenario, decisions)
    _check_repeats(scheduler, played)
    _check_rows(scheduler, played)
    _check_partial_reset(scheduler, played)
    if not isinstance(scheduler, Preparing):
        _check_waits(scheduler, played.situations[0])


def _play(scheduler: Scheduler, scenario: Scenario, decisions: int) -> _Played:
    """Play some decisions; every plan is checked, and a copy must plan the same."""
    world = make_world(scenario, len(_SEEDS), "val")
    everyone = np.ones(len(_SEEDS), dtype=bool)
    world.reset(everyone, _SEEDS)
    scheduler.reset(everyone, _SEEDS, scenario.clients)
    played = _Played([], [])
    for _ in range(decisions):
        situation = world.situation(clairvoyant=True)
        shown = situation if scheduler.clairvoyant else replace(situation, future=None)
        twin = copy.deepcopy(scheduler)
        plan = scheduler.plan(shown)
        levels = scenario.levels
        offered = (levels.server_step, levels.upload_bits, scenario.refresh_levels, levels.ask_below)
        plan.validate(len(_SEEDS), scenario.clients, *offered)
        _check_plan(plan, situation)
        _expect_same(twin.plan(shown), plan, "a copy of it plans otherwise than the original")
        played.situations.append(situation)
        played.plans.append(plan)
        ended = world.step(plan)
        if (ended.terminated | ended.truncated).any():
            break
    return played


def _check_plan(plan: RoundPlan, situation: Situation) -> None:
    """Only available clients, no more data than there is room for, and no decision that does nothing."""
    asked = plan.invited | plan.probed
    away = asked & ~situation.clients.available
    _expect(not away.any(), f"local_steps: client {away.any(axis=0).argmax()} is not available, expected 0")
    _expect(
        bool((asked.any(axis=1) | (plan.wait_s > 0)).all()),
        "wait_s: 0 where nobody is invited, expected a wait, or the run would stand still",
    )
    _expect(
        bool((plan.transfer_samples <= situation.clients.storage_left).all()),
        "transfer_samples: more than storage_left",
    )


def _check_repeats(scheduler: Scheduler, played: _Played) -> None:
    """The same seeds give the same plans, also after other episodes, and with the future in sight."""
    player = copy.deepcopy(scheduler)
    for seeds, why in (
        (_SEEDS, "the same seeds give other plans; draw from the seeds that reset() brings"),
        (_OTHER_SEEDS, ""),
        (_SEEDS, "after reset() it remembers earlier episodes"),
    ):
        _start(player, seeds, played)
        for situation, plan in zip(played.situations, played.plans, strict=True):
            again = player.plan(_shown(player, situation))
            if why:
                _expect_same(again, plan, why)
    if not scheduler.clairvoyant:
        _start(player, _SEEDS, played)
        for situation, plan in zip(played.situations, played.plans, strict=True):
            _expect_same(player.plan(situation), plan, "it reads the future without being clairvoyant")


def _check_rows(scheduler: Scheduler, played: _Played) -> None:
    """Each environment alone is planned as in the batch."""
    for row in range(len(_SEEDS)):
        player, one = copy.deepcopy(scheduler), slice(row, row + 1)
        _start(player, _SEEDS[one], played)
        for situation, plan in zip(played.situations, played.plans, strict=True):
            alone = player.plan(_shown(player, _rows(situation, one)))
            why = f"row {row} of the batch is planned otherwise than the same environment alone"
            _expect_same(alone, plan.rows(one), why)


def _check_partial_reset(scheduler: Scheduler, played: _Played) -> None:
    """A reset of the first row leaves the others as they were, and begins the first anew."""
    player, first = copy.deepcopy(scheduler), np.arange(len(_SEEDS)) == 0
    _start(player, _SEEDS, played)
    middle = len(played.plans) // 2
    for index, (situation, plan) in enumerate(zip(played.situations, played.plans, strict=True)):
        if index == middle:
            player.reset(first, np.where(first, _OTHER_SEEDS, _SEEDS), situation.num_clients)
        rest = slice(1, None)
        _expect_same(
            player.plan(_shown(player, situation)).rows(rest),
            plan.rows(rest),
            "reset() of one row changes what is planned for the others",
        )


def _check_waits(scheduler: Scheduler, situation: Situation) -> None:
    """Where nobody is available it waits, or ends the run."""
    player = copy.deepcopy(scheduler)
    nobody = situation.changed(available=np.zeros_like(situation.clients.available))
    player.reset(np.ones(len(_SEEDS), dtype=bool), _SEEDS, situation.num_clients)
    plan = player.plan(_shown(player, nobody))
    _check_plan(plan, nobody)


def _start(player: Scheduler, seeds: Ints, played: _Played) -> None:
    player.reset(np.ones(len(seeds), dtype=bool), seeds, played.situations[0].num_clients)


def _shown(player: Scheduler, situation: Situation) -> Situation:
    return situation if player.clairvoyant else replace(situation, future=None)


def _rows(situation: Situation, rows: slice) -> Situation:
    """Some environments of a situation."""
    future = situation.future
    return Situation(
        _part(situation.clients, rows),
        _part(situation.zones, rows),
        _part(situation.run, rows),
        _part(situation.terms, rows),
        None if future is None else _part(future, rows),
        None if situation.stream is None else _part(situation.stream, rows),
    )


def _part(part: Part, rows: slice) -> Part:
    values = {item.name: getattr(part, item.name) for item in fields(part)}
    batched = {
        name: value[rows]
        for name, value in values.items()
        if isinstance(value, np.ndarray) and name not in _SHARED
    }
    build = cast("Callable[..., Part]", type(part))
    return build(**values | batched)


def _expect_same(plan: RoundPlan, other: RoundPlan, why: str) -> None:
    """Both plans order the same."""
    for name in ("invited", "probed", "local_steps", "transfer_samples", "quorum", "wait_s"):
        _expect(np.array_equal(getattr(plan, name), getattr(other, name)), f"{name}: {why}")
    blank = np.full(plan.local_steps.shape, np.nan)
    weights = [blank if each.weights is None else each.weights for each in (plan, other)]
    _expect(np.array_equal(weights[0], weights[1], equal_nan=True), f"weights: {why}")
    for name in LEFT_OPEN:
        _expect(np.array_equal(said_of(plan, name), said_of(other, name)), f"{name}: {why}")


def _expect(kept: bool, why: str) -> None:
    if not kept:
        raise AssertionError(why)
