"""Weights of the linear rule found by evolution (CMA-ES), with a budget of training rounds; resumable.

Source: Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, as the library `cmaes` has it. With 90,000
rounds in Volunteers it found rules of 62.7 and 62.7 validation points (two seeds); its variant with a
diagonal covariance 61.1 and 60.0, a cross-entropy method (a Gaussian of independent weights) 60.2 and 58.3.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from cmaes import CMA
from typing_extensions import TypedDict

from ....common.arrays import Floats, Ints
from ....common.files import read_json, write_json
from ....common.settings import parse_document
from ....common.splits import Split
from ....envs.contract import SimulatedWorld, rollout
from ...evaluation import episode_seeds, make_worlds
from ...schedulers.linear import SPREAD
from .evolved import Evolution, Evolved, Generation

_STREAM = 0xE701
"""Keeps the search's random numbers apart from all others."""
_SCORED_EVERY = 4
"""Generations between two scorings of the centre on the validation episodes."""


class _Entry(TypedDict):
    """One step of a search as its journal has it; the rest of the search's state follows from these."""

    rounds: int  # spent so far
    scores: list[float]  # of the candidates; empty where only the centre was scored
    val: list[float]  # net points of the centre; empty where it was not scored


def evolve(
    search: Evolution, log: Path | None = None, done: Callable[[Generation], None] = lambda generation: None
) -> Evolved:
    """Search a linear rule's weights; the same search gives the same rule, interrupted or not.

    All candidates of a generation play all its episodes as one batch. The first and every fourth centre, and
    the last, are scored on the validation episodes; the best of them is what is found. It ends when another
    generation might not fit into the budget.

    Args:
        search: what to search.
        log: a JSON file; what is found there is not played again.
        done: called after each new generation.

    Raises:
        ValueError: bad settings, or a log of another search.
    """
    search.check()
    journal, state = _Journal(log, search), _State(search)
    for entry in journal.entries:
        state.advance(entry)
    while not state.finished:
        journal.append(state.advance(None))
        done(state.history[-1])
    return state.found()


class _State:
    """A search as it goes on, by playing or by reading what was played."""

    def __init__(self, search: Evolution):
        self.history: list[Generation] = []
        self._search, self._player = search, _Player(search)
        self._free = np.flatnonzero(search.free)
        # In units of each weight's spread around the start.
        self._strategy = CMA(
            mean=np.zeros(self._free.size),
            sigma=search.width,
            seed=int(np.random.SeedSequence([_STREAM, search.seed]).generate_state(1)[0]),
            population_size=search.candidates,
        )
        self._scored: list[tuple[Floats, Floats]] = []
        self._rounds_per_episode = 0.0

    @property
    def finished(self) -> bool:
        """Whether the budget is spent and the last centre scored."""
        return self._spent and self.history[-1].val_points is not None

    @property
    def _rounds(self) -> int:
        return self.history[-1].rounds if self.history else 0

    @property
    def _spent(self) -> bool:
        """Whether another generation and two scorings might not fit into the budget."""
        if not self.history:
            return False
        episodes = self._search.candidates * self._search.episodes + 2 * self._search.val_episodes
        return self._rounds + self._rounds_per_episode * episodes > self._search.rounds

    def advance(self, known: _Entry | None) -> _Entry:
        """One generation, or one scoring of the centre: played, or taken as known."""
        search = self._search
        number = sum(each.train_points is not None for each in self.history)
        entry = _Entry(rounds=self._rounds, scores=[], val=[])
        only_centre = not self.history or self._spent
        if not only_centre:
            asked = [self._strategy.ask() for _ in range(search.candidates)]
            if known is None:
                entry["scores"], rounds = self._player.train(np.stack([*map(self._theta, asked)]), number)
                entry["rounds"] += rounds
            scores = entry["scores"] if known is None else known["scores"]
            self._strategy.tell([(each, -score) for each, score in zip(asked, scores, strict=True)])
        centre = self._theta(self._strategy.mean)
        if (only_centre or number % _SCORED_EVERY == _SCORED_EVERY - 1) and known is None:
            entry["val"], rounds = self._player.validate(centre)
            entry["rounds"] += rounds
        self._enter(entry if known is None else known, centre)
        return entry

    def _enter(self, entry: _Entry, centre: Floats) -> None:
        """Write a step into the history."""
        episodes = len(entry["scores"]) * self._search.episodes + len(entry["val"])
        per_episode = (entry["rounds"] - self._rounds) / episodes
        self._rounds_per_episode = max(self._rounds_per_episode, per_episode)
        scores, val = entry["scores"], entry["val"]
        self.history.append(
            Generation(
                entry["rounds"],
                float(np.mean(scores)) if scores else None,
                float(np.mean(val)) if val else None,
            )
        )
        if val:
            self._scored.append((centre, np.array(val)))

    def _theta(self, place: Floats) -> Floats:
        """`[P]`, the weights at a place of the strategy's space."""
        theta = self._search.centre
        theta[self._free] += SPREAD[self._free] * place
        return theta

    def found(self) -> Evolved:
        """The best centre so far."""
        theta, points = max(self._scored, key=lambda each: float(each[1].mean()))
        rule = self._search.rule(theta)
        start, start_points = self._scored[0]
        return Evolved(
            theta=tuple(theta.tolist()),
            start=tuple(start.tolist()),
            val_points=points,
            start_points=start_points,
            rounds=self._rounds,
            history=tuple(self.history),
            rule=rule,
        )


class _Player:
    """Plays rules on training and validation episodes, in worlds that are built when they are needed."""

    def __init__(self, search: Evolution):
        self._search = search
        self._worlds: dict[Split, SimulatedWorld] = {}

    def train(self, thetas: Floats, generation: int) -> tuple[list[float], int]:
        """Mean net points of each candidate `[candidates, P]` on a generation's episodes, and the rounds."""
        search = self._search
        rng = np.random.default_rng([_STREAM, search.seed, generation])
        seeds = rng.integers(0, 2**40, search.episodes)
        rows = np.repeat(thetas, search.episodes, axis=0)
        points, rounds = self._play("train", rows, np.tile(seeds, len(thetas)))
        return points.reshape(len(thetas), search.episodes).mean(axis=1).tolist(), rounds

    def validate(self, theta: Floats) -> tuple[list[float], int]:
        """Net points on the validation episodes, and the rounds."""
        seeds = episode_seeds(self._search.seed, self._search.val_episodes)
        points, rounds = self._play("val", theta, seeds)
        return points.tolist(), rounds

    def _play(self, split: Split, theta: Floats, seeds: Ints) -> tuple[Floats, int]:
        """Net points `[E]` of the rows of weights, and the decisions that were played."""
        if split not in self._worlds:
            self._worlds[split] = make_worlds(self._search.scenario, split)(len(seeds))
        world = self._worlds[split]
        rounds = sum(int(turn.running.sum()) for turn in rollout(world, self._search.rule(theta), seeds))
        return np.array(world.totals()["net_points"]), rounds


class _Document(TypedDict):
    """A journal."""

    search: dict[str, object]
    steps: list[_Entry]


def _read(path: Path) -> _Document:
    """A journal; ValueError if it is none."""
    return parse_document(_Document, read_json(path, "log"), f"log: {path}")


def rounds_in(path: Path) -> int:
    """Rounds that a journal says were spent; 0 if there is none, or none that can be read."""
    try:
        steps = _read(path)["steps"] if path.is_file() else []
    except ValueError:  # said by whoever goes on with it
        return 0
    return steps[-1]["rounds"] if steps else 0


class _Journal:
    """The steps of one search in a JSON file, rewritten whole after each."""

    def __init__(self, path: Path | None, search: Evolution):
        self._path, self._head = path, search.head()
        self.entries: list[_Entry] = []
        if path is None or not path.is_file():
            return
        document = _read(path)
        if document["search"] != self._head:
            raise ValueError(
                f"{path}: a search of {document['search']}, expected {self._head}; choose another --log "
                "folder or delete the file"
            )
        self.entries = document["steps"]

    def append(self, entry: _Entry) -> None:
        """Add a step; it is on disk when this returns."""
        self.entries.append(entry)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, {"search": self._head, "steps": self.entries})
