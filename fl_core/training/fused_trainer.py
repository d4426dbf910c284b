"""The fused backend: all local steps of one client in one compiled loop, everything in cache.

For stacks of Linear and ReLU; `fused_layers` has the arithmetic.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.compiled import SlowKernel
from ..data import Dataset
from ..models import ModelSpec
from ..numerics import run_ranges
from .fused_trainer_kernels import (
    Descent,
    Rows,
    ScoreJobs,
    TrainJobs,
    Updates,
    net_layout,
    score_range,
    train_range,
)
from .jobs import LocalJobs, LocalUpdates, rows_by_label, softmax_loss
from .reference import NumpyTrainer
from .settings import LocalTraining

# Multiply-adds worth a thread (about 0.1 ms), and validation rows per job when evaluating.
_WORTH_A_THREAD = 2_000_000
_ROWS_PER_JOB = 256


class FusedTrainer(NumpyTrainer):
    """Fused numba backend for dense models; see the module.

    Args:
        dataset: the rows.
        model: a stack of Linear and ReLU.
    """

    name = "fused"

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        super().__init__(dataset, model)
        self._num_classes = dataset.num_classes
        layout = net_layout(model)
        self._net = tuple(layout)
        self._pools = {
            part: Rows(dataset.rows(part)[0].ravel(), dataset.rows(part)[1])
            for part in ("train", "val", "test")
        }
        self._flops_per_row = int((layout.widths[:-1] * layout.widths[1:]).sum())

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        return self._fused_run(jobs, settings) if kernels_work() else super().run(jobs, settings)

    def _fused_run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        count, size = jobs.origin.size, jobs.start.shape[1]
        done = Updates(
            np.empty((count, size), dtype=np.float32),
            np.empty(count, dtype=np.float32),
            np.empty(count, dtype=np.float32),
        )
        correction = np.empty((0, size), dtype=np.float32) if jobs.correction is None else jobs.correction
        data, net = tuple(self._pools["train"]), self._net
        asked = TrainJobs(jobs.start, jobs.origin, jobs.first, jobs.rows, correction, jobs.rates(settings))
        how = Descent(settings.weight_decay, settings.prox_mu)
        if count:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self._flops_per_row)
            run_ranges(
                lambda begin, end: train_range(begin, end, tuple(asked), data, net, tuple(how), tuple(done)),
                work,
                _WORTH_A_THREAD,
            )
        return LocalUpdates(*done)

    def _score(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str
    ) -> tuple[Floats, Floats]:
        """Summed losses and numbers of correct rows per job."""
        score = self._fused_score if kernels_work() else self._plain_score
        return score(ScoreJobs(params, origin, first, rows), part)

    def _fused_score(self, jobs: ScoreJobs, part: str) -> tuple[Floats, Floats]:
        loss, correct = np.zeros(jobs.origin.size), np.zeros(jobs.origin.size)
        asked, data, net = tuple(jobs), tuple(self._pools[part]), self._net
        if jobs.origin.size:
            work = jobs.first * self._flops_per_row
            run_ranges(
                lambda begin, end: score_range(begin, end, asked, data, net, loss, correct),
                work,
                _WORTH_A_THREAD,
            )
        return loss, correct

    def _plain_score(self, jobs: ScoreJobs, part: str) -> tuple[Floats, Floats]:
        loss, correct = np.zeros(jobs.origin.size), np.zeros(jobs.origin.size)
        x, y = self._dataset.rows(part)
        for j, k in enumerate(jobs.origin.tolist()):
            rows = jobs.rows[jobs.first[j] : jobs.first[j + 1]]
            logits = self.embed(jobs.params[k], x[rows])[1]
            loss[j] = softmax_loss(logits, y[rows])[0].sum(dtype=np.float64)
            correct[j] = np.count_nonzero(logits.argmax(axis=1) == y[rows])
        return loss, correct

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        total, _ = self._score(params, origin, first, rows, "train")
        return (total / np.maximum(1, np.diff(first))).astype(np.float32)

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        size, envs = self._pools[part].y.size, len(params)
        marks = np.append(np.arange(0, size, _ROWS_PER_JOB), size)
        chunks = marks.size - 1
        rows = np.tile(np.arange(size, dtype=np.int32), envs)
        first = np.append((np.arange(envs)[:, None] * size + marks[:-1]).ravel(), envs * size)
        loss, correct = self._score(params, np.repeat(np.arange(envs), chunks), first, rows, part)
        return correct.reshape(envs, chunks).sum(axis=1) / size, loss.reshape(envs, chunks).sum(axis=1) / size

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        labels, envs, classes = self._pools[part].y, len(params), self._num_classes
        order, marks = rows_by_label(labels, classes)
        first = np.append((np.arange(envs)[:, None] * labels.size + marks[:-1]).ravel(), envs * labels.size)
        origin = np.repeat(np.arange(envs), classes)
        correct = self._score(params, origin, first, np.tile(order, envs), part)[1].reshape(envs, classes)
        count = np.diff(marks)
        return np.where(count > 0, correct / np.maximum(1, count), np.nan)


@functools.cache
def kernels_work() -> bool:
    """Whether this release of numba compiles the kernels; the first call tries, and warns if it does not."""
    data = Dataset("probe", *(np.zeros((1, 1), np.float32), np.zeros(1, np.int32)) * 3, num_classes=1)
    trainer, one = FusedTrainer(data, ModelSpec((1, 1))), np.zeros(1, dtype=np.int64)
    params, rows = np.zeros((1, 2), dtype=np.float32), np.zeros((1, 1), dtype=np.int32)
    try:
        trainer._fused_run(LocalJobs(params, one, np.arange(2), rows), LocalTraining())
        trainer._fused_score(ScoreJobs(params, one, np.arange(2), rows[0]), "val")
    except Exception as error:  # whatever a compiler raises that meets what it does not know
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"trainer 'fused' computes in NumPy, many times slower: numba: {why}", SlowKernel, stacklevel=3
        )
        return False
    return True
