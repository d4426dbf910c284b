"""The fused backend: all local steps of one client in one compiled loop, everything in cache.

For stacks of Linear and ReLU; `fused_layers` has the arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ...common.arrays import Floats
from ..data import Dataset
from ..models import ModelSpec
from ..numerics import run_ranges
from .descent_kernels import blank_updates, descent_of
from .fused_trainer_kernels import Rows, TrainJobs, net_layout, score_range, train_range
from .jobs import LocalJobs, LocalUpdates
from .reference import NumpyTrainer
from .scoring import WORTH_A_THREAD, JobScores, ScoreJobs, compiled_or_warned
from .settings import LocalTraining


class FusedTrainer(JobScores, NumpyTrainer):
    """Fused numba backend for dense models; see the module.

    Args:
        dataset: the rows.
        model: a stack of Linear and ReLU.
    """

    name = "fused"

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        NumpyTrainer.__init__(self, dataset, model)
        layout = net_layout(model)
        self._net = tuple(layout)
        self._pools = {
            part: tuple(Rows(dataset.rows(part)[0].ravel(), dataset.rows(part)[1]))
            for part in ("train", "val", "test")
        }
        self.work_per_row = int((layout.widths[:-1] * layout.widths[1:]).sum())

    @property
    def compiles(self) -> bool:
        """See `JobScores.compiles`."""
        return kernels_work()

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        return self._fused_run(jobs, settings) if kernels_work() else super().run(jobs, settings)

    def _fused_run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        size = jobs.start.shape[1]
        done, moments = blank_updates(jobs, settings)
        correction = np.empty((0, size), dtype=np.float32) if jobs.correction is None else jobs.correction
        data, net, how = self._pools["train"], self._net, tuple(descent_of(settings))
        asked = TrainJobs(jobs.start, jobs.origin, jobs.first, jobs.rows, correction, jobs.rates(settings))
        if jobs.origin.size:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self.work_per_row)
            run_ranges(
                lambda begin, end: train_range(begin, end, tuple(asked), data, net, how, tuple(done)),
                work,
                WORTH_A_THREAD,
            )
        return LocalUpdates(done.delta, done.losses, done.norms, moments)

    def _score_range(self, part: str, jobs: ScoreJobs) -> Callable[[int, int, Floats, Floats], object]:
        asked, data, net = tuple(jobs), self._pools[part], self._net
        return lambda begin, end, loss, right: score_range(begin, end, asked, data, net, loss, right)


@functools.cache
def kernels_work() -> bool:
    """Whether this release of numba compiles the kernels; the first call tries, and warns if it does not."""

    def attempt() -> None:
        data = Dataset("probe", *(np.zeros((1, 1), np.float32), np.zeros(1, np.int32)) * 3, num_classes=1)
        trainer, one = FusedTrainer(data, ModelSpec((1, 1))), np.zeros(1, dtype=np.int64)
        params, rows = np.zeros((1, 2), dtype=np.float32), np.zeros((1, 1), dtype=np.int32)
        trainer._fused_run(LocalJobs(params, one, np.arange(2), rows), LocalTraining())
        trainer._fused_score(ScoreJobs(params, one, np.arange(2), rows[0]), "val")

    return compiled_or_warned(attempt)
