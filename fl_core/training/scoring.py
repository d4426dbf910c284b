"""Scores of models over rows, cut into jobs that threads share; what fused trainers have in common."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.compiled import SlowKernel
from ..numerics import run_ranges
from .jobs import rows_by_label
from .reference import ReferenceTrainer

WORTH_A_THREAD = 2_000_000
"""Multiply-adds worth a thread (about 0.1 ms)."""

_ROWS_PER_JOB = 256


class ScoreJobs(NamedTuple):
    """Job j scores `params[origin[j]]` on `rows[first[j]:first[j + 1]]`."""

    params: Floats32
    origin: Ints
    first: Ints
    rows: Ints32


class JobScores(ReferenceTrainer):
    """A trainer whose kernel scores many jobs at once; computes as the reference where it does not compile.

    Attributes:
        work_per_row: multiply-adds of one row's forward pass.
    """

    work_per_row = 1

    @property
    @abstractmethod
    def compiles(self) -> bool:
        """Whether the kernels serve."""

    @abstractmethod
    def _score_range(self, part: str, jobs: ScoreJobs) -> Callable[[int, int, Floats, Floats], object]:
        """A function of `begin, end, losses, right` that fills the last two for the jobs `begin:end`."""

    def _score(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str
    ) -> tuple[Floats, Floats]:
        """Summed losses and right rows per job."""
        jobs = ScoreJobs(params, origin, first, rows)
        return (self._fused_score if self.compiles else self._plain_score)(jobs, part)

    def _fused_score(self, jobs: ScoreJobs, part: str) -> tuple[Floats, Floats]:
        loss, right = np.zeros(jobs.origin.size), np.zeros(jobs.origin.size)
        if jobs.origin.size:
            score = self._score_range(part, jobs)
            run_ranges(
                lambda begin, end: score(begin, end, loss, right),
                jobs.first * self.work_per_row,
                WORTH_A_THREAD,
            )
        return loss, right

    def _plain_score(self, jobs: ScoreJobs, part: str) -> tuple[Floats, Floats]:
        loss, right = np.zeros(jobs.origin.size), np.zeros(jobs.origin.size)
        x, y = self._dataset.rows(part)
        for j, k in enumerate(jobs.origin.tolist()):
            rows = jobs.rows[jobs.first[j] : jobs.first[j + 1]]
            losses, hits = self.row_scores(jobs.params[k], x[rows], y[rows])
            loss[j], right[j] = losses.sum(dtype=np.float64), hits.sum(dtype=np.float64)
        return loss, right

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        total, _ = self._score(params, origin, first, rows, "train")
        return (total / np.maximum(1, np.diff(first))).astype(np.float32)

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        size, envs = self._dataset.rows(part)[1].size, len(params)
        marks = np.append(np.arange(0, size, _ROWS_PER_JOB), size)
        chunks = marks.size - 1
        rows = np.tile(np.arange(size, dtype=np.int32), envs)
        first = np.append((np.arange(envs)[:, None] * size + marks[:-1]).ravel(), envs * size)
        loss, right = self._score(params, np.repeat(np.arange(envs), chunks), first, rows, part)
        return right.reshape(envs, chunks).sum(axis=1) / size, loss.reshape(envs, chunks).sum(axis=1) / size

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        labels, envs, classes = self._dataset.rows(part)[1], len(params), self._dataset.num_classes
        order, marks = rows_by_label(labels, classes)
        first = np.append((np.arange(envs)[:, None] * labels.size + marks[:-1]).ravel(), envs * labels.size)
        origin = np.repeat(np.arange(envs), classes)
        right = self._score(params, origin, first, np.tile(order, envs), part)[1].reshape(envs, classes)
        count = np.diff(marks)
        return np.where(count > 0, right / np.maximum(1, count), np.nan)


def compiled_or_warned(attempt: Callable[[], object]) -> bool:
    """Whether a first try of a trainer's kernels succeeds; warns where it does not."""
    try:
        attempt()
    except Exception as error:  # whatever a compiler raises that meets what it does not know
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"trainer 'fused' computes in NumPy, many times slower: numba: {why}", SlowKernel, stacklevel=4
        )
        return False
    return True
