"""The trials of a search in an Optuna journal.

Not written through `common.files`: it only grows, line by line, and so survives a kill at any moment.
Optuna's own locks do not: they are links or files that outlive their process.

Optuna's own tools read it (`optuna-dashboard`, `optuna.load_study`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ...common.files import naming, write_bytes
from ..execution import lock
from ..schedulers.base import Setting
from .search_space import SearchSpace

if TYPE_CHECKING:
    from optuna.storages.journal._file import BaseJournalFileLock  # no public name

_STUDY, _SEARCH = "frugalfl", "search"


@dataclass(frozen=True)
class Trial:
    """One setting and what it earned.

    Attributes:
        number: 0 is the declared defaults.
        settings: hyperparameters that differ from the defaults.
        score: interquartile mean of the validation net points over the episodes.
        rounds: of training that it took: all decisions played in its episodes.
    """

    number: int
    settings: dict[str, Setting]
    score: float
    rounds: int = 0


class Journal:
    """The finished trials of one search.

    Args:
        path: of the file; begun if it is not there.
        search: what is searched, JSON-able; a journal of another search is refused.

    Raises:
        ValueError: a journal of another search, or a file that is none.
    """

    def __init__(self, path: Path, search: Mapping[str, object]):
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_half_a_line(path)
        try:
            lock_of_ours = cast("BaseJournalFileLock", _KernelLock(path))
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=lock_of_ours))
            # Creating a study that is there would write a line of its own each time.
            there = _STUDY in optuna.get_all_study_names(storage)
            begin = optuna.load_study if there else partial(optuna.create_study, direction="maximize")
            self._study = begin(study_name=_STUDY, storage=storage)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise ValueError(f"{path}: not an Optuna journal ({reason}); delete the file") from None
        known = self._study.user_attrs.get(_SEARCH)
        if known is None:
            self._study.set_user_attr(_SEARCH, dict(search))
        elif known != search:
            raise ValueError(
                f"{path}: trials of {known}, expected {dict(search)}; choose another --log folder or delete "
                "the file"
            )

    def trials(self) -> list[Trial]:
        """The trials so far, in their order."""
        kept = self._study.get_trials(deepcopy=False)
        return [
            Trial(
                index,
                dict(each.user_attrs["settings"]),
                float(each.values[0]),
                int(each.user_attrs["rounds"]),
            )
            for index, each in enumerate(kept)
        ]

    def append(self, trial: Trial, space: SearchSpace) -> None:
        """Add a finished trial; it is on disk when this returns."""
        with naming(self._path):
            self._study.add_trial(space.frozen(trial.settings, trial.score, trial.rounds))


def trials_in(path: Path) -> int:
    """How many trials a journal holds, without waiting for who writes it; 0 if there is none."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(b'"settings"' in line for line in file)


class _KernelLock:
    """A lock for Optuna's journal: held while a line is added, gone with its process if that is killed.

    Where files cannot be locked, the command's hold on the folder (`execution.hold_folder`) has said so.
    """

    def __init__(self, path: Path):
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._descriptor = os.open(self._path, os.O_RDWR)
        lock(self._descriptor, wait=True)
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _cut_half_a_line(path: Path) -> None:
    """Drop what a killed process had begun to write: that trial is played again."""
    if not path.is_file():
        return
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        write_bytes(path, text[: text.rfind(b"\n") + 1])
