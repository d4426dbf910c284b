"""How far searches have come that other processes carry out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True)
class Task:
    """A line of the progress bar: its label, how much there is to do (None: unknown), how much is done."""

    label: str
    total: int | None
    done: Callable[[], int]


class Watching:
    """Counts what stands in the journals, which the workers write, once a second."""

    def __init__(self, bar: Progress, tasks: Sequence[Task]):
        self._bar = bar
        self._tasks = {bar.add_task(task.label, total=task.total): task for task in tasks}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join()
        self._count()

    def _watch(self) -> None:
        while not self._over.wait(timeout=1.0):
            self._count()

    def _count(self) -> None:
        for number, task in self._tasks.items():
            self._bar.update(number, completed=task.done())


def progress_bar(console: Console) -> Progress:
    """What there is to do, what is done, and since when."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
