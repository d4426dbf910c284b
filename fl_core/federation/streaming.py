"""The core of worlds that serve: clients answer requests, and train on the labelled ones they still hold."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ...common.settings import Spec
from ..aggregation import Aggregator, Compression
from ..data import Dataset
from ..data.streams import Drift, Memories, Memory, RequestRows, StreamTask, with_concepts
from ..models import Model, ModelSpec, inner_model
from ..training import AnsweringTrainer, ExitingTrainer, LocalTrainer, LocalTraining
from .holdings import Task
from .on_data import FederatedCore
from .requests import Answers, RequestSpans

_REQUEST_STREAM = np.uint64(0x5E27E)
_MOST_FITTED_ROWS = 20_000
"""Rows to which the optimum is fitted; more change it little."""


class StreamCore(FederatedCore):
    """A `FederatedCore` whose clients hold what their memories keep of a stream.

    Everything a client is asked, learns and forgets depends on the episode's seed and on what the world says
    has arrived, never on how it is trained.

    Args:
        dataset: the rows of concept 0.
        model: as for `FederatedCore`.
        num_envs: E.
        num_clients: N.
        memory: what clients keep.
        drift: which concepts there are.
        mixed: see `RequestRows`.
        training: as for `FederatedCore`.
        aggregator: likewise.
        trainer: likewise; one that is an `AnsweringTrainer`.
        compression: likewise.
        early: whether clients answer from the model's first exit; it must have one.
    """

    _STATE = tuple(name for name in FederatedCore._STATE if name != "rows")

    def __init__(
        self,
        dataset: Dataset,
        model: Model,
        num_envs: int,
        num_clients: int,
        memory: Memory,
        drift: Drift,
        mixed: bool = True,
        training: LocalTraining | Mapping[str, object] | None = None,
        aggregator: Spec | Aggregator = "by-samples",
        trainer: Spec | LocalTrainer = "auto",
        compression: Spec | Compression | None = None,
        early: bool = False,
    ) -> None:
        if dataset.times is not None or dataset.score is not None:
            raise ValueError(
                f"arrivals: given with data set {dataset.name!r}, expected one whose rows have a class each"
            )
        concepts = with_concepts(dataset, drift)
        super().__init__(
            concepts, model, num_envs, num_clients, training, aggregator, trainer, 0, compression
        )
        if not isinstance(self.trainer, AnsweringTrainer):
            raise ValueError(
                f"trainer: {self.trainer.name!r} has no method answers, expected one that tells which rows "
                "are right; use 'auto'"
            )
        self._answerer: AnsweringTrainer = self.trainer
        self._early = _with_exits(self.trainer, model) if early else None
        self._drift, self._base = drift, dataset
        self._size = {part: dataset.rows(part)[1].size for part in ("train", "val", "test")}
        self._labelled = memory.labelled
        self.memories = Memories(memory, num_envs, num_clients, concepts.y_train, concepts.num_classes)
        self._requests = RequestRows(dataset, num_envs, num_clients, mixed)
        # The core trains on the memories themselves: one client's rows begin at a fixed place.
        self._rows = self.memories.tables.kept.reshape(num_envs, -1)
        self._offset[:] = np.arange(num_clients + 1) * memory.rows
        self._concept = np.zeros((num_envs, num_clients), dtype=np.int64)

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`; the task is a `StreamTask`, and nobody holds a row."""
        if not isinstance(task, StreamTask):
            raise ValueError(f"task: {type(task).__name__}, expected StreamTask")
        self._begin(env, task, seed, self.model.init(max(seed, 0)))
        self._offset[env] = np.arange(self.num_clients + 1) * self.memories.rows
        if self._memory is not None:
            self._memory.reset(env)
        own_seed = self._seed[env] ^ _REQUEST_STREAM
        self.memories.reset(env, own_seed)
        self._requests.reset(env, task, own_seed)
        self._concept[env] = 0

    def be_in(self, concept: Ints, time_s: Floats) -> None:
        """See `StreamEngine.be_in`; rows know their concept, whatever the time."""
        self._concept[...] = concept

    def answer(self, spans: RequestSpans) -> Answers:
        """See `StreamEngine.answer`: forward passes over the rows that are asked."""
        rows = self._rows_of(spans.env, spans.client, spans.begin, spans.first, spans.concept)
        asked = (np.ascontiguousarray(spans.models, dtype=np.float32), spans.origin, spans.first, rows)
        frozen = self._optimum[rows % self._size["train"]]
        if self._early is None:
            return Answers(*self._answerer.answers(*asked), frozen)
        right, loss, confidence = self._early.early_answers(*asked)
        return Answers(right, loss, frozen, confidence)

    @property
    def early_share(self) -> float:
        """See `ConsultedEngine.early_share`."""
        return self.model.early_share if isinstance(self.model, ModelSpec) and self._early else 1.0

    def consult(self, spans: RequestSpans, asked: Bools) -> tuple[Bools, Floats32]:
        """See `ConsultedEngine.consult`: the last head's answers."""
        rows = self._rows_of(spans.env, spans.client, spans.begin, spans.first, spans.concept)[asked]
        first = np.concatenate([[0], np.cumsum(asked)])[spans.first]
        models = np.ascontiguousarray(spans.models, dtype=np.float32)
        return self._answerer.answers(models, spans.origin, first, rows)

    def learn(self, env: Ints, client: Ints, number: Ints, concept: Ints, moments_s: Floats) -> None:
        """See `StreamEngine.learn`: their rows are offered to the clients' memories."""
        rows = self._rows_of(env, client, number, np.arange(env.size + 1), concept)
        self.memories.offer(env, client, rows, moments_s)
        self._hold_memories()

    def labelled(self, env: Ints, client: Ints, number: Ints) -> Ints:
        """See `StreamEngine.labelled`."""
        return self._requests.labelled(env, client, number, self._labelled)

    def forget(self, who: Bools) -> None:
        """See `StreamEngine.forget`."""
        self.memories.forget(who)
        self._hold_memories()

    def memory_age_s(self, time_s: Floats) -> Floats:
        """See `StreamEngine.memory_age_s`."""
        return self.memories.mean_age_s(time_s)

    def evaluate(self, envs: Bools | None = None, part: str = "val") -> tuple[Floats, Floats]:
        """See `RoundEngine.evaluate`; every row of the part stands for a client in turn, in its concept."""
        if self._drift.copies == 1:
            return super().evaluate(envs, part)
        accuracy, loss = np.full(self.num_envs, np.nan), np.full(self.num_envs, np.nan)
        which, first, rows = self._rows_of_part(envs, part)
        if rows.size:
            right, losses = self._answerer.answers(self._params, which, first, rows, part)
            accuracy[which] = right.reshape(which.size, -1).mean(axis=1)
            loss[which] = losses.reshape(which.size, -1).mean(axis=1, dtype=np.float64)
        return accuracy, loss

    def accuracy(self, envs: Bools | None = None, part: str = "val") -> Floats:
        """See `RoundEngine.accuracy`."""
        if self._drift.copies == 1:
            return super().evaluate(envs, part)[0]
        accuracy = np.full(self.num_envs, np.nan)
        which, first, rows = self._rows_of_part(envs, part)
        if rows.size:
            right = self._answerer.right(self._params, which, first, rows, part)
            accuracy[which] = right.reshape(which.size, -1).mean(axis=1)
        return accuracy

    def _rows_of_part(self, envs: Bools | None, part: str) -> tuple[Ints, Ints, Ints32]:
        """Environments `[M]`, and a part's rows in their clients' concepts: m has `first[m]:first[m + 1]`."""
        if part not in ("val", "test"):
            raise ValueError(f"part: {part!r}, expected 'val' or 'test'")
        which = np.arange(self.num_envs) if envs is None else np.flatnonzero(envs)
        size = self._size[part]
        row = np.arange(size)
        rows = self._concept[which][:, row % self.num_clients] * size + row
        return which, np.arange(which.size + 1) * size, rows.ravel().astype(np.int32)

    def pooled_accuracy(self) -> Floats:
        """See `RoundEngine.pooled_accuracy`; of rows that change there is no other set."""
        return self.accuracy()

    def label_mix(self) -> Floats:
        """Label frequencies `[E, N, C]` of what the clients are asked at first."""
        return self._requests.label_mix()

    def hold(self, held: AnyArray) -> None:
        """Nothing can be sent to clients that hold what they were asked: the memories say what they hold."""

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """See `Snapshots.load_state`."""
        super().load_state(state)
        self._hold_memories()

    def _memories(self) -> dict[str, AnyArray]:
        tables = self.memories.tables._asdict().items()
        return super()._memories() | {f"memory.{name}": table for name, table in tables}

    def _hold_memories(self) -> None:
        """Everybody holds what it remembers, all of it its own."""
        count = self.memories.tables.held
        for table in (self._own, self._capacity, self._held):
            table[...] = count

    def _rows_of(self, env: Ints, client: Ints, begin: Ints, first: Ints, concept: Ints) -> Ints32:
        """Rows `[R]` of the requests of spans."""
        copies = self._drift.copies > 1
        stage = np.zeros_like(concept) if copies else concept
        rows = self._requests.asked(env, client, begin, first, stage)
        if copies:
            rows += np.repeat(concept * self._size["train"], np.diff(first)).astype(np.int32)
        return rows

    @functools.cached_property
    def _optimum(self) -> Bools:
        """Bool `[n]`, rows that softmax fitted to all rows of a concept answers rightly.

        Features are rolled and labels renamed alike in all rows of a concept, so that its optimum is right on
        the same rows.
        """
        return _fitted_right(self._base.x_train, self._base.y_train)


def _with_exits(trainer: LocalTrainer, model: Model) -> ExitingTrainer:
    """The trainer, if it answers from an early exit of the model."""
    whole = inner_model(model)
    if not isinstance(whole, ModelSpec) or not whole.exits:
        raise ValueError(
            f"model: {model.name!r}, expected one with an early exit where exits is given; say model: exits"
        )
    if not isinstance(trainer, ExitingTrainer):
        raise ValueError(
            f"trainer: {trainer.name!r} has no method early_answers, expected one that answers from early "
            "exits; use 'auto'"
        )
    return trainer


def _fitted_right(x: Floats32, y: Ints32) -> Bools:
    """Bool `[n]`, rows that multinomial logistic regression fitted to them answers rightly."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if np.unique(y).size < 2:
        return np.ones(y.size, dtype=bool)
    fitted = np.linspace(0, y.size - 1, min(y.size, _MOST_FITTED_ROWS)).astype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=100.0, max_iter=200).fit(x[fitted], y[fitted])
    return np.asarray(model.predict(x) == y)
