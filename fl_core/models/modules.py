"""Every kind of model as a PyTorch module, whose parameters one after another are its flat vector."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

from .dense import ModelSpec
from .torch_modules import TorchModel
from .transformer import TransformerSpec

if TYPE_CHECKING:
    from torch import nn

ModuleSource: TypeAlias = ModelSpec | TorchModel | TransformerSpec
"""Models that can be modules."""


def build_module(model: ModuleSource, batched: bool = False) -> nn.Module:
    """A model as a module, with some initial parameters.

    Args:
        model: any kind of model.
        batched: whether `torch.func.vmap` will run many of them at once.

    Raises:
        ValueError: a module of somebody's own that does not fit, see `TorchModel.build`.
    """
    if isinstance(model, TransformerSpec):
        from .transformer_module import transformer_module

        return transformer_module(model, 0, batched)
    if isinstance(model, ModelSpec):
        widths = {"widths": model.widths}
        model = TorchModel(_dense, model.widths[:1], model.widths[-1], model.name, widths)
    return model.build(0)


def _dense(input_shape: tuple[int, ...], num_classes: int, widths: tuple[int, ...] = ()) -> nn.Module:
    """`ModelSpec` as a module."""
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
