"""The fused backend for tiny transformers: all local steps of one client in one compiled loop.

`layers` has the arithmetic. What is `too_large` for it is PyTorch's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ....common.arrays import Floats
from ...data import Dataset
from ...models import TransformerSpec, token_rows
from ...numerics import run_ranges
from ..descent_kernels import blank_updates, descent_of
from ..fused_trainer_kernels import TrainJobs
from ..jobs import LocalJobs, LocalUpdates
from ..scoring import WORTH_A_THREAD, JobScores, ScoreJobs, compiled_or_warned
from ..settings import LocalTraining
from .layout import net_layout
from .reference import TransformerReference
from .trainer_kernels import score_range, train_range


class FusedTransformer(JobScores, TransformerReference):
    """Fused numba backend for tiny transformers; see the module.

    Args:
        dataset: rows of `context + 1` tokens.
        model: a transformer that is not `too_large`.
    """

    name = "fused"

    def __init__(self, dataset: Dataset, model: TransformerSpec) -> None:
        TransformerReference.__init__(self, dataset, model)
        self._net = tuple(net_layout(model))
        self._tokens = {part: token_rows(dataset, part).ravel() for part in ("train", "val", "test")}
        self.work_per_row = model.forward_flops // 2

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
        tokens, net, how = self._tokens["train"], self._net, tuple(descent_of(settings))
        asked = TrainJobs(jobs.start, jobs.origin, jobs.first, jobs.rows, correction, jobs.rates(settings))
        if jobs.origin.size:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self.work_per_row)
            run_ranges(
                lambda begin, end: train_range(begin, end, tuple(asked), tokens, net, how, tuple(done)),
                work,
                WORTH_A_THREAD,
            )
        return LocalUpdates(done.delta, done.losses, done.norms, moments)

    def _score_range(self, part: str, jobs: ScoreJobs) -> Callable[[int, int, Floats, Floats], object]:
        asked, tokens, net = tuple(jobs), self._tokens[part], self._net
        return lambda begin, end, loss, right: score_range(begin, end, asked, tokens, net, loss, right)


@functools.cache
def kernels_work() -> bool:
    """Whether this release of numba compiles the kernels; the first call tries, and warns if it does not."""

    def attempt() -> None:
        data = Dataset("probe", *(np.zeros((1, 2), np.float32), np.zeros(1, np.int32)) * 3, num_classes=1)
        model, one = TransformerSpec(1, 1, 1, 1, 1), np.zeros(1, dtype=np.int64)
        trainer, params = FusedTransformer(data, model), model.init(0)[None]
        rows = np.zeros((1, 1), dtype=np.int32)
        trainer._fused_run(LocalJobs(params, one, np.arange(2), rows), LocalTraining())
        trainer._fused_score(ScoreJobs(params, one, np.arange(2), rows[0]), "val")

    return compiled_or_warned(attempt)
