"""Best known in hindsight: the best plays of many schedulers, improved order by order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, TypeAlias, TypedDict

import numpy as np

from ....common.arrays import Bools, Ints
from ....envs.contract import RoundPlan, Scheduler, SchedulerKind, SimulatedWorld, Situation, choose_plans
from ..base import Rule
from ..parts import LOOKED_AHEAD, Menu, Splice, Tape, mutate, play_ahead, play_out
from .best_known import BestKnown, BestPlay
from .sight import Sight, plain_kind, times, variations, with_sight

_SIGHTED = 4
"""How many of the best given rules are tried with sight."""
_GIVEN_SHARE = 0.6
"""Share of the candidates that are given rules; the others are variations."""
_TAILS = 8
"""How many of the best candidates take over in splices."""
_BROOD = 4
"""Mutants of one episode's best orders that are played at once."""
_SPLICES, _MUTANTS = 0x5E11C, 0x3D7A7
"""Keep the search's random numbers apart from those of the episodes."""

Worlds: TypeAlias = Mapping[int, SimulatedWorld]
"""By number of environments."""
Watch: TypeAlias = Callable[["Progress"], None]
"""Told after every step of the search."""


class SearchEffort(TypedDict, total=False):
    """The settings of a search that are numbers, see `Clairvoyant`."""

    max_candidates: int
    splices: int
    mutations: int


class Progress(NamedTuple):
    """How far a search has come."""

    plays: int  # of whole episodes, spent on each episode
    of_plays: int  # about so many will be
    net_points: float  # mean over the episodes, of the best known, on validation


@dataclass(frozen=True)
class _Search:
    """The episodes of one search, cut into batches, and the worlds to play them in."""

    parts: tuple[Ints, ...]
    worlds: Worlds

    @classmethod
    def of(cls, take: Callable[[int], SimulatedWorld], seeds: Sequence[int], batch: int) -> _Search:
        """Batches of so many episodes, the last one shorter."""
        starts = range(0, len(seeds), batch)
        parts = tuple(np.array(seeds[start : start + batch], dtype=np.int64) for start in starts)
        sizes = {copies * len(part) for part in parts for copies in (1, _BROOD)}
        return cls(parts, {size: take(size) for size in sorted(sizes)})

    @property
    def seeds(self) -> Ints:
        """Of all episodes."""
        return np.concatenate(self.parts)


class Clairvoyant:
    """Best known in hindsight: the best plays of many schedulers on the same episodes, improved by search.

    A yardstick, neither an optimum nor a method: it needs the episodes' seeds, the future and the plays
    themselves, and more search finds more (`history`). In this order:

    1. *Candidates* play: the given rules without a stop of their own, the best of them with sight
       (`with_sight`), variations of the best so far in how many train, how long, on how much more data and
       when they wait; and the rivals as they are: whatever is compared with it is among its candidates.
    2. The best rule is played with the world itself as its model (`play_ahead`).
    3. *Splices*: the best orders up to a random decision, then another of the best candidates.
    4. *Mutations*: single orders are changed (see `parts.mutations`) and the whole play is repeated.

    In every episode it has at least as many net points, on the validation accuracy that the reward counts,
    as any candidate with any stop; that holds by construction. The search itself looks at validation and
    training rows together (see `BestKnown`), so that it does not pick what suits the validation rows by
    chance. Tables of the test split show the accuracy on test rows: there the mean is ahead, single
    episodes need not be. An interrupted `prepare` begins with the best known when it is called again, and
    what was found can be kept (`plays`, `recall`).
    Needs: `prepare` before the first reset; `Situation.future`.
    Paper: none.
    Defaults: at most 12 candidates, of which at most 8 are given rules; 8 splices; 8 mutations: minutes, and
    far from converged (`benchmarks/ceiling.py` takes more).

    Args:
        rules: the handcrafted rules to start from, best first.
        max_candidates: bound on the candidates, and so on the cost.
        splices: plays of the third step; 0 leaves out looking ahead, too.
        mutations: plays of the fourth step, rounded up to whole broods of 4.
        rivals: other schedulers to play and to splice, besides those that `prepare` is given.
        watch: told how far the search has come.
    """

    name: ClassVar[str] = "clairvoyant"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = True

    def __init__(
        self,
        rules: Sequence[Rule],
        max_candidates: int = 12,
        splices: int = 8,
        mutations: int = 8,
        rivals: Sequence[Scheduler] = (),
        watch: Watch = lambda progress: None,
    ):
        if not rules:
            raise ValueError("clairvoyant.rules: none, expected at least one rule to start from")
        if max_candidates < 1:
            raise ValueError(f"clairvoyant.max_candidates: {max_candidates}, expected at least 1")
        for name, value in (("splices", splices), ("mutations", mutations)):
            if value < 0:
                raise ValueError(f"clairvoyant.{name}: {value}, expected 0 or more")
        given = max(1, math.ceil(_GIVEN_SHARE * max_candidates))
        self.candidates: list[Rule] = [_unbounded(rule) for rule in rules][:given]
        self.splices, self.mutations = splices, mutations
        self.history: list[Progress] = []
        self._max_candidates, self._rivals = max_candidates, tuple(rivals)
        self.watch = watch
        self._known, self._searched = BestKnown(), set[int]()
        self._rows: list[BestPlay] = []
        self._tape: Tape | None = None
        self._step: Ints = np.zeros(0, dtype=np.int64)

    def prepare(
        self,
        take: Callable[[int], SimulatedWorld],
        seeds: Sequence[int],
        batch: int = 32,
        rivals: Sequence[Scheduler] = (),
    ) -> None:
        """Find the best orders for every seed.

        Args:
            take: gives worlds of the scenario and split that will be played.
            seeds: of the episodes that will be played; others are refused by `reset`.
            batch: episodes played at once.
            rivals: the other schedulers of the evaluation.
        """
        seeds = list(dict.fromkeys(map(int, seeds)))
        rivals = [*self._rivals, *rivals]
        done = [seed for seed in seeds if seed in self._searched]
        todo = [seed for seed in seeds if seed not in self._searched]
        if done and rivals:
            known = _Search.of(take, done, batch)
            for rival in rivals:
                self._play_all(rival, known)
        if todo:
            self.history = []
            self._search(_Search.of(take, todo, batch), rivals)
            self._searched.update(todo)

    def _search(self, search: _Search, rivals: Sequence[Scheduler]) -> None:
        """The four steps."""
        worth = self._play_candidates(search)
        ranked = [self.candidates[index] for index in np.argsort(-np.array(worth), kind="stable")]
        worth += [self._play_all(rival, search) for rival in rivals]
        everybody: list[Scheduler] = [*self.candidates, *rivals]
        best = np.argsort(-np.array(worth), kind="stable")[:_TAILS]
        if self.splices:
            self._look_ahead(ranked, search)
        self._splice([everybody[index] for index in best], search)
        self._mutate(search)

    def _play_candidates(self, search: _Search) -> list[float]:
        """Play the given rules, and as many variations of the best as there may be; their net points."""
        earned = [self._play_all(candidate, search) for candidate in self.candidates]
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
                earned.append(self._play_all(candidate, search))
                self.candidates.append(candidate)
        return earned

    def _play_all(self, scheduler: Scheduler, search: _Search) -> float:
        """Play a scheduler that must not get ahead in any episode; its net points."""
        earned = 0.0
        for part in search.parts:
            play = play_out(search.worlds[len(part)], scheduler, part)
            earned += float(self._known.admit(scheduler.name, play, part).sum())
        self._note(search, 1)
        return earned

    def _look_ahead(self, ranked: Sequence[Rule], search: _Search) -> None:
        """The best rule with the world itself as its model: fewer steps, more steps, another rule."""
        base = with_sight(ranked[0])
        steps = (times(base.local_steps, 0.6), times(base.local_steps, 1.7))
        others = [with_sight(base, local_steps=each) for each in steps]
        different = [each for each in ranked if plain_kind(each) is not plain_kind(base)]
        others += [with_sight(each) for each in different[:1]]
        for part in search.parts:
            self._known.offer("look-ahead", play_ahead(search.worlds[len(part)], base, others, part), part)
        self._note(search, _looked_ahead(len(others)))

    def _splice(self, tails: Sequence[Scheduler], search: _Search) -> None:
        """Other orders from a random decision of the best play on."""
        for number in range(self.splices):
            tail = tails[number % len(tails)]
            for part in search.parts:
                world, best = search.worlds[len(part)], [self._known.plays[seed] for seed in part.tolist()]
                tape = Tape([play.orders for play in best], world.scenario.clients)
                switch = [
                    _generator(_SPLICES, seed, number).integers(len(play.orders) + 1)
                    for seed, play in zip(part.tolist(), best, strict=True)
                ]
                splice = Splice(tape, np.array(switch, dtype=np.int64), tail, number)
                self._known.offer(splice.name, play_out(world, splice, part), part)
            self._note(search, 1)

    def _mutate(self, search: _Search) -> None:
        """Broods of mutants of the best play."""
        for first in range(0, self.mutations, _BROOD):
            for part in search.parts:
                seeds, world = np.repeat(part, _BROOD), search.worlds[_BROOD * len(part)]
                menu = Menu.of(world.scenario)
                mutants = [
                    mutate(self._known.plays[seed].orders, menu, _generator(_MUTANTS, seed, first + child))
                    for seed in part.tolist()
                    for child in range(_BROOD)
                ]
                self._known.offer(
                    "mutant", play_out(world, Tape(mutants, world.scenario.clients), seeds), seeds
                )
            self._note(search, _BROOD)

    def _note(self, search: _Search, plays: int) -> None:
        """One more line of the history, and tell whoever watches."""
        spent = (self.history[-1].plays if self.history else 0) + plays
        ahead = _looked_ahead(3) if self.splices else 0
        total = self._max_candidates + ahead + self.splices + -(-self.mutations // _BROOD) * _BROOD
        self.history.append(Progress(spent, max(spent, total), self._known.mean_net_points(search.seeds)))
        self.watch(self.history[-1])

    @property
    def plays(self) -> dict[int, BestPlay]:
        """The best play of every prepared episode, by seed; for `recall`, e.g. from a pickled file."""
        return dict(self._known.plays)

    def recall(self, plays: Mapping[int, BestPlay]) -> None:
        """Take plays found earlier in the same world and split; they are not searched again."""
        self._known.recall(plays)
        self._searched.update(plays)

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes; ValueError for a seed that was not prepared."""
        envs = np.asarray(envs, dtype=bool)
        if self._step.shape != envs.shape:
            self._step = np.zeros(envs.shape, dtype=np.int64)
            self._rows = [BestPlay("none", (), 0.0, 0.0) for _ in range(envs.size)]
        for row in np.flatnonzero(envs).tolist():
            play = self._known.plays.get(int(seeds[row]))
            if play is None:
                raise ValueError(
                    f"clairvoyant: seed {int(seeds[row])} was not prepared, call prepare() with it"
                )
            self._rows[row], self._step[row] = play, 0
        self._tape = Tape([play.orders for play in self._rows], num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """Each row's best orders, until its best moment to stop."""
        if self._tape is None:
            raise ValueError("clairvoyant: nothing to repeat, call prepare() and reset() first")
        steps, choice = np.unique(self._step, return_inverse=True)
        self._step = self._step + 1
        return choose_plans([self._tape.at(int(step)) for step in steps], choice)


def _generator(stream: int, seed: int, number: int) -> np.random.Generator:
    """Random numbers of one change of one episode's play."""
    return np.random.default_rng([stream, seed % 2**63, number])


def _looked_ahead(others: int) -> int:
    """Plays that looking ahead takes about: each alternative goes on for so many decisions, every time."""
    return (others + 1) * (LOOKED_AHEAD + 1)


def _unbounded(rule: Rule) -> Rule:
    """The rule without a stop of its own."""
    return replace(rule, stop_gain=0.0, stop_after_rounds=0)
