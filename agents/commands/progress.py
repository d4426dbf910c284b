"""Progress of a training on stderr: a bar with the latest figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from ...common.saying import say


class ProgressDisplay:
    """A progress bar with the latest figures; an `Observer` of a training run.

    Args:
        timesteps: rounds of the whole run.
        out: its folder, named at the start.
        console: where to write; None: stderr.
    """

    def __init__(self, timesteps: int, out: Path, console: Console | None = None):
        self._console = console or Console(stderr=True)
        self._timesteps, self._out = timesteps, out
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            Remaining(),
        )
        self._bar = Progress(*columns, console=self._console, refresh_per_second=4)
        self._task = self._bar.add_task("preparing", total=timesteps, figures="")

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, done: int) -> None:
        """Show the bar; `done` rounds are trained already."""
        self.say(f"Training into {self._out} (tensorboard --logdir {self._out})")
        self._bar.start()
        self._bar.update(self._task, description="training", completed=done)

    def close(self) -> None:
        """Put the bar to rest."""
        if self._bar.live.is_started:  # stopping writes an empty line
            self._bar.stop()

    def say(self, line: str) -> None:
        """Write a line, above the bar if it is running."""
        say(self._console, line)

    def trained(self, done: int) -> None:
        """So many rounds are trained."""
        self._bar.update(self._task, description="training", completed=min(done, self._timesteps))

    def segment(self, figures: Mapping[str, float | None]) -> None:
        """Show the latest mean net points."""
        labels = {"net_points": "net points", "val_net_points": "on val"}
        known = {label: figures.get(name) for name, label in labels.items()}
        parts = [f"{label} {value:.1f}" for label, value in known.items() if value is not None]
        self._bar.update(self._task, figures=", ".join(parts))

    def warm_start(self, share: float) -> None:
        """So much of the warm start is done."""
        self._bar.update(self._task, description=f"imitating {share:.0%}")
