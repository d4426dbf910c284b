"""The ceiling: the best of many rules in hindsight, each allowed to see the future."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

import numpy as np

from ...envs.situation import Bools, Floats, Ints, Situation
from ...fl_core.rounds import STOP_S, RoundPlan, choose_plans
from ..scheduler import Counts, Scheduler
from .rule import Rule
from .tuned_rule import TunedRule

_SIGHTED = 4
"""How many of the best given rules are tried with sight."""

MakeWorld = Callable[[int], Any]
"""Builds a fresh `FederatedWorld` (or anything like it) of so many environments."""


class Sight(Rule):
    """Laid over a rule, replaces its forecasts by true knowledge.

    Only clients that will certainly finish are invited, and a wait for cleaner power (`wait_above`) lasts
    until the true minimum of the coming hours.
    """

    clairvoyant: ClassVar[bool] = True

    def candidates(self, situation: Situation, steps: Counts, transfer: Counts) -> Bools:
        """Those of the rule that are still there at the end of their work."""
        if situation.future is None:
            raise ValueError(
                "clairvoyant: situation.future is None, expected world.situation(clairvoyant=True)"
            )
        allowed = super().candidates(situation, steps, transfer)
        return allowed & (situation.future.session_left_s >= situation.round_s(steps, transfer))

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        wait_s = super()._wait(situation, chosen)
        if situation.future is None or situation.carbon_leads_s.size == 0:
            return wait_s
        mean = situation.future.carbon_g_per_kwh.mean(axis=1)  # over zones, [E, H]
        minimum_s = situation.carbon_leads_s[mean.argmin(axis=1)]
        return np.where(wait_s == self.wait_s, minimum_s, wait_s)


def with_sight(rule: Rule, **changes: Any) -> Rule:
    """The rule with true knowledge instead of the knobs that guess who will be lost, and other settings."""
    guesses = {"avoid_losses": False, "min_survival": 0.0, "over_selection": 1.0, "quorum": 1.0}
    kind: Any = type(rule)
    if not isinstance(rule, Sight):
        kind = type(f"Sighted{kind.__name__}", (Sight, kind), {})
    return cast(Rule, kind(**(_settings(rule) | guesses | changes)))


@dataclass
class _Choice:
    candidate: int
    decisions: int
    net_points: float


class Clairvoyant:
    """Plays every candidate on its own copy of the very same episodes and repeats the best one.

    Method: hindsight over a bounded set of rules: the given ones, the best of them with sight (`with_sight`),
    and variations of the best so far in how many train, how long, on how much more data, and when they wait.
    All are played without a stopping rule; the best moment to stop is then read off the net points of each
    episode. By construction it earns at least as many net points (on the validation accuracy that the reward
    counts) in every episode as any of its candidates with any stopping rule. It is a ceiling for comparison,
    never a method: it needs the episodes' seeds, the future, and the plays themselves.
    Needs: `prepare` before the first reset; `Situation.future`.
    Paper: none.
    Defaults: at most 24 candidates.

    Args:
        rules: the handcrafted rules to start from.
        max_candidates: bound on the candidates, and so on the cost.
    """

    name: ClassVar[str] = "clairvoyant"
    kind: ClassVar[str] = "ceiling"
    clairvoyant: ClassVar[bool] = True

    def __init__(self, rules: Sequence[Rule] = (), max_candidates: int = 24):
        if max_candidates < 1:
            raise ValueError(f"clairvoyant.max_candidates: {max_candidates}, expected at least 1")
        self.candidates: list[Rule] = [_unbounded(rule) for rule in rules or (TunedRule(),)][:max_candidates]
        self._max_candidates = max_candidates
        self._choices: dict[int, _Choice] = {}
        self._chosen: Ints = np.zeros(0, dtype=np.int64)
        self._left: Ints = np.zeros(0, dtype=np.int64)

    def prepare(self, make_world: MakeWorld, seeds: Sequence[int], batch: int = 32) -> None:
        """Find the best candidate and its best stop for every seed.

        Args:
            make_world: builds worlds of the scenario and split that will be played.
            seeds: of the episodes that will be played; others are refused by `reset`.
            batch: episodes played at once.
        """
        todo = [seed for seed in dict.fromkeys(map(int, seeds)) if seed not in self._choices]
        if not todo:
            return
        parts = [
            np.array(todo[start : start + batch], dtype=np.int64) for start in range(0, len(todo), batch)
        ]
        worlds = {size: make_world(size) for size in {len(part) for part in parts}}
        earned = [
            self._play(candidate, index, parts, worlds) for index, candidate in enumerate(self.candidates)
        ]
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
                earned.append(self._play(candidate, len(self.candidates), parts, worlds))
                self.candidates.append(candidate)

    def _play(self, candidate: Rule, index: int, parts: Sequence[Ints], worlds: Mapping[int, Any]) -> float:
        """Play one candidate on all new episodes, remember where it is the best, return its net points."""
        total = 0.0
        for part in parts:
            decisions, points = best_prefix(worlds[len(part)], candidate, part)
            for seed, count, net in zip(part.tolist(), decisions.tolist(), points.tolist(), strict=True):
                known = self._choices.get(seed)
                if known is None or net > known.net_points:
                    self._choices[seed] = _Choice(index, count, net)
            total += float(points.sum())
        return total

    def best_candidate(self, seed: int) -> tuple[str, int, float]:
        """Name, decisions before the stop, and net points of the choice for one episode."""
        choice = self._choices[int(seed)]
        return self.candidates[choice.candidate].name, choice.decisions, choice.net_points

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes; ValueError for a seed that was not prepared."""
        envs = np.asarray(envs, dtype=bool)
        if self._chosen.shape != envs.shape:
            self._chosen = np.zeros(envs.shape, dtype=np.int64)
            self._left = np.zeros(envs.shape, dtype=np.int64)
        for row in np.flatnonzero(envs):
            choice = self._choices.get(int(seeds[row]))
            if choice is None:
                raise ValueError(
                    f"clairvoyant: seed {int(seeds[row])} was not prepared, call prepare() with it"
                )
            self._chosen[row], self._left[row] = choice.candidate, choice.decisions
        for candidate in self.candidates:
            candidate.reset(envs, seeds, num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """Each row as its own candidate plans it, until its best moment to stop."""
        used, choice = np.unique(self._chosen, return_inverse=True)
        merged = choose_plans([self.candidates[index].plan(situation) for index in used], choice)
        stop = self._left <= 0
        self._left = self._left - 1
        return replace(
            merged,
            local_steps=np.where(stop[:, None], 0, merged.local_steps).astype(np.int32),
            transfer_samples=np.where(stop[:, None], 0, merged.transfer_samples).astype(np.int32),
            wait_s=np.where(stop, STOP_S, merged.wait_s),
        )


def variations(rule: Rule) -> list[Rule]:
    """The rule with sight, and more or fewer participants, steps, moved data, or a wait for cleaner power."""
    changes: tuple[dict[str, Any], ...] = (
        {"participants": _times(rule.participants, 0.6)},
        {"participants": _times(rule.participants, 1.7)},
        {"local_steps": _times(rule.local_steps, 0.6)},
        {"local_steps": _times(rule.local_steps, 1.7)},
        {"transfer_samples": 0 if rule.transfer_samples else 100},
        {"wait_above": 1.05},
    )
    return [with_sight(rule, **change) for change in changes]


def best_prefix(world: Any, rule: Scheduler, seeds: Ints) -> tuple[Ints, Floats]:
    """Play a rule to the end of every episode and find the best moment to stop.

    Returns:
        Decisions before the stop, int `[E]` (0: do not begin), and the net points then, `[E]`.
    """
    num_envs = len(seeds)
    everyone = np.ones(num_envs, dtype=bool)
    world.reset(everyone, seeds)
    running, points = everyone.copy(), np.zeros(num_envs)
    best, best_points = np.zeros(num_envs, dtype=np.int64), np.zeros(num_envs)
    sees = bool(getattr(rule, "clairvoyant", False))
    situation = world.situation(clairvoyant=sees)
    rule.reset(everyone, seeds, situation.num_clients)
    played = 0
    while running.any():
        result = world.step(rule.plan(situation))
        situation = world.situation(clairvoyant=sees)
        played += 1
        points = points + np.where(running, result.reward, 0.0)
        better = running & (points > best_points)
        best, best_points = np.where(better, played, best), np.where(better, points, best_points)
        running = running & ~(result.terminated | result.truncated)
    return best, best_points


def _unbounded(rule: Rule) -> Rule:
    """The rule without a stop of its own."""
    return replace(rule, stop_gain=0.0, stop_after_rounds=0)


def _settings(rule: Rule) -> dict[str, Any]:
    return {item.name: getattr(rule, item.name) for item in fields(rule)}


def _times(number: int, factor: float) -> int:
    return int(np.clip(round(number * factor), 1, 100))
