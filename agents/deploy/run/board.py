"""What a live run shows of itself: TensorBoard scalars, a page of text and a table of decisions."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from ....common.files import naming, write_text
from ....envs.contract import StepResult
from ..federation import Roster

OutcomeT = TypeVar("OutcomeT")
POINTS = "points/"
"""What the columns of the terms of the reward begin with."""
PAGE, BOARD = "dashboard.txt", "tensorboard"


class Board(ABC, Generic[OutcomeT]):
    """Writes a table, `dashboard.txt` and TensorBoard scalars into a folder.

    Args:
        out: the folder.
        past: figures of the decisions of a resumed run.
    """

    table: ClassVar[str]
    """Name of the table's file."""
    columns: ClassVar[tuple[str, ...]]
    """Of the table, one row per decision; the first counts the decisions."""
    group: ClassVar[str]
    """Under which TensorBoard shows them."""

    def __init__(self, out: Path, past: Sequence[Mapping[str, float]] = ()):
        from torch.utils.tensorboard import SummaryWriter

        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        # What an earlier process has drawn is drawn anew: it may have been killed before the last figures.
        self._board = SummaryWriter(str(out / BOARD), purge_step=0 if past else None)  # type: ignore[no-untyped-call]
        self.rows: list[Mapping[str, float]] = []
        for row in past:
            self._enter(row)

    def figures(self, result: StepResult[OutcomeT]) -> dict[str, float]:
        """What the table and TensorBoard show of the step that was just made."""
        points = {POINTS + name: float(value[0]) for name, value in result.reward_terms.items()}
        return self._row(result) | points

    def record(self, result: StepResult[OutcomeT], figures: Mapping[str, float]) -> None:
        """Enter the step that was just made, and its figures."""
        self._enter(figures)
        self._write()

    @abstractmethod
    def page(self) -> str:
        """The page of text, with the nodes by name."""

    @abstractmethod
    def _row(self, result: StepResult[OutcomeT]) -> dict[str, float]:
        """The columns."""

    def close(self) -> None:
        """Finish writing."""
        self._board.close()  # type: ignore[no-untyped-call]

    def _enter(self, figures: Mapping[str, float]) -> None:
        self.rows.append(figures)
        count = self.columns[0]
        for name, value in figures.items():
            label = f"{self.group}/{name}" if name in self.columns else name
            if name != count:
                with naming(self._out / BOARD):
                    self._board.add_scalar(label, value, int(figures[count]))  # type: ignore[no-untyped-call]

    def _write(self) -> None:
        """All rows, whole: the table says what the checkpoints say, however the last process ended."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._out / self.table, text.getvalue())
        write_text(self._out / PAGE, self.page())
        with naming(self._out / BOARD):
            self._board.flush()  # type: ignore[no-untyped-call]


def node_state(roster: Roster, client: int) -> str:
    """In a word, what a client's node does."""
    if not roster.connected[client]:
        return "away"
    if roster.trust.given_up[client]:
        return "given up"
    return "busy" if roster.order[client] else "idle"


def refused_words(roster: Roster, client: int) -> str:
    """How many answers of a client's node were refused, if any were."""
    faults = int(roster.trust.faults[client])
    return f"  {faults} refused" if faults else ""
