"""The torch backend: local SGD for any module without buffers.

Two ways of going through the clients. ``loop`` trains one client after another on as many threads as allowed,
images in channels-last order: on a processor batching convolutions over clients buys nothing. ``vmap`` trains
all clients in one batch, for accelerators. With ``loop`` a client's result does not depend on the others, bit
for bit; with ``vmap`` it does in the last digits, because libraries choose algorithms by batch size.
"""

from __future__ import annotations

import copy
import itertools
import threading
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .data import Dataset
from .models import ModelSpec
from .settings import Settings, TrainingSettings
from .threads import run_ranges
from .torch_models import TorchModel, split_parameters
from .trainer import FloatArray, LocalJobs, LocalUpdates

if TYPE_CHECKING:
    from torch import Tensor, nn

_EVALUATION_BATCH = 512


class TorchSettings(Settings):
    """Settings of the torch backend.

    Attributes:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
        mode: ``"loop"``, ``"vmap"``, or ``"auto"``: a loop on the processor, vmap elsewhere.
        clients_at_once: Most clients in one vmap batch, to bound memory.
    """

    device: str = "cpu"
    mode: Literal["auto", "loop", "vmap"] = "auto"
    clients_at_once: int = 512


def _dense(input_shape: tuple[int, ...], num_classes: int, widths: tuple[int, ...] = ()) -> Any:
    """`ModelSpec` as a module."""
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class TorchTrainer:
    """See the module.

    Args:
        dataset: The rows.
        model: A `TorchModel`, or a dense `ModelSpec`.
        settings: Device and mode.
    """

    name = "torch"

    def __init__(
        self, dataset: Dataset, model: ModelSpec | TorchModel, settings: TorchSettings | None = None
    ) -> None:
        import torch

        settings = settings or TorchSettings()
        if isinstance(model, ModelSpec):
            widths = {"widths": model.widths}
            model = TorchModel(_dense, (dataset.num_features,), dataset.num_classes, model.name, widths)
        self._device = torch.device(settings.device)
        vmap = settings.mode == "vmap" or (settings.mode == "auto" and self._device.type != "cpu")
        self.name = f"torch-{'vmap' if vmap else 'loop'}"
        self._train = self._vmapped if vmap else self._looped
        self._at_once = settings.clients_at_once
        self._blank = model.build(0).to(self._device)
        self._local = threading.local()
        self._views = split_parameters(self._blank)
        self._image = len(model.input_shape) == 3
        self._shape = model.input_shape
        self._parts = {}
        for part in ("train", "val", "test"):
            x = torch.from_numpy(getattr(dataset, f"x_{part}")).to(self._device)
            y = torch.from_numpy(getattr(dataset, f"y_{part}")).long().to(self._device)
            self._parts[part] = (self._layout(x), y)

    def _layout(self, x: Tensor) -> Tensor:
        """Rows as the module wants them; images in channels-last order."""
        import torch

        x = x.reshape(-1, *self._shape)
        return x.contiguous(memory_format=torch.channels_last) if self._image else x

    @property
    def _module(self) -> nn.Module:
        """This thread's own module: a functional call swaps parameters in place while it runs."""
        if not hasattr(self._local, "module"):
            self._local.module = copy.deepcopy(self._blank)
        module: nn.Module = self._local.module
        return module

    def _loss(self, flat: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of one client's minibatch."""
        import torch

        logits = torch.func.functional_call(self._module, self._views(flat), (x,))
        return torch.nn.functional.cross_entropy(logits, y)

    def run(self, jobs: LocalJobs, settings: TrainingSettings) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, size = jobs.origin.size, jobs.start.shape[1]
        delta, loss = np.empty((count, size), dtype=np.float32), np.empty(count, dtype=np.float32)
        if count:
            self._train(jobs, settings, delta, loss)
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm)

    def _minibatch(self, rows: NDArray[np.int32]) -> tuple[Tensor, Tensor]:
        import torch

        x, y = self._parts["train"]
        index = torch.from_numpy(rows.astype(np.int64)).to(self._device)
        return x[index], y[index]

    def _looped(
        self, jobs: LocalJobs, settings: TrainingSettings, delta: FloatArray, loss: FloatArray
    ) -> None:
        """One client after another, split over threads with one BLAS thread each."""
        import torch

        def train(begin: int, end: int) -> None:
            torch.set_num_threads(1)
            for j in range(begin, end):
                start = torch.from_numpy(jobs.start[jobs.origin[j]].copy()).to(self._device)
                extra = None if jobs.correction is None else torch.from_numpy(jobs.correction[j]).to(start)
                w, total = start.clone(), 0.0
                for s in range(jobs.first[j], jobs.first[j + 1]):
                    w.requires_grad_(True)
                    value = self._loss(w, *self._minibatch(jobs.rows[s]))
                    (gradient,) = torch.autograd.grad(value, w)
                    w = _descend(w.detach(), gradient, start, extra, settings)
                    total += float(value.detach())
                delta[j] = (w - start).detach().cpu().numpy()
                loss[j] = total / max(1, int(jobs.first[j + 1] - jobs.first[j]))

        threads = torch.get_num_threads()
        try:
            run_ranges(train, jobs.first, 1)
        finally:
            torch.set_num_threads(threads)

    def _vmapped(
        self, jobs: LocalJobs, settings: TrainingSettings, delta: FloatArray, loss: FloatArray
    ) -> None:
        """All clients together, those with the same number of steps left side by side."""
        import torch

        step = torch.func.vmap(torch.func.grad_and_value(self._loss), randomness="different")
        steps = np.diff(jobs.first)
        order = np.argsort(-steps, kind="stable")
        for chunk in np.split(order, range(self._at_once, order.size, self._at_once)):
            start = torch.from_numpy(jobs.start[jobs.origin[chunk]]).to(self._device)
            extra = None if jobs.correction is None else torch.from_numpy(jobs.correction[chunk]).to(start)
            w, total = start.clone(), torch.zeros(chunk.size, device=self._device)
            for s in range(int(steps[chunk[0]])):
                busy = int((steps[chunk] > s).sum())  # sorted by steps: the first ones
                x, y = self._minibatch(jobs.rows[jobs.first[chunk[:busy]] + s])
                gradient, value = step(w[:busy], x, y)
                more = None if extra is None else extra[:busy]
                w[:busy] = _descend(w[:busy], gradient, start[:busy], more, settings)
                total[:busy] += value
            delta[chunk] = (w - start).cpu().numpy()
            loss[chunk] = total.cpu().numpy() / np.maximum(1, steps[chunk])

    def _scores(self, flat: FloatArray, part: str, rows: NDArray[Any]) -> tuple[float, int]:
        """Summed loss and number of correct rows."""
        import torch

        x, y = self._parts[part]
        loss, correct = 0.0, 0
        with torch.no_grad():
            named = self._views(torch.from_numpy(flat.copy()).to(self._device))
            for at in range(0, rows.size, _EVALUATION_BATCH):
                index = torch.from_numpy(rows[at : at + _EVALUATION_BATCH].astype(np.int64)).to(self._device)
                logits = torch.func.functional_call(self._module, named, (x[index],))
                loss += float(torch.nn.functional.cross_entropy(logits, y[index], reduction="sum"))
                correct += int((logits.argmax(dim=1) == y[index]).sum())
        return loss, correct

    def losses(
        self, params: FloatArray, origin: NDArray[np.int64], first: NDArray[np.int64], rows: NDArray[np.int32]
    ) -> FloatArray:
        """See `LocalTrainer.losses`."""
        mean = np.empty(origin.size, dtype=np.float32)
        for j in range(origin.size):
            own = rows[first[j] : first[j + 1]]
            mean[j] = self._scores(params[origin[j]], "train", own)[0] / max(1, own.size)
        return mean

    def evaluate(self, params: FloatArray, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `LocalTrainer.evaluate`."""
        rows = np.arange(len(self._parts[part][1]))
        scores = np.array([self._scores(each, part, rows) for each in params]) / rows.size
        return scores[:, 1].copy(), scores[:, 0].copy()


def _descend(
    w: Tensor, gradient: Tensor, start: Tensor, extra: Tensor | None, settings: TrainingSettings
) -> Tensor:
    """One SGD step with the proximal term, weight decay and control variates."""
    if settings.weight_decay > 0:
        gradient = gradient + settings.weight_decay * w
    if settings.prox_mu > 0:
        gradient = gradient + settings.prox_mu * (w - start)
    if extra is not None:
        gradient = gradient + extra
    return w - settings.learning_rate * gradient
