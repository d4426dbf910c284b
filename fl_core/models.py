"""Models as flat parameter vectors.

A dense model is a stack of Linear layers with ReLU between them. Its parameters are one float32 vector:
for every layer in order the weight matrix ``[out, in]`` row-major, then the bias ``[out]``. That is the
order of ``torch.nn.utils.parameters_to_vector`` over the same ``nn.Sequential``, so weights can be handed
to and from PyTorch without a permutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .data import Dataset
from .settings import Settings, parse_settings, split_spec, suggest
from .torch_models import TorchModel, cnn, dotted_factory


@dataclass(frozen=True)
class ModelSpec:
    """A stack of Linear layers with ReLU between them; softmax cross-entropy on top.

    Attributes:
        widths: ``(inputs, hidden..., classes)``; ``(d, C)`` is softmax regression.
        name: How it was asked for, for logs.
    """

    widths: tuple[int, ...]
    name: str = "dense"

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths}: expected at least two positive layer widths")

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum((a + 1) * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> NDArray[np.float32]:
        """Initial parameters: zeros for softmax regression (convex), He-normal weights otherwise.

        Args:
            seed: Seed of the draw.

        Returns:
            ``float32 [P]``.
        """
        flat = np.zeros(self.num_parameters, dtype=np.float32)
        if len(self.widths) == 2:
            return flat
        rng = np.random.default_rng(seed)
        for weight, _ in self.layers(flat):
            weight[...] = rng.normal(0.0, np.sqrt(2.0 / weight.shape[1]), weight.shape)
        return flat

    def layers(self, flat: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Views of each layer's ``(weight [out, in], bias [out])`` in a flat vector."""
        views = []
        at = 0
        for a, b in zip(self.widths[:-1], self.widths[1:], strict=True):
            views.append((flat[at : at + a * b].reshape(b, a), flat[at + a * b : at + a * b + b]))
            at += (a + 1) * b
        return views


class Model(Protocol):
    """What the core needs to know of a model."""

    @property
    def name(self) -> str:
        """For logs."""

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes."""

    def init(self, seed: int) -> NDArray[np.float32]:
        """Initial parameters ``float32 [P]``."""


class _Softmax(Settings):
    pass


class _Mlp(Settings):
    hidden: tuple[int, ...] = Field(default=(64,), min_length=1)


class _Cnn(Settings):
    channels: int = Field(default=8, ge=1)
    kernel: int = Field(default=5, ge=1)


_KINDS: dict[str, type[Settings]] = {"softmax": _Softmax, "mlp": _Mlp, "cnn": _Cnn}


def make_model(spec: str | Mapping[str, Any], dataset: Dataset) -> ModelSpec | TorchModel:
    """Builds the model for a data set.

    Args:
        spec: ``"softmax"``, ``"mlp"``, ``"cnn"``, the dotted name of a factory of modules
            (``"package.module:factory"``, see `torch_models`), or a mapping with settings, e.g.
            ``{"kind": "mlp", "hidden": [128, 64]}``.
        dataset: Gives the number of inputs and classes.

    Returns:
        The model.

    Raises:
        ValueError: Unknown name (with a suggestion) or bad settings.
    """
    name, rest = split_spec(spec, "model")
    shape = dataset.shape or (dataset.num_features,)
    if ":" in name:
        return TorchModel(dotted_factory(name), shape, dataset.num_classes, name, rest)
    if name not in _KINDS:
        raise ValueError(f"model={name!r}: {suggest(name, _KINDS)}")
    settings = parse_settings(_KINDS[name], rest, f"model {name!r}")
    if isinstance(settings, _Cnn):
        return TorchModel(cnn, shape, dataset.num_classes, name, settings.model_dump())
    hidden = settings.hidden if isinstance(settings, _Mlp) else ()
    return ModelSpec((dataset.num_features, *hidden, dataset.num_classes), name)
