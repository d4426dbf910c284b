"""The book of requests: every one that was accepted ends answered or dropped, and is counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....common.arrays import AnyArray, Bools, Ints

WAITING = -1
"""Of a request's slot: it is with nobody."""

_COLUMNS = ("id", "zone", "task", "row", "due", "waits", "slot", "tries", "now")
_COUNTS = ("accepted", "answered", "dropped", "next")


@dataclass
class Tally:
    """What became of requests in one step, by task `[I]`."""

    answered: Ints
    right: Ints
    dropped: Ints
    retried: int = 0  # taken back from a node that had not answered

    @staticmethod
    def blank(tasks: int) -> Tally:
        """Nothing yet."""
        answered, right, dropped = (np.zeros(tasks, dtype=np.int64) for _ in range(3))
        return Tally(answered, right, dropped)


class RequestBook:
    """The open requests, one row each, and how many were settled how.

    Attributes:
        accepted: requests ever accepted.
        answered: those of them that were answered, by a slot or by the hub.
        dropped: those of them that nobody answered in time.
        tally: of the present step.

    Args:
        tasks: I.
    """

    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        self._rows: dict[str, Ints] = {name: np.zeros(0, dtype=np.int64) for name in _COLUMNS}
        self.accepted = self.answered = self.dropped = 0
        self._next = 0
        self.tally = Tally.blank(tasks)

    @property
    def open(self) -> int:
        """Requests that are not settled."""
        return self._rows["id"].size

    def begin(self) -> None:
        """A step begins: nothing has been settled in it, and nothing may be answered until it is released."""
        self.tally = Tally.blank(self._tasks)
        self._rows["now"][:] = 0

    def accept(self, zone: Ints, task: Ints, row: Ints, due: Ints, waits: Bools) -> Ints:
        """Enter new requests; their ids.

        Args:
            zone: `[R]`, where each is asked.
            task: `[R]`, what is asked.
            row: `[R]`, about which row.
            due: `[R]`, the step in which it must be answered.
            waits: bool `[R]`, whether somebody waits for the answer.
        """
        ids = self._next + np.arange(zone.size)
        blank = np.zeros(zone.size, dtype=np.int64)
        new = {"id": ids, "zone": zone, "task": task, "row": row, "due": due}
        new |= {"waits": waits.astype(np.int64), "slot": blank + WAITING, "tries": blank, "now": blank}
        self._rows = {name: np.concatenate([old, new[name]]) for name, old in self._rows.items()}
        self._next += zone.size
        self.accepted += zone.size
        return ids

    def of(self, name: str, ids: Ints) -> Ints:
        """A column at some requests."""
        return self._rows[name][self._places(ids)]

    def waiting(self, now: bool = False, due: int | None = None) -> Ints:
        """Ids of requests that are with nobody, the oldest first.

        Args:
            now: only those that may be answered now.
            due: only those that must be answered in or before this step.
        """
        rows = self._rows
        chosen = rows["slot"] == WAITING
        if now:
            chosen &= rows["now"] > 0
        if due is not None:
            chosen &= rows["due"] <= due
        return np.asarray(rows["id"][chosen])

    def counts(self, ids: Ints, zones: int) -> Ints:
        """`[Z, I]`, how many of some requests are of each zone and task."""
        cell = self.of("zone", ids) * self._tasks + self.of("task", ids)
        counted = np.bincount(cell, minlength=zones * self._tasks)
        return np.asarray(counted.reshape(zones, self._tasks), dtype=np.int64)

    def of_cell(self, ids: Ints, zone: int, task: int) -> Ints:
        """Those of some requests that are of one zone and task."""
        chosen = (self.of("zone", ids) == zone) & (self.of("task", ids) == task)
        return np.asarray(ids[chosen])

    def release(self, ids: Ints) -> None:
        """These may be answered now."""
        self._rows["now"][self._places(ids)] = 1

    def send(self, ids: Ints, slot: int) -> None:
        """These are with a slot."""
        places = self._places(ids)
        if (self._rows["slot"][places] != WAITING).any():
            raise RuntimeError("requests: sent to a second slot, expected those that are with nobody")
        self._rows["slot"][places] = slot

    def take_back(self, ids: Ints) -> None:
        """These were not answered by the slot that they were sent to."""
        places = self._places(ids)
        self._rows["slot"][places] = WAITING
        self._rows["tries"][places] += 1
        self.tally.retried += int(ids.size)

    def answer(self, ids: Ints, right: Bools) -> None:
        """These are answered; they leave the book."""
        task = self.of("task", ids)
        self._remove(ids)
        self.answered += int(ids.size)
        self.tally.answered += np.bincount(task, minlength=self._tasks)
        self.tally.right += np.bincount(task, weights=right, minlength=self._tasks).astype(np.int64)

    def drop(self, ids: Ints) -> None:
        """Nobody has answered these in time; they leave the book."""
        task = self.of("task", ids)
        self._remove(ids)
        self.dropped += int(ids.size)
        self.tally.dropped += np.bincount(task, minlength=self._tasks)

    def check(self) -> None:
        """Every accepted request is answered, dropped or open.

        Raises:
            RuntimeError: one was lost, or counted twice.
        """
        counted = self.answered + self.dropped + self.open
        if counted != self.accepted:
            raise RuntimeError(
                f"requests: {self.answered} answered, {self.dropped} dropped and {self.open} open, expected "
                f"the {self.accepted} that were accepted"
            )

    def state(self) -> dict[str, AnyArray]:
        """What is worth keeping between steps."""
        counts = (self.accepted, self.answered, self.dropped, self._next)
        return dict(self._rows) | {name: np.array(each) for name, each in zip(_COUNTS, counts, strict=True)}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Restore `state()`; what was with a slot is with nobody."""
        self._rows = {name: np.asarray(state[name], dtype=np.int64).copy() for name in _COLUMNS}
        self._rows["slot"][:] = WAITING
        self.accepted, self.answered, self.dropped, self._next = (int(state[name]) for name in _COUNTS)

    def _places(self, ids: Ints) -> Ints:
        """Where requests stand; ids increase."""
        mine = self._rows["id"]
        places = np.searchsorted(mine, ids)
        if ids.size and (int(places.max()) >= mine.size or (mine[places] != ids).any()):
            raise RuntimeError("requests: settled before, expected those that are open")
        return np.asarray(places)

    def _remove(self, ids: Ints) -> None:
        places = self._places(ids)
        if np.unique(places).size != places.size:
            raise RuntimeError("requests: settled twice at once, expected each one once")
        kept = np.ones(self.open, dtype=bool)
        kept[places] = False
        self._rows = {name: values[kept] for name, values in self._rows.items()}
