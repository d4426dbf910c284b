"""The rows that requests ask about, the hub's answers to them, and which answers are right."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Bools, Floats32, Ints
from ....common.splits import Split
from ....envs.serving import Ladder
from ....fl_core.remote import ModelLoad


class Judge:
    """Knows the trained models of a ladder, the rows of a split and the truth about them.

    Args:
        ladder: the trained models.
        split: whose rows are asked about.
    """

    def __init__(self, ladder: Ladder, split: Split) -> None:
        self._ladder = ladder
        self._rows, self._truth = ladder.rows[split], ladder.truth[split]
        self.rungs = len(ladder.readers[0])

    def rows(self, row: Ints) -> Floats32:
        """`[R, d]`, what requests ask about."""
        return self._rows[row]

    def classes(self, model: int) -> int:
        """Of a model's answers."""
        return self._ladder.readers[model // self.rungs][model % self.rungs].classes

    def load(self, slot: int, model: int) -> ModelLoad:
        """An order to load a model into a slot of a node."""
        task, rung = divmod(model, self.rungs)
        parameters = self._ladder.parameters[task][rung]
        return ModelLoad(slot, model, self._ladder.readers[task][rung], parameters)

    def hub(self, task: Ints, row: Ints) -> Ints:
        """`[R]`, what the largest model of each request's task answers, computed here."""
        choice = np.zeros(row.size, dtype=np.int64)
        for each in np.unique(task):
            mine, last = task == each, self.rungs - 1
            reader, parameters = self._ladder.readers[each][last], self._ladder.parameters[each][last]
            choice[mine] = reader.answers(parameters, self.rows(row[mine]))[0]
        return choice

    def right(self, task: Ints, row: Ints, choice: Ints) -> Bools:
        """Bool `[R]`, which answers are right."""
        return np.asarray(self._truth[task, row] == choice)
