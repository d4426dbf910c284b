"""Models as flat parameter vectors.

A dense model is a stack of Linear layers with ReLU between them. Its parameters are one float32 vector:
for every layer in order the weight matrix ``[out, in]`` row-major, then the bias ``[out]``. That is the
order of ``torch.nn.utils.parameters_to_vector`` over the same ``nn.Sequential``, so weights can be handed
to and from PyTorch without a permutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ...common.settings import Settings, parse_settings, split_spec, suggest
from ..data import Dataset
from .dense import ModelSpec
from .torch_modules import TorchModel, cnn, dotted_factory


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
