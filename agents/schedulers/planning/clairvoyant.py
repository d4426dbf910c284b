"""Clairvoyant ceiling: the best of many rules in hindsight, each allowed to see the future."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeAlias, cast

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import RoundPlan, SchedulerKind, SimulatedWorld, Situation, choose_plans
from ..base import Rule, Setting
from ..parts import Play, Splice, Tape, play_ahead, play_out

_SIGHTED = 4
"""How many of the best given rules are tried with sight."""
_GIVEN_SHARE = 0.6
"""Share of the candidates that are given rules; the others are variations."""
_TAILS = 8
"""How many of the best candidates take over in splices."""
_STREAM = 0x5E11C
"""Keeps the splices' random numbers apart from those of the episodes."""

Worlds: TypeAlias = Mapping[int, SimulatedWorld]
"""By number of environments."""


class Sight(Rule):
    """True knowledge instead of forecasts, laid over a rule.

    Only clients that will certainly finish are invited, and a wait for cleaner power (`wait_saving`) lasts
    until the true minimum of the coming hours.
    """

    clairvoyant: ClassVar[bool] = True

    def candidates(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Bools:
        """Those of the rule that are still there at the end of their work."""
        if situation.future is None:
            raise ValueError(
                "clairvoyant: situation.future is None, expected world.situation(clairvoyant=True)"
            )
        allowed = super().candidates(situation, steps, transfer)
        return allowed & (situation.future.session_left_s >= situation.round_s(steps, transfer))

    def carbon_coming(self, situation: Situation) -> Floats:
        """The truth at the leads."""
        known = situation.future
        return super().carbon_coming(situation) if known is None else known.carbon_g_per_kwh


def with_sight(rule: Rule, **changes: Setting) -> Rule:
    """The rule with true knowledge instead of the settings that guess who will be lost, and other changes."""
    guesses = {"avoid_losses": False, "min_survival": 0.0, "over_selection": 1.0, "quorum": 1.0}
    kind: type[Rule] = type(rule)
    if not isinstance(rule, Sight):
        kind = type(f"Sighted{kind.__name__}", (Sight, kind), {})
    build = cast("Callable[..., Rule]", kind)
    return build(**(_settings(rule) | guesses | changes))


@dataclass
class _Choice:
    name: str
    decisions: int
    net_points: float
    orders: tuple[RoundPlan, ...]


class Clairvoyant:
    """Clairvoyant ceiling: the best plays of many rules on the very same episodes, improved by local search.

    Plays many candidates on its own copy of the very same episodes, improves the best, and repeats that.
    Method: hindsight over a bounded set of rules: the given ones, the best of them with sight
    (`with_sight`), and variations of the best so far in how many train, how long, on how much more data,
    and when they wait. All are played without a stopping rule; the best moment to stop is then read off the
    net points of each episode. The best candidate is also played with the world itself as its model
    (`play_ahead`). Then the best play of each episode is repeated up to a random decision and goes on under
    another of the best candidates (with other random numbers), and is replaced where that earned more: a
    random local search over whole sequences of orders. By construction it earns at least as many net points
    (on the validation accuracy that the reward counts) in every episode as any of its candidates with any
    stopping rule. It is a ceiling for comparison, never a method: it needs the episodes' seeds, the future,
    and the plays themselves.
    Needs: `prepare` before the first reset; `Situation.future`.
    Paper: none.
    Defaults: at most 24 candidates, of which at most 15 are given rules; 60 splices.

    Args:
        rules: the handcrafted rules to start from, best first.
        max_candidates: bound on the candidates, and so on the cost.
        splices: plays of the local search; 0 leaves out looking ahead, too.
    """

    name: ClassVar[str] = "clairvoyant"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = True

    def __init__(self, rules: Sequence[Rule], max_candidates: int = 24, splices: int = 60):
        if not rules:
            raise ValueError("clairvoyant.rules: none, expected at least one rule to start from")
        if max_candidates < 1:
            raise ValueError(f"clairvoyant.max_candidates: {max_candidates}, expected at least 1")
        if splices < 0:
            raise ValueError(f"clairvoyant.splices: {splices}, expected 0 or more")
        given = max(1, math.ceil(_GIVEN_SHARE * max_candidates))
        self.candidates: list[Rule] = [_unbounded(rule) for rule in rules][:given]
        self._max_candidates, self._splices = max_candidates, splices
        self._choices: dict[int, _Choice] = {}
        self._rows: list[_Choice] = []
        self._tape: Tape | None = None
        self._step: Ints = np.zeros(0, dtype=np.int64)

    def prepare(self, take: Callable[[int], SimulatedWorld], seeds: Sequence[int], batch: int = 32) -> None:
        """Find the best orders for every seed.

        Args:
            take: gives worlds of the scenario and split that will be played.
            seeds: of the episodes that will be played; others are refused by `reset`.
            batch: episodes played at once.
        """
        todo = [seed for seed in dict.fromkeys(map(int, seeds)) if seed not in self._choices]
        if not todo:
            return
        parts = [
            np.array(todo[start : start + batch], dtype=np.int64) for start in range(0, len(todo), batch)
        ]
        worlds = {size: take(size) for size in {len(part) for part in parts}}
        earned = [self._play_all(candidate, parts, worlds) for candidate in self.candidates]
        expanded: set[int] = set()
        while len(self.candidates) < self._max_candidates and len(expanded) < len(self.candidates):
            ranked = sorted(range(len(earned)), key=lambda index: -earned[index])
            if not expanded:
                expanded.update(index for index in ranked if not isinstance(self.candidates[index], Sight))
                fresh = [with_sight(self.candidates[index]) for index in ranked[:_SIGHTED]]
            else:
                best = next(index for index in ranked if index not in expanded)
                expanded.add(best)
                fresh = variations(self.candidates[best])
            for candidate in fresh[: self._max_candidates - len(self.candidates)]:
                earned.append(self._play_all(candidate, parts, worlds))
                self.candidates.append(candidate)
        ranked = sorted(range(len(earned)), key=lambda index: -earned[index])
        if self._splices:
            self._look_ahead([self.candidates[index] for index in ranked], parts, worlds)
        self._improve([self.candidates[index] for index in ranked[:_TAILS]], parts, worlds)

    def _play_all(self, candidate: Rule, parts: Sequence[Ints], worlds: Worlds) -> float:
        """Play one candidate on all new episodes, remember where it is the best, return its net points."""
        return sum(self._keep(candidate, worlds[len(part)], part) for part in parts)

    def _look_ahead(self, ranked: Sequence[Rule], parts: Sequence[Ints], worlds: Worlds) -> None:
        """The best candidate with the world itself as its model: fewer steps, more steps, another rule."""
        base = with_sight(ranked[0])
        steps = (_times(base.local_steps, 0.6), _times(base.local_steps, 1.7))
        others = [with_sight(base, local_steps=each) for each in steps]
        rivals = [each for each in ranked if _plain(each) is not _plain(base)]
        others += [with_sight(each) for each in rivals[:1]]
        for part in parts:
            self._remember("look-ahead", play_ahead(worlds[len(part)], base, others, part), part)

    def _keep(self, scheduler: Rule | Splice, world: SimulatedWorld, seeds: Ints) -> float:
        return self._remember(scheduler.name, play_out(world, scheduler, seeds), seeds)

    def _remember(self, name: str, play: Play, seeds: Ints) -> float:
        """Keep a play's orders where they earned the most so far; returns its net points."""
        for row, seed in enumerate(seeds.tolist()):
            known, net = self._choices.get(seed), float(play.points[row])
            if known is None or net > known.net_points:
                self._choices[seed] = _Choice(name, int(play.decisions[row]), net, play.orders(row))
        return float(play.points.sum())

    def _improve(self, tails: Sequence[Rule], parts: Sequence[Ints], worlds: Worlds) -> None:
        """Random local search: other orders from a random decision of the best play on."""
        for number in range(self._splices):
            tail = tails[number % len(tails)]
            for part in parts:
                world = worlds[len(part)]
                best = [self._choices[seed] for seed in part.tolist()]
                tape = Tape([choice.orders for choice in best], world.scenario.clients)
                switch = [
                    np.random.default_rng([_STREAM, seed % 2**63, number]).integers(choice.decisions + 1)
                    for seed, choice in zip(part.tolist(), best, strict=True)
                ]
                self._keep(Splice(tape, np.array(switch, dtype=np.int64), tail, number), world, part)

    def best_candidate(self, seed: int) -> tuple[str, int, float]:
        """Name, decisions before the stop, and net points of the choice for one episode."""
        choice = self._choices[int(seed)]
        return choice.name, choice.decisions, choice.net_points

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes; ValueError for a seed that was not prepared."""
        envs = np.asarray(envs, dtype=bool)
        if self._step.shape != envs.shape:
            self._step = np.zeros(envs.shape, dtype=np.int64)
            self._rows = [_Choice("none", 0, 0.0, ()) for _ in range(envs.size)]
        for row in np.flatnonzero(envs).tolist():
            choice = self._choices.get(int(seeds[row]))
            if choice is None:
                raise ValueError(
                    f"clairvoyant: seed {int(seeds[row])} was not prepared, call prepare() with it"
                )
            self._rows[row], self._step[row] = choice, 0
        self._tape = Tape([choice.orders for choice in self._rows], num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """Each row's best orders, until its best moment to stop."""
        if self._tape is None:
            raise ValueError("clairvoyant: nothing to repeat, call prepare() and reset() first")
        steps, choice = np.unique(self._step, return_inverse=True)
        self._step = self._step + 1
        return choose_plans([self._tape.at(int(step)) for step in steps], choice)


def variations(rule: Rule) -> list[Rule]:
    """The rule with sight, and more or fewer participants, steps, moved data, or a wait for cleaner power."""
    changes: tuple[dict[str, Setting], ...] = (
        {"participants": _times(rule.participants, 0.6)},
        {"participants": _times(rule.participants, 1.7)},
        {"local_steps": _times(rule.local_steps, 0.6)},
        {"local_steps": _times(rule.local_steps, 1.7)},
        {"transfer_samples": 0 if rule.transfer_samples else 100},
        {"wait_saving": 0.1},
    )
    return [with_sight(rule, **change) for change in changes]


def _unbounded(rule: Rule) -> Rule:
    """The rule without a stop of its own."""
    return replace(rule, stop_gain=0.0, stop_after_rounds=0)


def _settings(rule: Rule) -> dict[str, Setting]:
    return {item.name: getattr(rule, item.name) for item in fields(rule)}


def _plain(rule: Rule) -> type:
    """The class of a rule, without its sight."""
    kind = type(rule)
    return kind.__bases__[1] if isinstance(rule, Sight) else kind


def _times(number: int, factor: float) -> int:
    return int(np.clip(round(number * factor), 1, 100))
