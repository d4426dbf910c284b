"""Local training: the interface of the backends and the plain numpy reference.

A backend is handed explicit minibatches (row numbers), so two backends given the same minibatches must
return the same parameters, and none of them draws anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...common.settings import parse_settings, split_spec, suggest
from ..data import Dataset
from ..models import Model, ModelSpec
from .jobs import LocalTrainer
from .reference import NumpyTrainer


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
    from .fused_trainer import FusedTrainer

    return FusedTrainer(dataset, model)
