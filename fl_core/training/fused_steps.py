"""What fused trainers have in common: jobs handed to a compiled kernel, in ranges that threads share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from ...common.arrays import Floats, Floats32
from ..models import FineTuned
from ..numerics import run_ranges
from .descent_kernels import TrainJobs, blank_updates, descent_of, factor_layout
from .jobs import LocalJobs, LocalUpdates
from .scoring import WORTH_A_THREAD, JobScores, ScoreJobs
from .settings import LocalTraining

Kernel = Callable[..., object]


class FusedSteps(JobScores):
    """Local steps and scores in compiled loops; computes as the reference where they do not compile.

    Attributes:
        train_kernel: makes the local steps of the jobs `begin:end`.
        factor_kernel: likewise on low-rank factors.
        score_kernel: scores the jobs `begin:end`.
    """

    name = "fused"
    train_kernel: ClassVar[Kernel]
    factor_kernel: ClassVar[Kernel]
    score_kernel: ClassVar[Kernel]
    _net: tuple[object, ...]
    _pools: Mapping[str, object]

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        return self._fused_run(jobs, settings) if self.compiles else super().run(jobs, settings)

    def run_factors(self, jobs: LocalJobs, settings: LocalTraining, model: FineTuned) -> LocalUpdates | None:
        """See `ReferenceTrainer.run_factors`."""
        return self._fused_run(jobs, settings, model) if self.compiles else None

    def _fused_run(
        self, jobs: LocalJobs, settings: LocalTraining, model: FineTuned | None = None
    ) -> LocalUpdates:
        size, train = jobs.start.shape[1], type(self).train_kernel
        data = self._pools["train"]
        net: tuple[object, ...] = (self._net,)
        if model is not None and model.view is not None:
            train, net = type(self).factor_kernel, (self._net, tuple(factor_layout(model, model.view)))
        done, moments = blank_updates(jobs, settings)
        correction = np.empty((0, size), dtype=np.float32) if jobs.correction is None else jobs.correction
        how = tuple(descent_of(settings))
        asked = TrainJobs(jobs.start, jobs.origin, jobs.first, jobs.rows, correction, jobs.rates(settings))
        if jobs.origin.size:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self.work_per_row)
            run_ranges(
                lambda begin, end: train(begin, end, tuple(asked), data, *net, how, tuple(done)),
                work,
                WORTH_A_THREAD,
            )
        return LocalUpdates(done.delta, done.losses, done.norms, moments)

    def _try(self, params: Floats32) -> None:
        """Compile the kernels: train and score one model `[1, P]` on the first row."""
        one, rows = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int32)
        self._fused_run(LocalJobs(params, one, np.arange(2), rows), LocalTraining())
        self._fused_score(ScoreJobs(params, one, np.arange(2), rows[0]), "val")

    def _score_range(self, part: str, jobs: ScoreJobs) -> Callable[[int, int, Floats, Floats], object]:
        asked, data, net, score = tuple(jobs), self._pools[part], self._net, type(self).score_kernel
        return lambda begin, end, loss, right: score(begin, end, asked, data, net, loss, right)
