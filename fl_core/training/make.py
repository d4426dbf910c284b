"""Trainers by name: the backends of local training.

A backend is handed explicit minibatches (row numbers), so two backends given the same minibatches must
return the same parameters, and none of them draws anything itself.
"""

from __future__ import annotations

from typing import cast

from ...common.compiled import uses_numba
from ...common.registry import Registry
from ...common.settings import Spec
from ..data import Dataset
from ..models import CoxModel, Model, ModelSpec, TorchModel, TransformerSpec
from .cox_trainer import CoxTrainer
from .jobs import LocalTrainer
from .reference import NumpyTrainer
from .settings import TorchSettings
from .transformer import TransformerReference, make_fused, too_large

TRAINERS: Registry[LocalTrainer] = Registry("trainer", LocalTrainer)
"""Trainers by name; each is made from `dataset=` and `model=`, and from its settings."""


def make_trainer(spec: Spec | LocalTrainer, dataset: Dataset, model: Model) -> LocalTrainer:
    """Make a backend.

    Args:
        spec: `"auto"` (fused for dense models and tiny transformers, cox for Cox's, torch for the others),
            `"fused"`, `"numpy"`, `"torch"`, `"cox"`, a mapping with settings, or a trainer.
        dataset: the rows.
        model: the model.

    Returns:
        The backend; its `name` says which one serves.

    Raises:
        ValueError: an unknown name or bad settings, or a backend that cannot train this model.
    """
    return TRAINERS.make(spec, dataset=dataset, model=model)


@TRAINERS.register("auto")
def _auto(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, CoxModel):
        return CoxTrainer(dataset, model)
    tiny = isinstance(model, TransformerSpec) and too_large(model) is None
    return make_trainer("fused" if tiny or isinstance(model, ModelSpec) else "torch", dataset, model)


@TRAINERS.register("fused")
def _fused(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, TransformerSpec):
        return make_fused(dataset, model)
    dense = _dense("fused", model)
    if not uses_numba():
        return NumpyTrainer(dataset, dense)
    from .fused_trainer import FusedTrainer

    return FusedTrainer(dataset, dense)


@TRAINERS.register("numpy")
def _numpy(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, TransformerSpec):
        return TransformerReference(dataset, model)
    return NumpyTrainer(dataset, _dense("numpy", model))


@TRAINERS.register("cox")
def _cox(dataset: Dataset, model: Model) -> LocalTrainer:
    if not isinstance(model, CoxModel):
        raise ValueError(f"trainer: 'cox', expected one that can train model {model.name!r}; use 'auto'")
    return CoxTrainer(dataset, model)


@TRAINERS.register("torch", TorchSettings)
def _torch(dataset: Dataset, model: Model, **settings: object) -> LocalTrainer:
    if isinstance(model, CoxModel):
        raise ValueError("trainer: 'torch', expected one that can train model 'cox'; use 'auto'")
    from .pytorch import TorchTrainer, TorchWorkers

    chosen, module = (
        TorchSettings.model_validate(settings),
        cast("ModelSpec | TorchModel | TransformerSpec", model),
    )
    return (TorchWorkers if chosen.workers > 1 else TorchTrainer)(dataset, module, chosen)


def _dense(trainer: str, model: Model) -> ModelSpec:
    """The model, if it is a stack of Linear and ReLU."""
    if not isinstance(model, ModelSpec):
        raise ValueError(
            f"trainer: {trainer!r}, expected one that can train model {model.name!r}; use 'torch'"
        )
    return model
