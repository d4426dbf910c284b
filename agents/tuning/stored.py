"""The files with the best settings found in each world, which schedulers are built of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rich.console import Console

from ...common.files import clear_drafts, read_json, slug, write_text
from ...common.saying import say
from ...envs.any_world import AnyScenario
from ..execution import hold_folder
from ..schedulers import StoredSetting
from .search import fingerprint

SCHEDULERS_SECTION, LEARNERS, TRAINING = "schedulers", "learners", "training"
"""Sections of the files: schedulers' settings, learning algorithms', and how the world itself trains."""
_PATIENCE_S = 30.0
"""How long a search waits for another one that is storing."""
TUNED_FOLDER = Path(__file__).resolve().parents[1] / "schedulers" / "tuned"


class Found(Protocol):
    """What a search came to, whatever it searched."""

    @property
    def scheduler(self) -> str:
        """Who was tuned."""
        ...

    @property
    def score(self) -> float:
        """Interquartile mean of the validation net points."""
        ...

    @property
    def default_score(self) -> float:
        """The same of what the search began with."""
        ...

    @property
    def settings(self) -> Mapping[str, StoredSetting]:
        """The best that was found."""
        ...

    @property
    def rounds(self) -> int:
        """Rounds of training spent: all decisions played."""
        ...


def stored_file(folder: Path, world: str) -> Path:
    """Where a world's settings are."""
    return folder / f"{slug(world)}.json"


def stored_entries(folder: Path, world: str, section: str = SCHEDULERS_SECTION) -> dict[str, object]:
    """A section of a world's file, by name; empty if there is none.

    Raises:
        ValueError: a file that is none of ours.
    """
    return _read(stored_file(folder, world), section)[1]


def _read(path: Path, section: str) -> tuple[dict[str, object], dict[str, object]]:
    """A world's file, and a section of it; both empty where there is none."""
    document = read_json(path, "out") if path.is_file() else {}
    there = document.get(section, {})
    if not isinstance(there, dict):
        raise ValueError(f"out: {path}: {section}: expected entries by name")
    return document, there


def store(
    world: str,
    found: Found,
    facts: Mapping[str, object],
    folder: Path = TUNED_FOLDER,
    section: str = SCHEDULERS_SECTION,
) -> Path:
    """Write the best settings of one scheduler into the world's file, beside those of the others.

    `score` and `default_score` are interquartile means of validation net points, the latter of what the
    search began with; `rounds` is what was spent.

    Args:
        world: the scenario's name.
        found: what the search came to.
        facts: the command, and what else is worth knowing about the search.
        folder: of the files.
        section: of the file: "schedulers", `LEARNERS` for learning algorithms, `TRAINING` for how the
            world trains.
    """
    path = stored_file(folder, world)
    entry = {
        "score": round(found.score, 4),
        "default_score": round(found.default_score, 4),
        "rounds": found.rounds,
        "settings": found.settings,
        **facts,
    }
    with hold_folder(folder, patience_s=_PATIENCE_S):  # another search may be storing its own
        clear_drafts(folder)
        document, there = _read(path, section)
        entries = {**there, found.scheduler: entry}
        document |= {"world": world, section: dict(sorted(entries.items()))}
        # Two spaces, as the files that come with the package have it: a search changes only its own lines.
        write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def store_and_tell(
    scenario: AnyScenario,
    found: Found,
    facts: Mapping[str, object],
    folder: Path,
    section: str,
    console: Console,
) -> None:
    """Store what a search in a world came to, with the world's fingerprint, and say so in one line.

    Args:
        scenario: the world.
        found: what the search came to.
        facts: the command, and what else is worth knowing about the search.
        folder: of the files.
        section: of the file, see `store`.
        console: for the line.
    """
    path = store(scenario.name, found, {**facts, "fingerprint": fingerprint(scenario)}, folder, section)
    gain = f"{found.default_score:.2f} -> {found.score:.2f} net points in {found.rounds:,} rounds"
    say(console, f"{scenario.name} {found.scheduler}: {gain}, {path}")
