"""Any `torch.nn.Module` as a model of the core: convolutional nets, and modules by dotted name.

PyTorch is imported when a model is built, not when this module is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from pydantic import Field

from ...common.arrays import Floats32
from ..data import Dataset
from .base import MODELS, ModelSource, TensorPlace

if TYPE_CHECKING:
    from torch import Tensor, nn


ModuleFactory: TypeAlias = "Callable[..., nn.Module]"
"""`factory(input_shape, num_classes, **settings)`: a module that maps a batch to logits."""


@dataclass(frozen=True)
class TorchModel:
    """A model given by a factory of modules; the counterpart of `ModelSpec` for the torch backend."""

    factory: ModuleFactory
    input_shape: tuple[int, ...]  # of one row, e.g. (1, 28, 28)
    num_classes: int
    name: str = "torch"  # for logs
    settings: Mapping[str, object] = field(default_factory=dict)  # further keyword arguments of the factory

    def build(self, seed: int) -> nn.Module:
        """A freshly initialised module; the global generator of PyTorch is left as it was.

        Raises:
            ValueError: if the module has buffers (batch normalisation), which are no parameters to average.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self._made()
        if any(True for _ in module.buffers()):
            raise ValueError(f"model {self.name!r}: has buffers, as of BatchNorm; use GroupNorm or LayerNorm")
        self._try(module)
        return module

    def _try(self, module: nn.Module) -> None:
        """Refuse a module that does not map two blank rows to their logits."""
        import torch

        expected = (2, self.num_classes)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                found = tuple(module(torch.zeros((2, *self.input_shape))).shape)
            except (RuntimeError, TypeError, AttributeError, IndexError) as error:
                raise ValueError(
                    f"model: {self.name!r} does not take rows of shape {self.input_shape} ({error})"
                ) from error
        if found != expected:
            raise ValueError(f"model: {self.name!r} makes {found} of two rows, expected {expected}")

    def _made(self) -> nn.Module:
        """What the factory makes; it may be anybody's code, or no factory at all."""
        from torch import nn

        expected = (
            "expected a function of (input_shape, num_classes, **settings) that makes an nn.Module; "
            f"it is given {self.input_shape}, {self.num_classes}"
            + "".join(f", {name}={value!r}" for name, value in self.settings.items())
        )
        try:
            made: object = self.factory(self.input_shape, self.num_classes, **self.settings)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"model: {self.name!r}: {error}; {expected}") from error
        if not isinstance(made, nn.Module):
            raise ValueError(f"model: {self.name!r} made a {type(made).__name__}, {expected}")
        return made

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum(p.numel() for p in self.build(0).parameters())

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def places(self) -> tuple[TensorPlace, ...]:
        """Its tensors by the module's own names; kernels of convolutions are matrices `[out, the rest]`."""
        found, at = [], 0
        for name, parameter in self.build(0).named_parameters():
            shape = tuple(parameter.shape)
            found.append(TensorPlace(name, at, shape, len(shape) > 1))
            at += parameter.numel()
        return tuple(found)

    def init(self, seed: int) -> Floats32:
        """Initial parameters `[P]` by the module's own initialisation."""
        import torch

        module = self.build(seed & 0x7FFFFFFFFFFFFFFF)
        with torch.no_grad():
            flat = torch.nn.utils.parameters_to_vector(module.parameters())
        return np.array(flat.numpy(), dtype=np.float32)


@MODELS.register("cnn")
class Cnn(ModelSource):
    """A small convolutional net: two convolutions with max-pooling, then one linear layer.

    Attributes:
        channels: channels of the first convolution; the second has twice as many.
        kernel: width of the convolutions.
    """

    channels: int = Field(default=8, ge=1)
    kernel: int = Field(default=5, ge=1)

    def build(self, dataset: Dataset) -> TorchModel:
        """See `ModelSource.build`."""
        return module_model(cnn, dataset, "cnn", self.model_dump())


def module_model(
    factory: ModuleFactory, dataset: Dataset, name: str, settings: Mapping[str, object]
) -> TorchModel:
    """The model of a factory of modules for a data set's rows."""
    shape = dataset.shape or (dataset.num_features,)
    return TorchModel(factory, shape, dataset.num_classes, name, settings)


def cnn(input_shape: tuple[int, ...], num_classes: int, channels: int = 8, kernel: int = 5) -> nn.Module:
    """A small convolutional net: two convolutions with max-pooling, then one linear layer.

    Args:
        input_shape: `(channels, height, width)`, e.g. 28x28 grey or 32x32 colour.
        num_classes: number of labels.
        channels: channels of the first convolution; the second has twice as many.
        kernel: width of the convolutions.

    Returns:
        The module.

    Raises:
        ValueError: if the rows are no images, or too small for two convolutions.
    """
    from torch import nn

    if len(input_shape) != 3:
        raise ValueError(f"model 'cnn': rows of shape {input_shape}, expected (channels, height, width)")
    sides = [((side - kernel + 1) // 2 - kernel + 1) // 2 for side in input_shape[1:]]
    if min(sides) < 1:
        raise ValueError(
            f"model 'cnn': kernel: {kernel}, expected less: images of {input_shape[1:]} are too small"
        )
    return nn.Sequential(
        nn.Conv2d(input_shape[0], channels, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * sides[0] * sides[1], num_classes),
    )


def split_parameters(module: nn.Module) -> Callable[[Tensor], dict[str, Tensor]]:
    """A function from the flat vector to the module's named parameters, as views."""
    shapes = [(name, p.shape, p.numel()) for name, p in module.named_parameters()]

    def views(flat: Tensor) -> dict[str, Tensor]:
        named, at = {}, 0
        for name, shape, size in shapes:
            named[name] = flat[at : at + size].view(shape)
            at += size
        return named

    return views
