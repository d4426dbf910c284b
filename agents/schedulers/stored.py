"""Settings of schedulers as they were tuned for a world, from the files in `tuned/`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TypeAlias, cast

from typing_extensions import NotRequired, TypedDict

from .base import Setting

StoredSetting: TypeAlias = Setting | Mapping[str, float] | Sequence[int]
"""A hyperparameter, several numbers by name, or levels."""


class TunedEntry(TypedDict):
    """What tuning found for one scheduler in one world."""

    score: float  # for which the settings were chosen; who is the best rival is told by it
    default_score: float
    settings: dict[str, StoredSetting]
    rounds: NotRequired[int]  # of training that the search spent: all decisions that it played
    search_score: NotRequired[float]  # what the search saw of them, where they were scored once more
    held_out: NotRequired[int]  # on so many episodes that the search had not seen
    searches: NotRequired[dict[str, int]]  # rounds of training by the command that spent them
    command: NotRequired[str]  # which found the settings


class TunedFile(TypedDict, total=False):
    """The tuning of a world, as its file has it."""

    world: str
    schedulers: dict[str, TunedEntry]
    learners: dict[str, TunedEntry]


def tuned_settings(name: str, world: str | None) -> dict[str, StoredSetting]:
    """The stored best settings of a scheduler in a world; empty if there are none."""
    entry = tuned_schedulers(world).get(name)
    return dict(entry["settings"]) if entry is not None else {}


def rounds_spent(name: str, world: str | None) -> int | None:
    """Rounds of training that the search for a scheduler's settings in a world spent.

    All decisions are counted that the search played. 0 for a scheduler that was not tuned there; None where
    the search did not write it down.
    """
    entry = tuned_schedulers(world).get(name)
    return 0 if entry is None else entry.get("rounds")


def tuned_schedulers(world: str | None) -> Mapping[str, TunedEntry]:
    """The stored tuning of a world by scheduler; empty if there is none."""
    return tuned_file(world).get("schedulers", {}) if world is not None else {}


def tuned_file(world: str) -> TunedFile:
    """The stored tuning of a world; empty if there is none."""
    if not all(letter.isalnum() or letter in "-_" for letter in world):
        return {}
    item = resources.files(__package__).joinpath("tuned").joinpath(f"{world}.json")
    if not item.is_file():
        return {}
    document = json.loads(item.read_text(encoding="utf-8"))
    return cast(TunedFile, document) if isinstance(document, dict) else {}
