"""The cells of an evaluation: one scheduler on some of the episodes, played anywhere, kept in a folder."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...common.files import slug, write_folder
from ...common.splits import SPLITS, Split
from ...envs.any_world import AnyScenario
from ..players import make_player
from .episodes import Played, episode_seeds, play_episodes
from .results import CURVES, EPISODES, TIMELINES, read_table, read_timeline, write_table, write_timeline
from .shelf import WorldShelf, make_worlds


@dataclass(frozen=True)
class Study:
    """What is played, whoever plays it.

    Attributes:
        scenario: the world.
        split: train, val or test.
        seed: of the whole evaluation.
        episodes: per scheduler, the same for all.
        batch: episodes of a cell, played at once.
        timeline_episode: the episode kept as a full timeline.
        leakage: whether to measure what messages give away.
    """

    scenario: AnyScenario
    split: Split = "test"
    seed: int = 0
    episodes: int = 64
    batch: int = 32
    timeline_episode: int = 0
    leakage: bool = False

    def check(self) -> Study:
        """Return the study if its numbers are in range; ValueError naming the first that is not."""
        for name, value in (("episodes", self.episodes), ("batch", self.batch)):
            if value < 1:
                raise ValueError(f"{name}: {value}, expected at least 1")
        if self.split not in SPLITS:
            raise ValueError(f"split: {self.split!r}, expected 'train', 'val' or 'test'")
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed}, expected 0 or more")
        return self


@dataclass(frozen=True)
class Cell:
    """Episodes `first` to `stop` - 1 of one scheduler."""

    name: str
    source: str
    first: int
    stop: int
    rivals: tuple[str, ...] = ()  # sources of the others, for a scheduler that wants to `prepare`

    @property
    def key(self) -> str:
        """Name of its folder."""
        return f"{slug(self.name)}-{zlib.crc32(self.name.encode()):08x}-{self.first:05d}-{self.stop:05d}"

    def __str__(self) -> str:
        return f"{self.name}, episodes {self.first} to {self.stop - 1}"


def play_cell(study: Study, cell: Cell) -> list[Played]:
    """Play one cell; the same function whatever the engine, in whatever process."""
    worlds = shelf_of(study)
    seeds = episode_seeds(study.seed, study.episodes)[cell.first : cell.stop]
    player = make_player(cell.source, study.scenario)
    rivals = [make_player(source, study.scenario) for source in cell.rivals]
    return list(
        play_episodes(
            cell.name, player, worlds, seeds, cell.first, study.batch, study.timeline_episode, rivals
        )
    )


_shelves: dict[tuple[str, str, bool], WorldShelf] = {}


def shelf_of(study: Study) -> WorldShelf:
    """Worlds are kept between the cells of a process: building one costs more than playing some episodes."""
    key = (study.scenario.model_dump_json(), study.split, study.leakage)
    if key not in _shelves:
        _shelves.clear()  # a process plays one world after the other
        _shelves[key] = WorldShelf(make_worlds(study.scenario, study.split), study.leakage)
    return _shelves[key]


def write_cell(folder: Path, parts: list[Played]) -> None:
    """Write a cell whole or not at all."""

    def fill(draft: Path) -> None:
        write_table(pd.concat([part.episodes for part in parts], ignore_index=True), draft / EPISODES)
        write_table(pd.concat([part.curves for part in parts], ignore_index=True), draft / CURVES)
        for part in parts:
            if part.timeline is not None:
                write_timeline(part.timeline, draft / TIMELINES)

    write_folder(folder, fill)


def read_cell(folder: Path, cell: Cell) -> Played | None:
    """A finished cell; None if there is none, or it is damaged and must be played again."""
    if not folder.is_dir():
        return None
    try:
        timelines = [read_timeline(path) for path in (folder / TIMELINES).glob("*.npz")]
        tables = (read_table(folder / EPISODES), read_table(folder / CURVES))
    except ValueError:
        return None
    episodes, curves = tables
    wanted = list(range(cell.first, cell.stop))
    if episodes["episode"].tolist() != wanted or not set(curves["episode"]) <= set(wanted):
        return None
    if {*episodes["scheduler"], *curves["scheduler"]} != {cell.name}:
        return None
    return Played(*tables, timelines[0] if timelines else None)
