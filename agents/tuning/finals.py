"""The last stage of a search: its best settings on episodes that it has not seen.

The best of hundreds of trials on the same few episodes is partly the luckiest of them. In Volunteers six of
eleven searches of 600,000 rounds, on 32 episodes, ended with settings that were worse elsewhere than those of
sixteen trials.

Source: Cawley and Talbot, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance
Evaluation", JMLR 2010.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ...common.settings import parse_document
from ...envs.any_world import AnyScenario
from ..evaluation import WorldShelf, episode_seeds, make_worlds, play_batch
from ..evaluation.measures import interquartile_mean
from ..schedulers import StoredSetting, TunedEntry
from .evolution import Evolved
from .options import Options
from .search import Tuned, make_with
from .stored import stored_entries, stored_file

Settings: TypeAlias = Mapping[str, StoredSetting]

_APART = 71
"""From a search's seed to that of its finals, whose episodes are thus others."""
_BATCH = 32
"""Episodes played at once."""
_OURS = frozenset({*TunedEntry.__annotations__, "fingerprint"} - {"command"})
"""What is written anew in each entry; the rest tells who found its settings."""


@dataclass(frozen=True)
class Finals:
    """Who plays where.

    Attributes:
        scheduler: whose settings they are.
        scenario: the world.
        candidates: settings and what the search saw of each; the first are those that the search began with.
        episodes: how many, on `val`.
        seed: of the search.
    """

    scheduler: str
    scenario: AnyScenario
    candidates: tuple[tuple[Settings, float], ...]
    episodes: int
    seed: int


@dataclass(frozen=True)
class Final:
    """What a search came to in the end, as `Found` has it.

    Attributes:
        scheduler: its name.
        score: interquartile mean of the net points on the episodes of the finals.
        default_score: that of the settings that the search began with, on the same episodes.
        settings: the best.
        rounds: of training that the finals played.
        search_score: what the search had seen of these settings.
    """

    scheduler: str
    score: float
    default_score: float
    settings: Settings
    rounds: int
    search_score: float


class Contest:
    """A search's finals: who takes part, and what is stored of it.

    Settings that are stored of earlier searches take part, so that no search makes a file worse.

    Args:
        scheduler: whose settings are searched.
        scenario: the world.
        options: of the search.
        known: the entry of earlier searches, if there is one.
    """

    def __init__(
        self,
        scheduler: str,
        scenario: AnyScenario,
        options: Options,
        known: Mapping[str, object] | None = None,
    ):
        self._scheduler, self._scenario, self._options = scheduler, scenario, options
        self._entry: TunedEntry | None = None
        if known is not None:
            where = f"out: {stored_file(options.out, scenario.name)}: {scheduler}"
            self._entry = parse_document(TunedEntry, known, where)
            try:
                make_with(scheduler, scenario, self._entry["settings"])
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None

    @classmethod
    def open(cls, scheduler: str, scenario: AnyScenario, options: Options) -> Contest:
        """With what is stored for this scheduler in a world of this name.

        Also of a world that was another then, or another version of the package: it is played in today's.

        Raises:
            ValueError: a file that is none of ours, or settings that the scheduler does not take.
        """
        known = stored_entries(options.out, scenario.name).get(scheduler)
        if known is not None and not isinstance(known, Mapping):
            raise ValueError(
                f"out: {stored_file(options.out, scenario.name)}: {scheduler}: expected settings"
            )
        return cls(scheduler, scenario, options, known)

    def finals(self, found: Tuned | Evolved) -> Finals:
        """The settings with which the search began, its best ones, and those that were stored before it."""
        candidates: list[tuple[Settings, float]] = [(found.start_settings, found.default_score)]
        candidates += _different(found.contenders)[: self._options.finalists]
        if self._entry is not None:
            seen = self._entry.get("search_score", self._entry["score"])
            candidates.append((self._entry["settings"], seen))
        return Finals(
            self._scheduler,
            self._scenario,
            tuple(_different(candidates)),
            self._options.held_out,
            self._options.seed,
        )

    def settle(
        self, found: Tuned | Evolved, final: Final, facts: Mapping[str, object]
    ) -> tuple[Final, dict[str, object]]:
        """What is stored: the best, with all rounds that were ever spent on it, and facts.

        Args:
            found: the search.
            final: how its finals ended.
            facts: of the search; `command` is how to do it again.
        """
        searches = dict[str, int]()
        if self._entry is not None:
            spent = {str(self._entry.get("command")): self._entry.get("rounds", 0)}
            searches |= self._entry.get("searches", spent)
        searches[str(facts["command"])] = found.rounds
        whole = replace(final, rounds=final.rounds + sum(searches.values()))
        ours = {_text(each) for each in (found.start_settings, *(each for each, _ in found.contenders))}
        if self._entry is not None and _text(final.settings) not in ours:
            facts = {name: value for name, value in self._entry.items() if name not in _OURS}
        return whole, {
            **facts,
            "search_score": round(final.search_score, 4),
            "held_out": self._options.held_out,
            "searches": searches,
        }


def _different(candidates: Sequence[tuple[Settings, float]]) -> list[tuple[Settings, float]]:
    """Without those whose settings have come before."""
    first: dict[str, tuple[Settings, float]] = {}
    for settings, score in candidates:
        first.setdefault(_text(settings), (settings, score))
    return list(first.values())


def _text(settings: Settings) -> str:
    """The same for the same settings, read from a file or not."""
    return json.dumps(settings, sort_keys=True)


def play_finals(finals: Finals) -> Final:
    """Play all candidates on the same episodes; the first of the best is what is found.

    Raises:
        ValueError: settings that the scheduler does not take.
    """
    shelf = WorldShelf(make_worlds(finals.scenario, "val"))
    seeds = episode_seeds(finals.seed + _APART, finals.episodes)
    scores, rounds = list[float](), 0
    for settings, _ in finals.candidates:
        scheduler = make_with(finals.scheduler, finals.scenario, settings)
        points = list[float]()
        for first in range(0, len(seeds), _BATCH):
            part = seeds[first : first + _BATCH]
            frame, _, _ = play_batch(
                finals.scheduler, scheduler, shelf.take(len(part)), part, hindsight=False
            )
            points += frame["val_net_points"].tolist()
            rounds += int(frame["decisions"].sum())
        scores.append(float(interquartile_mean(points)))
    best = int(np.argmax(scores))
    settings, search_score = finals.candidates[best]
    return Final(finals.scheduler, scores[best], scores[0], settings, rounds, search_score)
