"""The torch backend: local SGD for any module without buffers.

Two ways of going through the clients. `loop` trains one client after another on as many threads as allowed,
images in channels-last order: on a processor batching convolutions over clients buys nothing. `vmap` trains
all clients in one batch, for accelerators. With `loop` a client's result does not depend on the others, bit
for bit; with `vmap` it does in the last digits, because libraries choose algorithms by batch size.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ...data import Dataset
from ...models import (
    FineTuned,
    ModelSpec,
    ModuleSource,
    TorchModel,
    TransformerSpec,
    build_module,
    inner_model,
    split_parameters,
    token_rows,
)
from ...numerics import run_ranges
from ..jobs import LocalJobs, LocalUpdates, rows_by_label
from ..scoring import ScoreJobs
from ..settings import LocalTraining, TorchSettings
from .steps import Done, expanding, train_together

if TYPE_CHECKING:
    from torch import Tensor, nn

_EVALUATION_BATCH = 512
_MODELS_AT_ONCE = 32
_BOUND = ("_step", "_local", "_views")
"""Attributes that cannot be pickled: functions bound to the object, and what its threads own."""


class TorchTrainer:
    """See the module.

    Args:
        dataset: the rows.
        model: a `TorchModel`, a dense `ModelSpec` or a `TransformerSpec`; or factors of one.
        settings: device and mode.
    """

    name = "torch"

    def __init__(
        self, dataset: Dataset, model: ModuleSource | FineTuned, settings: TorchSettings | None = None
    ) -> None:
        import torch

        settings = settings or TorchSettings()
        self._device = torch.device(settings.device)
        vmap = settings.mode == "vmap" or (settings.mode == "auto" and self._device.type != "cpu")
        if settings.compile and not vmap:
            raise ValueError("trainer 'torch': compile: True, expected False in a loop; use mode='vmap'")
        if settings.workers > 1 and (vmap or self._device.type != "cpu"):
            raise ValueError(
                f"trainer 'torch': workers: {settings.workers}, expected 1: only a loop on the processor is "
                "shared out"
            )
        self.name = f"torch-{'vmap' if vmap else 'loop'}{'-compiled' if settings.compile else ''}"
        self._batched = vmap
        self._at_once = settings.clients_at_once
        self._compiled = settings.compile
        module = cast("ModuleSource", inner_model(model))
        self._factors = model if isinstance(model, FineTuned) else None
        self._blank = build_module(module, vmap).to(self._device)
        exits = module.exits if isinstance(module, ModelSpec) else ()
        self._shares = tuple(each.share for each in exits)  # of early heads, in the loss
        self._make_functions()
        self._num_classes = dataset.num_classes
        self._labels = {part: dataset.rows(part)[1] for part in ("train", "val", "test")}
        self._parts = {part: self._tensors(dataset, module, part) for part in self._labels}

    def _make_functions(self) -> None:
        """What is bound to this very object and to its threads."""
        import torch

        self._step = torch.func.vmap(torch.func.grad_and_value(self._loss), randomness="different")
        if self._compiled:
            self._step = torch.compile(self._step)
        self._local = threading.local()
        split = split_parameters(self._blank)
        self._views = split if self._factors is None else expanding(self._factors, split, self._device)

    def __deepcopy__(self, memo: dict[int, object]) -> TorchTrainer:
        """The trainer itself: nothing in it changes, so a copied world may go on with it."""
        return self

    def __getstate__(self) -> dict[str, object]:
        """Data and module; whoever unpickles makes functions and threads of its own."""
        return {name: value for name, value in vars(self).items() if name not in _BOUND}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._make_functions()

    def _tensors(self, dataset: Dataset, model: ModuleSource, part: str) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a part's rows as the module wants them; images in channels-last order."""
        import torch

        if isinstance(model, TransformerSpec):
            tokens = torch.from_numpy(token_rows(dataset, part)).to(self._device).long()
            return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        x, y = (torch.from_numpy(rows).to(self._device) for rows in dataset.rows(part))
        x = x.reshape(-1, *(model.input_shape if isinstance(model, TorchModel) else x.shape[1:]))
        return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x, y.long()

    @property
    def _module(self) -> nn.Module:
        """This thread's own module: a functional call swaps parameters in place while it runs."""
        if not hasattr(self._local, "module"):
            self._local.module = copy.deepcopy(self._blank)
        module: nn.Module = self._local.module
        return module

    def _output(self, flat: Tensor, x: Tensor) -> Tensor:
        """The module on some rows: logits, of all heads where there are early ones."""
        import torch

        output: Tensor = torch.func.functional_call(self._module, self._views(flat), (x,))
        return output

    def _logits(self, flat: Tensor, x: Tensor) -> Tensor:
        """Logits of the last head on some rows."""
        output = self._output(flat, x)
        return output[:, -1] if self._shares else output

    def _loss(self, flat: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of one client's minibatch, of all heads by their shares."""
        from torch.nn.functional import cross_entropy

        output = self._output(flat, x)
        if not self._shares:
            return cross_entropy(output.flatten(0, -2), y.flatten())
        loss = (1.0 - sum(self._shares)) * cross_entropy(output[:, -1], y)
        for head, share in enumerate(self._shares):
            loss = loss + share * cross_entropy(output[:, head], y)
        return loss

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, size = jobs.origin.size, jobs.start.shape[1]
        delta, loss = np.empty((count, size), dtype=np.float32), np.empty(count, dtype=np.float32)
        done = Done(delta, loss, jobs.new_moments(settings))
        if count:
            (self._vmapped if self._batched else self._looped)(jobs, settings, done)
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm, done.moments)

    def _rows(self, jobs: LocalJobs) -> Tensor:
        """All minibatches of a round, moved to the device at once: a step itself copies nothing."""
        import torch

        return torch.from_numpy(jobs.rows).to(self._device).long()

    def _looped(self, jobs: LocalJobs, settings: LocalTraining, done: Done) -> None:
        """One client after another, split over threads with one BLAS thread each."""
        import torch

        rows, (x, y) = self._rows(jobs), self._parts["train"]

        def step(w: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            flat = w[0].detach().requires_grad_(True)
            value = self._loss(flat, x[index[0]], y[index[0]])
            (gradient,) = torch.autograd.grad(value, flat)
            return gradient[None], value.detach()[None]

        def train(begin: int, end: int) -> None:
            torch.set_num_threads(1)
            for j in range(begin, end):
                train_together(jobs, np.array([j]), settings, rows, step, done)

        threads = torch.get_num_threads()
        try:
            run_ranges(train, jobs.first, 1)
        finally:
            torch.set_num_threads(threads)

    def _vmapped(self, jobs: LocalJobs, settings: LocalTraining, done: Done) -> None:
        """All clients together, those with the same number of steps left side by side."""
        rows, (x, y) = self._rows(jobs), self._parts["train"]

        def step(w: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            gradient, value = self._step(w, x[index], y[index])
            return gradient, value

        order = np.argsort(-np.diff(jobs.first), kind="stable")
        for chunk in np.split(order, range(self._at_once, order.size, self._at_once)):
            train_together(jobs, chunk, settings, rows, step, done)

    def _scores(self, flat: Floats32, part: str, rows: AnyArray | None) -> Tensor:
        """Summed loss and right rows of each model, `[M, 2]` on the device; a row of tokens counts its share.

        Args:
            flat: `[M, P]`; M = 1 when looping, so that nothing can depend on the other models.
            part: which rows.
            rows: their numbers; None = all.
        """
        import torch

        x, y = self._parts[part]
        index = None if rows is None else torch.from_numpy(rows.astype(np.int64)).to(self._device)
        params = torch.from_numpy(flat.copy()).to(self._device)
        total = torch.zeros(len(flat), 2, dtype=torch.float64, device=self._device)
        many = torch.func.vmap(self._logits, in_dims=(0, None))
        with torch.no_grad():
            for at in range(0, len(y) if index is None else len(index), _EVALUATION_BATCH):
                here = slice(at, at + _EVALUATION_BATCH)
                pick = here if index is None else index[here]
                logits = many(params, x[pick]) if self._batched else self._logits(params[0], x[pick])[None]
                labels = y[pick].expand(len(flat), *y[pick].shape)
                loss = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")
                right = (logits.argmax(dim=-1) == labels).double()
                total[:, 0] += loss.flatten(2).mean(dim=2).sum(dim=1) if loss.dim() > 2 else loss.sum(dim=1)
                total[:, 1] += right.flatten(2).mean(dim=2).sum(dim=1) if loss.dim() > 2 else right.sum(dim=1)
        return total

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        mean = np.empty(origin.size, dtype=np.float32)
        for j in range(origin.size):
            own = rows[first[j] : first[j + 1]]
            summed = self._scores(params[origin[j]][None], "train", own)[0, 0]
            mean[j] = float(summed) / max(1, own.size)
        return mean

    def answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32]:
        """See `AnsweringTrainer.answers`; one model after another."""
        right, loss, _ = self._answered(self._logits, ScoreJobs(params, origin, first, rows), part)
        return right, loss

    def right(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train") -> Bools:
        """See `AnsweringTrainer.right`."""
        return self.answers(params, origin, first, rows, part)[0]

    def early_answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32, Floats32]:
        """See `ExitingTrainer.early_answers`."""
        jobs = ScoreJobs(params, origin, first, rows)
        return self._answered(lambda flat, x: self._output(flat, x)[:, 0], jobs, part)

    def _answered(
        self, logits_of: Callable[[Tensor, Tensor], Tensor], jobs: ScoreJobs, part: str
    ) -> tuple[Bools, Floats32, Floats32]:
        """Right or not, loss and confidence `[R]` of a head's answers."""
        import torch

        (x, y), size, first = self._parts[part], jobs.rows.size, jobs.first
        right, loss = np.empty(size, dtype=np.bool_), np.empty(size, dtype=np.float32)
        confidence = np.empty(size, dtype=np.float32)
        for j, k in enumerate(jobs.origin.tolist()):
            flat = torch.from_numpy(jobs.params[k].copy()).to(self._device)
            for at in range(first[j], first[j + 1], _EVALUATION_BATCH):
                here = slice(at, min(at + _EVALUATION_BATCH, first[j + 1]))
                index = torch.from_numpy(jobs.rows[here].astype(np.int64)).to(self._device)
                with torch.no_grad():
                    logits = logits_of(flat, x[index])
                    each = torch.nn.functional.cross_entropy(logits, y[index], reduction="none")
                    highest = logits.softmax(dim=1).amax(dim=1)
                right[here] = (logits.argmax(dim=-1) == y[index]).cpu().numpy()
                loss[here], confidence[here] = each.cpu().numpy(), highest.cpu().numpy()
        return right, loss, confidence

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        size = _MODELS_AT_ONCE if self._batched else 1
        scores = [
            self._scores(params[at : at + size], part, None).cpu().numpy()
            for at in range(0, len(params), size)
        ]
        each = np.concatenate(scores) / len(self._parts[part][1])
        return each[:, 1].copy(), each[:, 0].copy()

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        order, marks = rows_by_label(self._labels[part], self._num_classes)
        size = _MODELS_AT_ONCE if self._batched else 1
        accuracy = np.full((len(params), self._num_classes), np.nan)
        for label in np.flatnonzero(np.diff(marks)).tolist():
            rows = order[marks[label] : marks[label + 1]]
            for at in range(0, len(params), size):
                scores = self._scores(params[at : at + size], part, rows).cpu().numpy()
                accuracy[at : at + size, label] = scores[:, 1] / rows.size
        return accuracy
