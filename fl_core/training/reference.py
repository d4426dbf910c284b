"""Local training in plain NumPy: the reference that the fast trainers are tested against."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ..data import Dataset
from ..models import FineTuned, ModelSpec
from .jobs import LocalJobs, LocalUpdates, Moments, softmax_loss
from .settings import CLIP_EPSILON, AdamW, LocalTraining


class StepByStep(ABC):
    """Local steps one client after another, nothing clever; a model says the gradient.

    Args:
        num_parameters: P of the model.
    """

    def __init__(self, num_parameters: int) -> None:
        self._num_parameters = num_parameters

    @abstractmethod
    def batch_gradient(self, params: Floats32, rows: Ints32) -> tuple[float, AnyArray]:
        """Mean loss of some training rows, and its gradient `[P]`."""

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, rates = jobs.origin.size, jobs.rates(settings).astype(np.float32)
        delta = np.empty((count, self._num_parameters), dtype=np.float32)
        loss = np.empty(count, dtype=np.float32)
        moments = jobs.new_moments(settings)
        for j in range(count):
            start = jobs.start[jobs.origin[j]]
            minibatches = jobs.rows[jobs.first[j] : jobs.first[j + 1]]
            extra = None if jobs.correction is None else jobs.correction[j]
            own = None if moments is None else moments.select(slice(j, j + 1))
            end, loss[j] = self._train(start, minibatches, settings, rates[j], extra, own)
            delta[j] = end - start
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm, moments)

    def _train(
        self,
        start: Floats32,
        minibatches: Ints32,
        settings: LocalTraining,
        rate: np.float32,
        extra: Floats32 | None,
        moments: Moments | None,
    ) -> tuple[Floats32, float]:
        """Run one client's local steps; its moments are changed."""
        params, adamw = start.copy(), settings.adamw
        total = 0.0
        for rows in minibatches:
            loss, gradient = self.batch_gradient(params, rows)
            gradient += settings.weight_decay * params + settings.prox_mu * (params - start)
            if extra is not None:
                gradient += extra
            if moments is None or adamw is None:
                params -= rate * gradient
            else:
                moments.steps[0] += 1
                step = int(moments.steps[0])
                adamw_step(params, gradient, moments.first[0], moments.second[0], step, float(rate), adamw)
            total += loss
        return params, total / max(1, len(minibatches))


class ReferenceTrainer(StepByStep):
    """Rows with labels, each with a score of its own; a model says gradient and scores.

    Args:
        dataset: the rows.
        num_parameters: P of the model.
    """

    name = "numpy"

    def __init__(self, dataset: Dataset, num_parameters: int) -> None:
        super().__init__(num_parameters)
        self._dataset = dataset

    @abstractmethod
    def gradient(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[float, AnyArray]:
        """Mean loss and its gradient on explicit rows, in the parameters' precision."""

    @abstractmethod
    def row_scores(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Loss of each row, and the share of it that is right: 0 or 1 where a row has one label."""

    def run_factors(self, jobs: LocalJobs, settings: LocalTraining, model: FineTuned) -> LocalUpdates | None:
        """Train what is fine-tuned of this trainer's model, faster than step by step; None: it cannot."""
        return None

    def batch_gradient(self, params: Floats32, rows: Ints32) -> tuple[float, AnyArray]:
        """See `StepByStep.batch_gradient`."""
        return self.gradient(params, self._dataset.x_train[rows], self._dataset.y_train[rows])

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        mean = np.empty(origin.size, dtype=np.float32)
        for j in range(origin.size):
            own = rows[first[j] : first[j + 1]]
            x, y = self._dataset.x_train[own], self._dataset.y_train[own]
            mean[j] = self.row_scores(params[origin[j]], x, y)[0].mean()
        return mean

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        x, y = self._dataset.rows(part)
        accuracy, loss = np.empty(len(params)), np.empty(len(params))
        for e, row in enumerate(params):
            each, right = self.row_scores(row, x, y)
            accuracy[e] = np.mean(right)
            loss[e] = each.mean(dtype=np.float64)
        return accuracy, loss

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        x, y = self._dataset.rows(part)
        accuracy = np.full((len(params), self._dataset.num_classes), np.nan)
        for e, row in enumerate(params):
            right = self.row_scores(row, x, y)[1]
            for label in np.unique(y).tolist():
                accuracy[e, label] = right[y == label].mean()
        return accuracy


class NumpyTrainer(ReferenceTrainer):
    """The reference for stacks of Linear and ReLU.

    Args:
        dataset: the rows.
        model: a dense model.
    """

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        super().__init__(dataset, model.num_parameters)
        self._model = model

    def gradient(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[float, AnyArray]:
        """See `ReferenceTrainer.gradient`."""
        model, gradient = self._model, np.empty_like(params)
        layers, grads = model.layers(params), model.layers(gradient)
        inputs = [x]
        for weight, bias in layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ weight.T + bias, 0))
        loss, back = head_loss(inputs[-1], layers[-1], y)
        loss *= model.last_share
        back *= model.last_share
        early: dict[int, AnyArray] = {}  # gradients that exits send down, by the layer that they read
        for (after, share), head, into in zip(
            model.exits, model.heads(params), model.heads(gradient), strict=True
        ):
            own_loss, own_back = head_loss(inputs[after], head, y)
            loss, own_back = loss + share * own_loss, own_back * params.dtype.type(share)
            into[0][...], into[1][...] = own_back.T @ inputs[after], own_back.sum(axis=0)
            early[after] = own_back @ head[0]
        for layer in range(len(layers) - 1, -1, -1):
            below = inputs[layer]
            grads[layer][0][...] = back.T @ below
            grads[layer][1][...] = back.sum(axis=0)
            back = back @ layers[layer][0]
            if layer in early:
                back += early[layer]
            back *= below > 0
        return float(loss.mean()), gradient

    def answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32]:
        """See `AnsweringTrainer.answers`."""
        right, loss = np.empty(rows.size, dtype=np.bool_), np.empty(rows.size, dtype=np.float32)
        x, y = self._dataset.rows(part)
        for j, k in enumerate(origin.tolist()):
            at = slice(first[j], first[j + 1])
            loss[at], right[at] = self.row_scores(params[k], x[rows[at]], y[rows[at]])
        return right, loss

    def right(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train") -> Bools:
        """See `AnsweringTrainer.right`."""
        return self.answers(params, origin, first, rows, part)[0]

    def early_answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32, Floats32]:
        """See `ExitingTrainer.early_answers`."""
        right, loss = np.empty(rows.size, dtype=np.bool_), np.empty(rows.size, dtype=np.float32)
        confidence = np.empty(rows.size, dtype=np.float32)
        x, y = self._dataset.rows(part)
        for j, k in enumerate(origin.tolist()):
            at = slice(first[j], first[j + 1])
            logits = self._early_logits(params[k], x[rows[at]])
            loss[at], chance = softmax_loss(logits, y[rows[at]])
            right[at], confidence[at] = logits.argmax(axis=1) == y[rows[at]], chance.max(axis=1, initial=0)
        return right, loss, confidence

    def _early_logits(self, params: Floats32, x: Floats32) -> Floats32:
        """Logits of the first exit."""
        weight, bias = self._model.heads(params)[0]
        return np.asarray(self._hidden(params, x, self._model.exits[0].after) @ weight.T + bias)

    def _hidden(self, params: Floats32, x: Floats32, layers: int) -> Floats32:
        """Activations after so many hidden layers."""
        for weight, bias in self._model.layers(params)[:layers]:
            x = np.maximum(x @ weight.T + bias, 0)
        return x

    def embed(self, params: Floats32, x: Floats32) -> tuple[Floats32, Floats32]:
        """Last hidden layer (the inputs themselves for softmax regression) and logits of given rows."""
        layers = self._model.layers(params)
        x = self._hidden(params, x, len(layers) - 1)
        return x, x @ layers[-1][0].T + layers[-1][1]

    def row_scores(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[AnyArray, AnyArray]:
        """See `ReferenceTrainer.row_scores`."""
        logits = self.embed(params, x)[1]
        return softmax_loss(logits, y)[0], logits.argmax(axis=1) == y


def head_loss(inputs: AnyArray, head: tuple[AnyArray, AnyArray], y: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Each row's cross-entropy of a linear head, and the gradient of their mean by the logits."""
    loss, back = softmax_loss(inputs @ head[0].T + head[1], y)
    back[np.arange(y.size), y] -= 1
    back /= y.size
    return loss, back


def adamw_step(
    w: AnyArray, g: AnyArray, m: AnyArray, v: AnyArray, step: int, rate: float, how: AdamW
) -> None:
    """One step of AdamW on a flat vector, in its own precision; changes w, m and v.

    Args:
        w: parameters `[P]`.
        g: their gradient `[P]`.
        m: mean gradient `[P]`.
        v: mean square `[P]`.
        step: number of this step, from 1.
        rate: learning rate.
        how: the other settings.
    """
    if how.clip_norm is not None:
        g = g * w.dtype.type(min(1.0, how.clip_norm / (float(np.linalg.norm(g)) + CLIP_EPSILON)))
    m *= how.beta1
    m += (1 - how.beta1) * g
    v *= how.beta2
    v += (1 - how.beta2) * g * g
    w *= 1 - rate * how.weight_decay
    root = np.sqrt(v) / np.sqrt(1 - how.beta2**step)
    w -= (rate / (1 - how.beta1**step)) * m / (root + how.epsilon)
