"""Trainers by name: the backends of local training.

A backend is handed explicit minibatches (row numbers), so two backends given the same minibatches must
return the same parameters, and none of them draws anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...common.compiled import uses_numba
from ...common.registry import Registry
from ...common.settings import Spec, split_spec
from ..data import Dataset
from ..models import CoxModel, FineTuned, Model, ModelSpec, ModuleSource, TransformerSpec, inner_model
from .cox_trainer import CoxTrainer
from .factor_trainer import AnsweringFactors, FactorTrainer
from .jobs import LocalTrainer
from .reference import NumpyTrainer, ReferenceTrainer
from .settings import TorchSettings
from .transformer import TransformerReference, make_fused, too_large

TRAINERS: Registry[LocalTrainer] = Registry("trainer", LocalTrainer)
"""Trainers by name; each is made from `dataset=` and `model=`, and from its settings."""


_OF_FACTORS = ("auto", "fused", "numpy", "torch")
"""Trainers that know low-rank factors."""


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
    if isinstance(model, FineTuned):
        if model.view is None:
            return make_trainer(spec, dataset, model.inner)
        _check_factors(spec, model)
    return TRAINERS.make(spec, dataset=dataset, model=model)


def _check_factors(spec: Spec | LocalTrainer, model: FineTuned) -> None:
    """Refuse a trainer that would take factors for parameters."""
    name = split_spec(spec, "trainer")[0] if isinstance(spec, str | Mapping) else spec.name
    if name not in _OF_FACTORS or not isinstance(spec, str | Mapping) or isinstance(model.inner, CoxModel):
        raise ValueError(
            f"trainer: {name!r} for model {model.name!r}, expected one that trains low-rank factors, of "
            f"{', '.join(_OF_FACTORS)}; or use trainable: all"
        )


@TRAINERS.register("auto")
def _auto(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, CoxModel):
        return CoxTrainer(dataset, model)
    inner = inner_model(model)
    tiny = isinstance(inner, TransformerSpec) and too_large(inner) is None
    return make_trainer("fused" if tiny or isinstance(inner, ModelSpec) else "torch", dataset, model)


@TRAINERS.register("fused")
def _fused(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, FineTuned):
        return _on_factors(make_trainer("fused", dataset, model.inner), model)
    if isinstance(model, TransformerSpec):
        return make_fused(dataset, model)
    dense = _dense("fused", model)
    if not uses_numba():
        return NumpyTrainer(dataset, dense)
    from .dense import FusedTrainer

    return FusedTrainer(dataset, dense)


@TRAINERS.register("numpy")
def _numpy(dataset: Dataset, model: Model) -> LocalTrainer:
    if isinstance(model, FineTuned):
        return _on_factors(make_trainer("numpy", dataset, model.inner), model)
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

    chosen, module = TorchSettings.model_validate(settings), cast("ModuleSource | FineTuned", model)
    return (TorchWorkers if chosen.workers > 1 else TorchTrainer)(dataset, module, chosen)


def _on_factors(inner: LocalTrainer, model: FineTuned) -> LocalTrainer:
    """The trainer of a whole model, brought down to its factors."""
    if isinstance(inner, NumpyTrainer):
        return AnsweringFactors(inner, model)
    return FactorTrainer(cast(ReferenceTrainer, inner), model)


def _dense(trainer: str, model: Model) -> ModelSpec:
    """The model, if it is a stack of Linear and ReLU."""
    if not isinstance(model, ModelSpec):
        raise ValueError(
            f"trainer: {trainer!r}, expected one that can train model {model.name!r}; use 'torch'"
        )
    return model
