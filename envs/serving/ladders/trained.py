"""Ladders of really trained models, and what each of them answers to every row it may be asked.

A model is trained here, or was by a federation (`federated.py`).

Models do not change while they serve, hence every answer is computed once, in a forward pass of all rows,
and looked up afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ....common.arrays import Bools, Floats, Floats32, Ints, Ints32
from ....common.settings import Spec
from ....common.splits import SPLITS, Split
from ....fl_core.data import Dataset, load_dataset
from ....fl_core.models import ModelSpec, Reader
from ....fl_core.remote import kept_checksum
from ....fl_core.training import LocalJobs, LocalTraining, make_trainer
from .federated import federated_reader
from .settings import FederatedRung, Models, Rung

_SEED = 20_260_117
_BATCH = 64
_HELD_BACK = 4
"""One in so many training rows is not trained on: the rows that episodes of `train` ask about."""


@dataclass(frozen=True)
class Answers:
    """What the models of a ladder answer to R rows."""

    label: Ints  # [R] of the data set, by which zones draw their rows
    right: Bools  # [I, M, R]
    confidence: Floats32  # [I, M, R] the largest probability
    choice: Ints  # [I, M, R] the class answered

    @property
    def accuracy(self) -> Floats:
        """`[I, M]`, share of right answers."""
        share: Floats = self.right.mean(axis=2)
        return share


@dataclass(frozen=True)
class Ladder:
    """The trained models of all tasks, by what they answer."""

    known: Answers  # to the coordinator's validation rows
    asked: dict[Split, Answers]  # to the rows that episodes of each split ask about
    parameters: tuple[tuple[Floats32, ...], ...]  # [I][M] of the trained models
    readers: tuple[tuple[Reader, ...], ...]  # [I][M] how they answer
    rows: dict[Split, Floats32]  # [R, d] that episodes of each split ask about
    truth: dict[Split, Ints]  # [I, R] the right answers to them

    @property
    def bytes_of_rungs(self) -> Floats:
        """`[M]`, of the models' parameters, in the mean over the tasks."""
        nbytes = [[parameters.nbytes for parameters in row] for row in self.parameters]
        mean: Floats = np.array(nbytes, dtype=np.float64).mean(axis=0)
        return mean


def trained_ladder(models: Models) -> Ladder:
    """The ladder of a scenario; trained once per process and document, seeds fixed.

    Models of a federation are read anew where their folder has changed. They have seen all of the training
    rows, those that episodes of `train` ask about included, though without this noise.

    Three parts of the data that share no row: models are trained on three quarters of the training rows, the
    coordinator knows them by half of the validation rows, and episodes ask about the rest: of the training
    rows (`train`), the other half of the validation rows (`val`), the test rows (`test`).
    """
    folders = [rung.folder for rung in models.rungs if isinstance(rung, FederatedRung)]
    kept = tuple(kept_checksum(Path(folder).expanduser()) for folder in folders)
    return _trained(models.model_dump_json(), kept)


@lru_cache(maxsize=8)
def _trained(document: str, kept: tuple[str, ...]) -> Ladder:
    """The same of a document and the checksums of its folders, which tell whether they are still the same."""
    models = Models.model_validate(json.loads(document))
    spec: Spec = models.dataset
    data = load_dataset(spec, split="train")
    rng = np.random.default_rng(_SEED)
    held = rng.permutation(data.y_train.size) % _HELD_BACK == 0
    half = rng.permutation(data.y_val.size) % 2 == 0
    if held.all() or not held.any() or half.all() or not half.any():
        raise ValueError(f"models: dataset: {data.name!r} has too few rows, expected some for every part")
    parts = {
        "fit": (data.x_train[~held], data.y_train[~held]),
        "known": (data.x_val[half], data.y_val[half]),
        "train": (data.x_train[held], data.y_train[held]),
        "val": (data.x_val[~half], data.y_val[~half]),
        "test": (data.x_test, data.y_test),
    }
    noisy = {name: _noisy(x, y, models, rng) for name, (x, y) in parts.items()}
    questions = [_question(name, yes, data.num_classes) for name, yes in models.questions.items()]
    trained: list[tuple[Floats32, ...]] = []
    readers: list[tuple[Reader, ...]] = []
    given: dict[str, list[list[Floats32]]] = {name: [] for name in noisy}
    for number, (question, yes) in enumerate(zip(questions, models.questions.values(), strict=True)):
        found = [
            federated_reader(rung, models, data, tuple(yes))
            if isinstance(rung, FederatedRung)
            else _fitted(rung, models, data, noisy["fit"], question, number)
            for rung in models.rungs
        ]
        for name, (x, _) in noisy.items():
            given[name].append([reader.probabilities(parameters, x) for reader, parameters in found])
        readers.append(tuple(reader for reader, _ in found))
        trained.append(tuple(parameters for _, parameters in found))
    answers = {name: _answers(given[name], noisy[name][1], questions) for name in noisy}
    return Ladder(
        answers["known"],
        {part: answers[part] for part in SPLITS},
        tuple(trained),
        tuple(readers),
        {part: noisy[part][0] for part in SPLITS},
        {part: np.array([question[noisy[part][1]] for question in questions]) for part in SPLITS},
    )


def _question(name: str, yes: Sequence[int], classes: int) -> Ints:
    """`[C]`, the answer to a question for every label of the data set."""
    if not yes:
        return np.arange(classes)
    if min(yes) < 0 or max(yes) >= classes or len(set(yes)) == classes:
        raise ValueError(
            f"models: questions: {name}: {tuple(yes)}, expected labels below {classes}, and not all of them"
        )
    return np.isin(np.arange(classes), yes).astype(np.int64)


def _noisy(x: Floats32, y: Ints32, models: Models, rng: np.random.Generator) -> tuple[Floats32, Ints]:
    """Copies of rows with noise of their own, and their labels."""
    copies = np.repeat(x, models.copies, axis=0)
    noise = models.noise * rng.standard_normal(copies.shape)
    return (copies + noise).astype(np.float32), np.repeat(y, models.copies).astype(np.int64)


def _fitted(
    rung: Rung, models: Models, data: Dataset, rows: tuple[Floats32, Ints], question: Ints, number: int
) -> tuple[Reader, Floats32]:
    """A rung of the question of a number, trained on rows with their labels."""
    reader = _reader(rung, data.shape or (data.num_features,), int(question.max()) + 1)
    x, y = rows
    return reader, _fit(reader.seen(x), question[y], reader.spec, models, number)


def _reader(rung: Rung, shape: tuple[int, ...], classes: int) -> Reader:
    """How a rung sees rows of a shape, and answers with one of so many classes."""
    features = int(np.prod(shape))
    if rung.pool is not None:
        features = shape[0] * rung.pool**2
    try:
        return Reader(tuple(shape), (features, *rung.hidden, classes), rung.pool)
    except ValueError as error:
        raise ValueError(f"models: rungs: {error}") from None


def _fit(x: Floats32, y: Ints, model: ModelSpec, models: Models, seed: int) -> Floats32:
    """`[P]`, parameters after AdamW on minibatches drawn with replacement."""
    labels = y.astype(np.int32)
    classes = model.widths[-1]
    data = Dataset("ladder", x, labels, x[:1], labels[:1], x[:1], labels[:1], classes)
    rng = np.random.default_rng([_SEED, seed, model.num_parameters])
    rows = rng.integers(len(x), size=(models.steps, _BATCH)).astype(np.int32)
    start = model.init(_SEED + seed)[None]
    jobs = LocalJobs(start, np.zeros(1, dtype=np.int64), np.array([0, models.steps]), rows)
    training = LocalTraining(
        learning_rate=models.rate, batch_size=_BATCH, optimiser={"kind": "adamw", "weight_decay": 0.01}
    )
    moved = make_trainer("auto", data, model).run(jobs, training)
    if not np.isfinite(moved.norm).all():
        raise ValueError(f"models: rate: {models.rate:g}, expected a smaller one: training diverged")
    return np.asarray(start[0] + moved.delta[0], dtype=np.float32)


def _answers(given: list[list[Floats32]], labels: Ints, questions: list[Ints]) -> Answers:
    choice = np.array([[p.argmax(axis=1) for p in row] for row in given], dtype=np.int64)
    confidence = np.array([[p.max(axis=1) for p in row] for row in given], dtype=np.float32)
    truth = np.array([question[labels] for question in questions])
    return Answers(labels, choice == truth[:, None], confidence, choice)
