"""The torch loop over worker processes: small convolutions on threads wait for each other's interpreter lock.

Every worker holds the data and a module of its own and trains whole clients, so results are bit for bit those
of the loop in one process. Workers are started afresh, so a script that uses them needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from ....common.arrays import Floats32
from ....common.parent import end_with_parent
from ...data import Dataset
from ...models import FineTuned, ModuleSource
from ...numerics import set_num_threads
from ..jobs import LocalJobs, LocalUpdates, Moments
from ..settings import LocalTraining, TorchSettings
from .trainer import TorchTrainer

# Ranges per worker: more than one, so that a slow one does not hold up the round.
_RANGES_PER_WORKER = 3

_trainer: TorchTrainer | None = None  # a worker's own


def _begin(dataset: Dataset, model: ModuleSource | FineTuned, settings: TorchSettings) -> None:
    """Prepare a worker process."""
    global _trainer
    end_with_parent()
    set_num_threads(1)
    _trainer = TorchTrainer(dataset, model, settings)


def _train(jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
    """Train some jobs in a worker process."""
    if _trainer is None:
        raise RuntimeError("worker process: not prepared")
    return _trainer.run(jobs, settings)


class TorchWorkers(TorchTrainer):
    """`TorchTrainer` that hands local training to processes; evaluation stays here.

    Args:
        dataset: the rows.
        model: the model; must be picklable, as one by dotted name is.
        settings: with `workers`, at least 2.
    """

    def __init__(self, dataset: Dataset, model: ModuleSource | FineTuned, settings: TorchSettings) -> None:
        super().__init__(dataset, model, settings)
        self.name = f"{self.name}-x{settings.workers}"
        self._workers = settings.workers
        self._prepare = (dataset, model, settings.model_copy(update={"workers": 1}))
        self._pool: tuple[int, ProcessPoolExecutor] | None = None

    def _processes(self) -> ProcessPoolExecutor:
        """The workers of this process; a forked child starts its own."""
        if self._pool is None or self._pool[0] != os.getpid():
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(self._workers, context, initializer=_begin, initargs=self._prepare)
            self._pool = (os.getpid(), pool)
        return self._pool[1]

    def __getstate__(self) -> dict[str, object]:
        """Without the workers: whoever unpickles starts its own."""
        return super().__getstate__() | {"_pool": None}

    def close(self) -> None:
        """End the workers; the next round would start new ones."""
        if self._pool is not None and self._pool[0] == os.getpid():
            self._pool[1].shutdown()
        self._pool = None

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        total = int(jobs.first[-1])
        if total == 0:
            return super().run(jobs, settings)
        marks = (
            total * np.arange(1, self._workers * _RANGES_PER_WORKER) // (self._workers * _RANGES_PER_WORKER)
        )
        inner = np.searchsorted(jobs.first, marks)
        cuts = np.unique(np.concatenate([[0], inner, [jobs.origin.size]])).tolist()
        pool = self._processes()
        parts = [
            pool.submit(_train, _range(jobs, begin, end), settings) for begin, end in itertools.pairwise(cuts)
        ]
        done = [part.result() for part in parts]
        kept = [part.moments for part in done if part.moments is not None]
        moments = Moments.joined(kept) if kept else None
        delta, loss, norm = (_joined(done, name) for name in ("delta", "loss", "norm"))
        return LocalUpdates(delta, loss, norm, moments)


def _range(jobs: LocalJobs, begin: int, end: int) -> LocalJobs:
    """The jobs `begin:end` with no more starting points and minibatches than they need."""
    used, origin = np.unique(jobs.origin[begin:end], return_inverse=True)
    first = jobs.first[begin : end + 1]
    correction = None if jobs.correction is None else jobs.correction[begin:end]
    return replace(
        jobs,
        start=jobs.start[used],
        origin=origin,
        first=first - first[0],
        rows=jobs.rows[first[0] : first[-1]],
        correction=correction,
        learning_rate=None if jobs.learning_rate is None else jobs.learning_rate[begin:end],
        moments=None if jobs.moments is None else jobs.moments.select(slice(begin, end)),
    )


def _joined(parts: list[LocalUpdates], name: str) -> Floats32:
    joined: Floats32 = np.concatenate([getattr(part, name) for part in parts])
    return joined
