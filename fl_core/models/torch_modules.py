"""Any `torch.nn.Module` as a model of the core: convolutional nets, and modules by dotted name.

PyTorch is imported when a model is built, not when this module is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...common.arrays import Floats32

if TYPE_CHECKING:
    from torch import Tensor, nn

ModuleFactory = Callable[..., Any]
"""``factory(input_shape, num_classes, **settings) -> nn.Module`` that maps a batch to logits."""


@dataclass(frozen=True)
class TorchModel:
    """A model given by a factory of modules; the counterpart of `ModelSpec` for the torch backend.

    Attributes:
        factory: Builds the module.
        input_shape: Shape of one row, e.g. ``(1, 28, 28)``.
        num_classes: Number of labels.
        name: For logs.
        settings: Further keyword arguments of the factory.
    """

    factory: ModuleFactory
    input_shape: tuple[int, ...]
    num_classes: int
    name: str = "torch"
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self, seed: int) -> nn.Module:
        """A freshly initialised module; the global generator of PyTorch is left as it was.

        Raises:
            ValueError: If the module has buffers (batch normalisation), which are no parameters to average.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module: nn.Module = self.factory(self.input_shape, self.num_classes, **self.settings)
        if any(True for _ in module.buffers()):
            raise ValueError(f"model {self.name!r}: has buffers, as of BatchNorm; use GroupNorm or LayerNorm")
        return module

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum(p.numel() for p in self.build(0).parameters())

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> Floats32:
        """Initial parameters ``float32 [P]`` by the module's own initialisation."""
        import torch

        module = self.build(seed & 0x7FFFFFFFFFFFFFFF)
        with torch.no_grad():
            flat = torch.nn.utils.parameters_to_vector(module.parameters())
        return np.array(flat.numpy(), dtype=np.float32)


def cnn(input_shape: tuple[int, ...], num_classes: int, channels: int = 8, kernel: int = 5) -> nn.Module:
    """A small convolutional net: two convolutions with max-pooling, then one linear layer.

    Args:
        input_shape: ``(channels, height, width)``, e.g. 28x28 grey or 32x32 colour.
        num_classes: Number of labels.
        channels: Channels of the first convolution; the second has twice as many.
        kernel: Width of the convolutions.

    Returns:
        The module.

    Raises:
        ValueError: If the rows are no images, or too small for two convolutions.
    """
    from torch import nn

    if len(input_shape) != 3:
        raise ValueError(f"model 'cnn': rows of shape {input_shape}; expected (channels, height, width)")
    sides = [((side - kernel + 1) // 2 - kernel + 1) // 2 for side in input_shape[1:]]
    if min(sides) < 1:
        raise ValueError(f"model 'cnn': images of {input_shape[1:]} are too small for kernel={kernel}")
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


def dotted_factory(name: str) -> ModuleFactory:
    """Imports ``"package.module:factory"``.

    Raises:
        ValueError: If the module or the attribute cannot be found, or is not callable.
    """
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"model={name!r}: {error}; expected 'package.module:factory'") from None
    if not callable(factory):
        raise ValueError(f"model={name!r}: is not callable; expected a function that returns an nn.Module")
    result: ModuleFactory = factory
    return result


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
