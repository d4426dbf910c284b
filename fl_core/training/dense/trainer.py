"""The fused backend: all local steps of one client in one compiled loop, everything in cache.

For stacks of Linear and ReLU; `layers` has the arithmetic.
"""

from __future__ import annotations

import functools

import numpy as np

from ....common.arrays import Bools, Floats32, Ints, Ints32
from ...data import Dataset
from ...models import ModelSpec
from ...numerics import run_ranges
from ..fused_steps import FusedSteps
from ..reference import NumpyTrainer
from ..scoring import WORTH_A_THREAD, ScoreJobs, compiled_or_warned
from .layout import net_layout
from .scores_kernels import answer_range, score_range
from .trainer_kernels import train_factors, train_range


class FusedTrainer(FusedSteps, NumpyTrainer):
    """Fused numba backend for dense models; see the module.

    Args:
        dataset: the rows.
        model: a stack of Linear and ReLU.
    """

    train_kernel = staticmethod(train_range)
    factor_kernel = staticmethod(train_factors)
    score_kernel = staticmethod(score_range)

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        NumpyTrainer.__init__(self, dataset, model)
        layout = net_layout(model)
        self._net = tuple(layout)
        self._pools = {
            part: (dataset.rows(part)[0].ravel(), dataset.rows(part)[1]) for part in ("train", "val", "test")
        }
        self.work_per_row = int((layout.inputs * layout.outputs).sum())
        self._last = layout.depth - 1

    def answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32]:
        """See `AnsweringTrainer.answers`."""
        if not self.compiles:
            return super().answers(params, origin, first, rows, part)
        right, loss, _ = self._answered(self._last, ScoreJobs(params, origin, first, rows), part)
        return right, loss

    def right(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train") -> Bools:
        """See `AnsweringTrainer.right`."""
        if not self.compiles:
            return super().right(params, origin, first, rows, part)
        return self._answered(self._last, ScoreJobs(params, origin, first, rows), part, losses=False)[0]

    def early_answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32, Floats32]:
        """See `ExitingTrainer.early_answers`."""
        if not self.compiles:
            return super().early_answers(params, origin, first, rows, part)
        return self._answered(self._last + 1, ScoreJobs(params, origin, first, rows), part)

    def _answered(
        self, head: int, asked: ScoreJobs, part: str, losses: bool = True
    ) -> tuple[Bools, Floats32, Floats32]:
        """Right or not, loss and confidence `[R]` of a head's answers; the last two empty without losses."""
        size, more = asked.rows.size, asked.rows.size if losses else 0
        out = (np.empty(size, np.bool_), np.empty(more, np.float32), np.empty(more, np.float32))
        jobs, data, net = tuple(asked), self._pools[part], self._net
        if asked.origin.size:
            run_ranges(
                lambda begin, end: answer_range(begin, end, jobs, data, net, head, out),
                asked.first * self.work_per_row,
                WORTH_A_THREAD,
            )
        return out

    @property
    def compiles(self) -> bool:
        """See `JobScores.compiles`."""
        return kernels_work()


@functools.cache
def kernels_work() -> bool:
    """Whether this release of numba compiles the kernels; the first call tries, and warns if it does not."""

    def attempt() -> None:
        data = Dataset("probe", *(np.zeros((1, 1), np.float32), np.zeros(1, np.int32)) * 3, num_classes=1)
        trainer, params = FusedTrainer(data, ModelSpec((1, 1))), np.zeros((1, 2), dtype=np.float32)
        trainer._try(params)
        one = np.zeros(1, dtype=np.int64)
        trainer._answered(0, ScoreJobs(params, one, np.arange(2), one.astype(np.int32)), "val")

    return compiled_or_warned(attempt)
