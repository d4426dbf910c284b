"""Hyperparameter search for one handcrafted scheduler: repeatable, and resumed from its log."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from pydantic import BaseModel

from ...common.splits import Split
from ...envs.any_world import AnyScenario, AnySource, load_any
from ...envs.scenario import Scenario
from ...envs.serving import ServingScenario
from ..evaluation import MakeWorld, episode_seeds, make_worlds, play_batch
from ..evaluation.measures import interquartile_mean
from ..players import AnyScheduler
from ..schedulers import StoredSetting, make_scheduler
from ..schedulers.base import Rule, Setting, original, settings_of
from ..schedulers.serving import ServingPolicy, make_policy
from .search_space import SearchSpace, declared_of, earns_on, limits_of
from .stopping import best_stop, run_logs
from .trial_log import Journal, Trial

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_EXPLORED_SHARE = 0.4
"""Share of the trials drawn around the defaults; the rest are proposed by Optuna's sampler."""

_ELITE = 3
"""A trial starts from one of so many best ones."""
_MOVED = 4
"""Settings that the sampler draws anew in such a trial, on average. With some twenty of them and a few dozen
trials a proposal for all at once is hardly ever good."""


@dataclass(frozen=True)
class Tuned:
    """All trials of one scheduler in one world."""

    scheduler: str
    trials: list[Trial]

    @property
    def best(self) -> Trial:
        """The best trial, the first of equals."""
        return max(self.trials, key=lambda trial: trial.score)

    @property
    def score(self) -> float:
        """Of the best trial."""
        return self.best.score

    @property
    def default_score(self) -> float:
        """Of the declared defaults."""
        return self.trials[0].score

    @property
    def settings(self) -> dict[str, Setting]:
        """Of the best trial."""
        return self.best.settings

    @property
    def start_settings(self) -> dict[str, Setting]:
        """The declared defaults, with the stop that suits them best."""
        return self.trials[0].settings

    @property
    def contenders(self) -> list[tuple[Mapping[str, StoredSetting], float]]:
        """Settings and score of all trials, best first."""
        return [(each.settings, each.score) for each in sorted(self.trials, key=lambda each: -each.score)]

    @property
    def rounds(self) -> int:
        """Rounds of training spent."""
        return sum(trial.rounds for trial in self.trials)


@dataclass(frozen=True)
class Budget:
    """What a search may spend: so many trials, or as many as fit into so many rounds of training.

    Attributes:
        trials: how many settings are played; not read where there are rounds.
        rounds: of training in all; one trial is played in any case.
    """

    trials: int
    rounds: int | None = None

    def allows(self, found: Sequence[Trial]) -> bool:
        """Whether another trial fits after these, even if it takes as many rounds as the longest of them."""
        if self.rounds is None:
            return len(found) < self.trials
        rounds = [trial.rounds for trial in found]
        return not found or sum(rounds) + max(rounds) <= self.rounds

    def explores(self, found: Sequence[Trial]) -> bool:
        """Whether the next trial is one of those drawn around the defaults."""
        if self.rounds is None:
            return len(found) <= max(1, round(_EXPLORED_SHARE * self.trials))
        return len(found) <= 1 or sum(trial.rounds for trial in found) <= _EXPLORED_SHARE * self.rounds


def tune(
    name: str,
    scenario: AnySource,
    trials: int = 60,
    seed: int = 0,
    episodes: int = 32,
    split: Split = "val",
    starts: Sequence[Mapping[str, Setting]] = (),
    known: Sequence[Trial] = (),
    log: Path | None = None,
    make_world: MakeWorld | None = None,
    done: Callable[[Trial], None] = lambda trial: None,
    rounds: int | None = None,
) -> Tuned:
    """Search one scheduler's hyperparameters: the defaults, draws around them, then steps by Optuna's TPE.

    Every trial is played without stopping, and given the stopping rule that suits it best (`best_stop`).
    Where models serve, a run goes on earning after its last round: there the knobs of stopping are searched
    like all others. No client is ever given more local steps than a learning agent's menu in this world
    offers. The same arguments give the same trials, interrupted or not: trial k's random numbers come from
    the seed, the scheduler's name and k, and the sampler is built anew for it.

    Args:
        name: a scheduler of `TUNABLE`, or a dotted name of one's own with knobs; in worlds of serving a
            policy by its parts, see `make_policy`.
        scenario: the world, of either class, as `load_any` takes it.
        trials: how many settings to play.
        seed: of the episodes and of the search.
        episodes: per trial, the same for all trials and all schedulers.
        split: where to tune; test is refused.
        starts: settings to try first, instead of the defaults and the random draws; knobs that the
            scheduler does not have, or values that its knob does not take, are passed over.
        known: trials of an earlier search of this scheduler, which the sampler also learns from.
        log: an Optuna journal; trials found there are not played again.
        make_world: builds so many worlds; None: of the scenario and split.
        done: called after each new trial.
        rounds: of training to spend; as many trials are played as fit into them, whatever `trials` says.

    Raises:
        ValueError: bad numbers, an unknown scheduler, or a log of another search.
    """
    check_budget(split, trials=trials, episodes=episodes, rounds=1 if rounds is None else rounds)
    budget = Budget(trials, rounds)
    place = load_any(scenario)
    build = make_world or make_worlds(place, split)
    seeds = episode_seeds(seed, episodes)
    search = _Search(name, seed, budget, place, starts, known)
    what: dict[str, object] = {
        "scheduler": name,
        "seed": seed,
        "episodes": episodes,
        "split": split,
        "trials": trials if rounds is None else None,
        "rounds": rounds,
    }
    what |= {"world": fingerprint(place), "starts": fingerprint([search.starts, list(known)])}
    journal = Journal(log, what) if log is not None else None
    found = journal.trials() if journal is not None else []
    world = None
    while budget.allows(found):
        number = len(found)
        world = world if world is not None else build(episodes)
        scheduler = search.make(search.propose(number, found))
        frame, curves, _ = play_batch(name, scheduler, world, seeds, hindsight=False)
        stop: dict[str, Setting] = {}
        score = float(interquartile_mean(frame["val_net_points"].to_numpy()))
        if isinstance(scheduler, Rule) and isinstance(place, Scenario) and not earns_on(place):
            stop, score = best_stop(run_logs(curves), place.max_rounds)
        found.append(Trial(number, search.changes(scheduler) | stop, score, int(frame["decisions"].sum())))
        if journal is not None:
            journal.append(found[-1], search.space)
        done(found[-1])
    return Tuned(name, found)


def fingerprint(scenario: object) -> str:
    """Short hash of all settings of a world, so that results are not mistaken for another version's."""
    text = scenario.model_dump_json() if isinstance(scenario, BaseModel) else str(scenario)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_with(name: str, scenario: AnyScenario, settings: Mapping[str, StoredSetting]) -> AnyScheduler:
    """A scheduler, or a serving policy, with these settings and the declared defaults of all others.

    Raises:
        ValueError: unknown settings, or bad values.
    """
    if isinstance(scenario, ServingScenario):
        return make_policy(name, **cast("Mapping[str, Setting]", settings))
    return make_scheduler(name, None, **settings)


class _Search:
    """Proposes settings; all its randomness comes from seed, name and trial number."""

    def __init__(
        self,
        name: str,
        seed: int,
        budget: Budget,
        scenario: AnyScenario,
        starts: Sequence[Mapping[str, Setting]] = (),
        known: Sequence[Trial] = (),
    ):
        self._name, self._scenario = name, scenario
        declared, self._defaults = declared_of(name, scenario)
        limits = limits_of(scenario)
        free = limits.narrowed(declared)
        self.space = SearchSpace(free, self._defaults)
        tried = [
            {key: value for key, value in start.items() if key in free and free[key].accepts(value)}
            for start in starts
        ]
        self.starts = [start for index, start in enumerate(tried) if start not in tried[:index]]
        self._known = list(known)
        self._root = [0x7E57, seed, zlib.crc32(name.encode()), len(self.starts)]
        self._budget = budget
        self._pinned = {key: value for key, value in limits.pinned.items() if key in declared}

    def propose(self, number: int, found: list[Trial]) -> dict[str, Setting]:
        """Settings of one trial, given all earlier ones; without the knobs that are found by themselves."""
        return self._free(number, found) | self._pinned

    def _free(self, number: int, found: list[Trial]) -> dict[str, Setting]:
        if number < len(self.starts):
            return self.space.settings(self.space.parameters(self.starts[number]))
        if number == 0 or not self.space.knobs:
            return {}
        if not self.starts and self._budget.explores(found):
            rng = np.random.default_rng([*self._root, number])
            # Half of the knobs stay at their defaults: a draw of all of them at once is hardly ever good.
            drawn = self.space.draw(rng)
            return {key: value for key, value in drawn.items() if rng.random() < 0.5}
        return self._step_from_the_best([*self._known, *found], number)

    def _step_from_the_best(self, past: Sequence[Trial], number: int) -> dict[str, Setting]:
        """One of the best settings so far, with what the sampler wants for a few of its knobs."""
        rng = np.random.default_rng([*self._root, number])
        frozen = [self.space.frozen(trial.settings, trial.score) for trial in past]
        wanted = self.space.settings(self.space.suggest(frozen, int(rng.integers(2**32))))
        elite = sorted(past, key=lambda trial: -trial.score)[:_ELITE]
        start = elite[int(rng.integers(len(elite)))].settings
        settings = self.space.settings(self.space.parameters(start))
        moved = rng.random(len(settings)) < _MOVED / len(settings)
        moved[int(rng.integers(len(settings)))] = True
        return {
            name: wanted[name] if move else settings[name] for name, move in zip(settings, moved, strict=True)
        }

    def make(self, settings: Mapping[str, Setting]) -> AnyScheduler:
        """The scheduler with these settings, and the declared defaults of all others."""
        return make_with(self._name, self._scenario, settings)

    def changes(self, scheduler: AnyScheduler) -> dict[str, Setting]:
        """The scheduler's settings that differ from the defaults, JSON-able."""
        own = original(scheduler)
        values = (
            own.settings if isinstance(own, ServingPolicy) else settings_of(cast("DataclassInstance", own))
        )
        return {key: value for key, value in values.items() if value != self._defaults[key]}


def check_budget(split: str, **counts: int) -> None:
    """Refuse searches without trials, episodes or rounds, and tuning on the test split; ValueError."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    if split not in ("train", "val"):
        raise ValueError(
            f"split: {split!r}, expected 'val' or 'train': the test split is for the final comparison"
        )
