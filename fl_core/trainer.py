"""Local training: the interface of the backends and the plain numpy reference.

A backend is handed explicit minibatches (row numbers), so two backends given the same minibatches must
return the same parameters, and none of them draws anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from .data import Dataset
from .models import Model, ModelSpec
from .settings import TrainingSettings, parse_settings, split_spec, suggest

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LocalJobs:
    """Local training of J clients, each from a given start.

    Attributes:
        start: ``float32 [M, P]`` pool of starting points, e.g. one server model per environment.
        origin: ``int64 [J]``, row of ``start`` each job starts from.
        first: ``int64 [J + 1]``; job j makes the steps ``first[j]:first[j + 1]`` of ``rows``.
        rows: ``int32 [total steps, batch_size]``, training rows of each minibatch.
        correction: ``float32 [J, P]`` added to every gradient (control variates), or None.
    """

    start: FloatArray
    origin: NDArray[np.int64]
    first: NDArray[np.int64]
    rows: NDArray[np.int32]
    correction: FloatArray | None = None


@dataclass(frozen=True)
class LocalUpdates:
    """What came back from J jobs.

    Attributes:
        delta: ``[J, P]`` in the parameters' precision, parameters after the local steps minus the start.
        loss: ``float32 [J]``, mean minibatch loss over the local steps, each taken before its step.
        norm: ``float32 [J]``, length of ``delta``; not finite where the training diverged.
    """

    delta: NDArray[Any]
    loss: FloatArray
    norm: FloatArray


class LocalTrainer(Protocol):
    """A backend for one data set and one model."""

    name: str

    def run(self, jobs: LocalJobs, settings: TrainingSettings) -> LocalUpdates:
        """Trains all jobs; job j's result depends on job j alone."""

    def losses(
        self, params: FloatArray, origin: NDArray[np.int64], first: NDArray[np.int64], rows: NDArray[np.int32]
    ) -> FloatArray:
        """Mean loss of ``params[origin[j]]`` over the training rows ``rows[first[j]:first[j + 1]]``."""

    def evaluate(self, params: FloatArray, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Accuracy and mean loss of each row of ``params`` on the part ``"val"`` or ``"test"``."""

    def class_accuracy(self, params: FloatArray, part: str) -> NDArray[np.float64]:
        """``[M, C]``, accuracy of each row of ``params`` on the rows of each label; nan without rows."""


def softmax_loss(logits: FloatArray, labels: NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
    """Per-row cross-entropy and softmax probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponential = np.exp(shifted)
    total = exponential.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - shifted[np.arange(labels.size), labels]
    return loss, exponential / total


class NumpyTrainer:
    """The reference: one client after another, one step after another, nothing clever."""

    name = "numpy"

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        self._dataset = dataset
        self._model = model

    def run(self, jobs: LocalJobs, settings: TrainingSettings) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count = jobs.origin.size
        delta = np.empty((count, self._model.num_parameters), dtype=np.float32)
        loss = np.empty(count, dtype=np.float32)
        for j in range(count):
            start = jobs.start[jobs.origin[j]]
            minibatches = jobs.rows[jobs.first[j] : jobs.first[j + 1]]
            extra = None if jobs.correction is None else jobs.correction[j]
            end, loss[j] = self._train(start, minibatches, settings, extra)
            delta[j] = end - start
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm)

    def _train(
        self,
        start: FloatArray,
        minibatches: NDArray[np.int32],
        settings: TrainingSettings,
        extra: FloatArray | None,
    ) -> tuple[FloatArray, float]:
        """Runs one client's local steps."""
        params = start.copy()
        total = 0.0
        for rows in minibatches:
            loss, gradient = self.gradient(params, self._dataset.x_train[rows], self._dataset.y_train[rows])
            gradient += settings.weight_decay * params + settings.prox_mu * (params - start)
            if extra is not None:
                gradient += extra
            params -= np.float32(settings.learning_rate) * gradient
            total += loss
        return params, total / max(1, len(minibatches))

    def gradient(self, params: FloatArray, x: FloatArray, y: NDArray[np.int32]) -> tuple[float, FloatArray]:
        """Mean loss and its gradient on explicit rows."""
        gradient = np.empty_like(params)
        layers, grads = self._model.layers(params), self._model.layers(gradient)
        inputs = [x]
        for weight, bias in layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ weight.T + bias, 0))
        loss, back = softmax_loss(inputs[-1] @ layers[-1][0].T + layers[-1][1], y)
        back[np.arange(y.size), y] -= 1
        back /= y.size
        for (weight, _), (grad_weight, grad_bias), below in zip(
            layers[::-1], grads[::-1], inputs[::-1], strict=True
        ):
            grad_weight[...] = back.T @ below
            grad_bias[...] = back.sum(axis=0)
            back = (back @ weight) * (below > 0)
        return float(loss.mean()), gradient

    def embed(self, params: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Last hidden layer (the inputs themselves for softmax regression) and logits of given rows."""
        layers = self._model.layers(params)
        for weight, bias in layers[:-1]:
            x = np.maximum(x @ weight.T + bias, 0)
        return x, x @ layers[-1][0].T + layers[-1][1]

    def _forward(self, params: FloatArray, x: FloatArray) -> FloatArray:
        return self.embed(params, x)[1]

    def losses(
        self, params: FloatArray, origin: NDArray[np.int64], first: NDArray[np.int64], rows: NDArray[np.int32]
    ) -> FloatArray:
        """See `LocalTrainer.losses`."""
        mean = np.empty(origin.size, dtype=np.float32)
        for j in range(origin.size):
            own = rows[first[j] : first[j + 1]]
            logits = self._forward(params[origin[j]], self._dataset.x_train[own])
            mean[j] = softmax_loss(logits, self._dataset.y_train[own])[0].mean()
        return mean

    def evaluate(self, params: FloatArray, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `LocalTrainer.evaluate`."""
        x, y = getattr(self._dataset, f"x_{part}"), getattr(self._dataset, f"y_{part}")
        accuracy, loss = np.empty(len(params)), np.empty(len(params))
        for e, row in enumerate(params):
            logits = self._forward(row, x)
            accuracy[e] = np.mean(logits.argmax(axis=1) == y)
            loss[e] = softmax_loss(logits, y)[0].mean(dtype=np.float64)
        return accuracy, loss

    def class_accuracy(self, params: FloatArray, part: str) -> NDArray[np.float64]:
        """See `LocalTrainer.class_accuracy`."""
        x, y = getattr(self._dataset, f"x_{part}"), getattr(self._dataset, f"y_{part}")
        accuracy = np.full((len(params), self._dataset.num_classes), np.nan)
        for e, row in enumerate(params):
            hit = self._forward(row, x).argmax(axis=1) == y
            for label in np.unique(y).tolist():
                accuracy[e, label] = hit[y == label].mean()
        return accuracy


def rows_by_label(labels: NDArray[Any], classes: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Row numbers sorted by label, and the ``int64 [C + 1]`` bounds of every label's."""
    order = np.argsort(labels, kind="stable").astype(np.int32)
    return order, np.searchsorted(labels[order], np.arange(classes + 1)).astype(np.int64)


def make_trainer(spec: str | Mapping[str, Any], dataset: Dataset, model: Model) -> LocalTrainer:
    """Builds a backend.

    Args:
        spec: ``"auto"`` (fused for dense models, torch for the others), ``"fused"``, ``"numpy"``,
            ``"torch"``, or a mapping with the settings of the torch backend.
        dataset: The rows.
        model: The model.

    Returns:
        The backend; its ``name`` says which one serves.

    Raises:
        ValueError: Unknown name or bad settings, or a backend that cannot train this model.
    """
    name, rest = split_spec(spec, "trainer")
    dense = isinstance(model, ModelSpec)
    if name == "auto":
        name = "fused" if dense else "torch"
    if name == "torch":
        from .torch_trainer import TorchSettings, TorchTrainer

        settings = parse_settings(TorchSettings, rest, "trainer 'torch'")
        if settings.workers > 1:
            from .torch_workers import TorchWorkers

            return TorchWorkers(dataset, cast(Any, model), settings)
        return TorchTrainer(dataset, cast(Any, model), settings)
    if name not in ("fused", "numpy"):
        raise ValueError(f"trainer={name!r}: {suggest(name, ('auto', 'fused', 'numpy', 'torch'))}")
    if not isinstance(model, ModelSpec):
        raise ValueError(f"trainer={name!r}: cannot train model {model.name!r}; use 'torch'")
    if name == "numpy":
        return NumpyTrainer(dataset, model)
    from .fused import FusedTrainer

    return FusedTrainer(dataset, model)
