"""Jobs of local training and what comes of them: the interface of all trainers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from .settings import LocalTraining


@dataclass(frozen=True)
class Moments:
    """What J workers remember of their gradients."""

    first: AnyArray  # [J, P] mean gradients
    second: AnyArray  # [J, P] mean squares
    steps: Ints  # [J] steps taken since they were zero

    @staticmethod
    def blank(jobs: int, num_parameters: int) -> Moments:
        """Of workers that have just begun."""
        shape = (jobs, num_parameters)
        return Moments(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(jobs, np.int64))

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """One after another."""
        columns = ([getattr(part, name) for part in parts] for name in ("first", "second", "steps"))
        return Moments(*(np.concatenate(column) for column in columns))

    def copy(self) -> Moments:
        """Arrays of one's own, to be changed."""
        return Moments(self.first.copy(), self.second.copy(), self.steps.copy())

    def select(self, jobs: AnyArray | slice) -> Moments:
        """Those of some jobs."""
        return Moments(self.first[jobs], self.second[jobs], self.steps[jobs])


@dataclass(frozen=True)
class LocalJobs:
    """Local training of J clients, each from a given start."""

    start: Floats32  # [M, P] pool of starting points, e.g. one server model per environment
    origin: Ints  # [J] row of `start` each job starts from
    first: Ints  # [J + 1] job j makes the steps `first[j]:first[j + 1]` of `rows`
    rows: Ints32  # [total steps, batch_size] training rows of each minibatch
    correction: Floats32 | None = None  # [J, P] added to every gradient (control variates)
    learning_rate: Floats | None = None  # [J] of each job's steps; None = the settings' for all
    moments: Moments | None = None  # [J] what each worker remembers, not changed; None = nothing yet

    def rates(self, settings: LocalTraining) -> Floats:
        """`[J]`, the learning rate of each job's steps."""
        if self.learning_rate is None:
            return np.full(self.origin.size, settings.learning_rate)
        return self.learning_rate

    def select(self, keep: Bools) -> LocalJobs:
        """The jobs of a mask `[J]`."""
        steps = np.diff(self.first)
        return replace(
            self,
            origin=self.origin[keep],
            first=np.concatenate([[0], np.cumsum(steps[keep])]),
            rows=np.ascontiguousarray(self.rows[np.repeat(keep, steps)]),
            correction=None if self.correction is None else self.correction[keep],
            learning_rate=None if self.learning_rate is None else self.learning_rate[keep],
            moments=None if self.moments is None else self.moments.select(keep),
        )

    def new_moments(self, settings: LocalTraining) -> Moments | None:
        """`[J]`, moments to be changed by the steps; None with plain SGD, which has none."""
        if settings.adamw is None:
            return None
        if self.moments is None:
            return Moments.blank(self.origin.size, self.start.shape[1])
        return self.moments.copy()


@dataclass(frozen=True)
class LocalUpdates:
    """What came back from J jobs."""

    delta: AnyArray  # [J, P] parameters after the local steps minus the start, in the parameters' precision
    loss: Floats32  # [J] mean minibatch loss over the local steps, each taken before its step
    norm: Floats32  # [J] length of `delta`; not finite where the training diverged
    moments: Moments | None = None  # [J] what each worker remembers now; None with plain SGD

    def with_others(self, others: LocalUpdates, where: Bools) -> LocalUpdates:
        """These updates with those of other jobs put among them, where the mask `[J]` of all says so."""
        moments = None
        if self.moments is not None and others.moments is not None:
            pairs = zip(vars(self.moments).values(), vars(others.moments).values(), strict=True)
            moments = Moments(*(_among(mine, theirs, where) for mine, theirs in pairs))
        return LocalUpdates(
            _among(self.delta, others.delta, where),
            _among(self.loss, others.loss, where),
            _among(self.norm, others.norm, where),
            moments,
        )


def _among(mine: AnyArray, theirs: AnyArray, where: Bools) -> AnyArray:
    """Rows of both, theirs where the mask says so."""
    merged = np.empty((where.size, *mine.shape[1:]), dtype=mine.dtype)
    merged[~where], merged[where] = mine, theirs
    return merged


@runtime_checkable
class LocalTrainer(Protocol):
    """A backend for one data set and one model."""

    name: str

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """Train all jobs, each at its own rate (`jobs.rates`); job j's result depends on job j alone."""

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """Mean loss of `params[origin[j]]` over the training rows `rows[first[j]:first[j + 1]]`."""

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """Accuracy and mean loss of each row of `params` on a part, `"train"`, `"val"` or `"test"`."""

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """`[M, C]`, accuracy of each row of `params` on the rows of each label; nan without rows."""


@runtime_checkable
class AnsweringTrainer(Protocol):
    """A trainer that tells of single rows how they are answered; needed where clients serve."""

    def answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32]:
        """Which rows are right, and their losses, each `[R]`; job j's rows answered by `params[origin[j]]`.

        Args:
            params: `[M, P]`.
            origin: `[J]`.
            first: `[J + 1]`; job j has the rows `first[j]:first[j + 1]`.
            rows: `[R]`, numbers of rows of the part.
            part: whose rows.
        """

    def right(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train") -> Bools:
        """The first of what `answers` returns, for those who want no losses."""


@runtime_checkable
class ExitingTrainer(Protocol):
    """A trainer of models with early exits; needed where clients may ask the hub."""

    def early_answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32, Floats32]:
        """As `AnsweringTrainer.answers`, of the first exit, with its confidence `[R]`: the largest chance."""


def softmax_loss(logits: Floats32, labels: Ints32) -> tuple[Floats32, Floats32]:
    """Per-row cross-entropy and softmax probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponential = np.exp(shifted)
    total = exponential.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - shifted[np.arange(labels.size), labels]
    return loss, exponential / total


def rows_by_label(labels: AnyArray, classes: int) -> tuple[Ints32, Ints]:
    """Row numbers sorted by label, and the int `[C + 1]` bounds of every label's."""
    order = np.argsort(labels, kind="stable").astype(np.int32)
    return order, np.searchsorted(labels[order], np.arange(classes + 1)).astype(np.int64)
