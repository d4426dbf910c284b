"""Rules that play every episode with the settings that hindsight finds best for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.contract import RoundPlan, SimulatedWorld, Situation, choose_plans, rollout
from ....envs.scenario import Scenario
from ..base import Knob, Rule, Setting, knobs_of, offered_refresh

_STRETCH = 1.7
"""Factor by which a number is changed that is searched in the logarithm."""
_SHARE = 0.15
"""Share of its range by which any other number is changed."""


@dataclass(kw_only=True)
class Adapted(Rule):
    """A rule that, shown the episodes before, tries other settings and plays each with the one that is best.

    Settings are changed one at a time, from the best in the mean so far; an episode keeps what earned it most
    of all that was tried, the rule's own settings included: it never falls behind these. Where nobody is
    served nothing is tried, and an episode that it was not shown is played with its own settings.
    """

    tried: ClassVar[tuple[str, ...]] = ()
    """Names of the settings that are changed, the most important first."""
    tries: ClassVar[int] = 48
    """Settings that are played in all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rules: list[Rule] = []  # that play, the first with its own settings
        self._best: dict[int, int] = {}  # which of them, by seed
        self._choice: Ints = np.zeros(0, dtype=np.int64)

    def adapt(self, take: Callable[[int], SimulatedWorld], seeds: Sequence[int], batch: int = 32) -> None:
        """See `Adapting.adapt`."""
        todo = [seed for seed in dict.fromkeys(map(int, seeds)) if seed not in self._best]
        parts = [np.array(todo[at : at + batch], dtype=np.int64) for at in range(0, len(todo), batch)]
        worlds = {size: take(size) for size in sorted({len(part) for part in parts})}
        if not parts or not worlds[len(parts[0])].scenario.refresh_levels:
            return

        def play(rule: Rule) -> Floats:
            return np.concatenate([_played(worlds[len(part)], rule, part) for part in parts])

        rules, points = _climb(replace(self), play, _room(self, worlds[len(parts[0])].scenario))
        best = np.argmax(points, axis=0)
        self._rules = self._rules or [replace(self)]
        for index in np.unique(best).tolist():
            self._best |= {todo[at]: len(self._rules) for at in np.flatnonzero(best == index).tolist()}
            self._rules.append(rules[index])

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes; see `Scheduler.reset`."""
        super().reset(envs, seeds, num_clients)
        known = self._choice if len(self._choice) == len(envs) else np.zeros(len(envs), dtype=np.int64)
        mine = np.array([self._best.get(int(seed), 0) for seed in seeds], dtype=np.int64)
        self._choice = np.where(envs, mine, known)
        for rule in self._rules:
            rule.reset(envs, seeds, num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """The orders by each episode's settings; see `Scheduler.plan`."""
        if not self._rules:
            return super().plan(situation)
        used, choice = np.unique(self._choice, return_inverse=True)
        return choose_plans([self._rules[rule].plan(situation) for rule in used.tolist()], choice)


def _played(world: SimulatedWorld, rule: Rule, seeds: Ints) -> Floats:
    """Net points `[E]` of a rule's episodes."""
    for _ in rollout(world, rule, seeds):
        pass
    return np.asarray(world.totals()["net_points"], dtype=np.float64)


def _room(rule: Adapted, scenario: Scenario) -> dict[str, Knob]:
    """The settings that are changed, within what a scenario offers."""
    most = {"participants": scenario.clients, "local_steps": scenario.levels.local_steps[-1]}
    declared = {name: knobs_of(rule)[name] for name in rule.tried}
    return {
        name: knob.among(offered_refresh(scenario))
        if knob.choices
        else knob.within(0, most.get(name, np.inf))
        for name, knob in declared.items()
    }


def _climb(
    start: Adapted, play: Callable[[Rule], Floats], room: Mapping[str, Knob]
) -> tuple[list[Rule], Floats]:
    """The rules that were played, and their net points `[tried, episodes]`.

    Coordinate ascent on the mean: the first change for the better is taken, and the next setting is next.
    When nothing near the best one is better, it goes on from the second best.
    """
    rules, points = [start], [play(start)]
    looked: list[Rule] = []
    while len(rules) < start.tries and len(looked) < len(rules):
        order = np.argsort([-each.mean() for each in points], kind="stable")
        centre = next(rules[at] for at in order.tolist() if not any(rules[at] is each for each in looked))
        looked.append(centre)
        floor = points[next(at for at, each in enumerate(rules) if each is centre)].mean()
        for name, knob in room.items():
            for value in _neighbours(knob, getattr(centre, name)):
                candidate = replace(centre, **{name: value})
                if candidate in rules or len(rules) >= start.tries:
                    continue
                rules.append(candidate)
                points.append(play(candidate))
                if points[-1].mean() > floor:
                    centre, floor = candidate, points[-1].mean()
                    break
    return [*rules], np.stack(points)


def _neighbours(knob: Knob, value: Setting) -> Iterator[Setting]:
    """A choice's others; a number's next smaller and larger ones, or off and what is in the middle."""
    if knob.choices:
        yield from (each for each in knob.choices if each != value)
        return
    assert knob.low is not None
    assert knob.high is not None
    now = float(value)
    if knob.off is not None and now == knob.off:
        yield from (knob.between(place) for place in (0.3, 0.7))
        return
    step = _SHARE * (knob.high - knob.low)
    near = (now / _STRETCH, now * _STRETCH) if knob.log else (now - step, now + step)
    for each in near:
        cut = float(np.clip(each, knob.low, knob.high))
        found = round(cut) if knob.integer else float(f"{cut:.4g}")
        if found != value:
            yield found
    if knob.off is not None:
        yield knob.off
