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
    if isinstance(model, ModelSpec) and model.exits:
        return _exits(model)
    if isinstance(model, ModelSpec):
        widths = {"widths": model.widths}
        model = TorchModel(_dense, model.widths[:1], model.widths[-1], model.name, widths)
    return model.build(0)


def _exits(model: ModelSpec) -> nn.Module:
    """`ModelSpec` with early exits as a module of the logits `[B, H, C]` of all heads, the last one last."""
    import torch
    from torch import nn

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shapes, depth = model.shapes, len(model.widths) - 1
            self.stack = nn.ModuleList(nn.Linear(a, b) for a, b in shapes[:depth])
            self.early = nn.ModuleList(nn.Linear(a, b) for a, b in shapes[depth:])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inputs = [x.flatten(1)]
            for layer in self.stack[:-1]:
                inputs.append(torch.relu(layer(inputs[-1])))
            exits = zip(self.early, model.exits, strict=True)
            heads = [head(inputs[each.after]) for head, each in exits]
            return torch.stack([*heads, self.stack[-1](inputs[-1])], dim=1)

    return Heads()


def _dense(input_shape: tuple[int, ...], num_classes: int, widths: tuple[int, ...] = ()) -> nn.Module:
    """`ModelSpec` as a module."""
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
