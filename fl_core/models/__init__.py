"""Models as flat parameter vectors."""

from __future__ import annotations

from .base import MODELS, Model, ModelSource
from .cox import Cox, CoxModel
from .dense import Mlp, ModelSpec, Softmax
from .make import ModelField, check_model, make_model
from .torch_modules import Cnn, ModuleFactory, TorchModel, split_parameters

__all__ = [
    "MODELS",
    "Cnn",
    "Cox",
    "CoxModel",
    "Mlp",
    "Model",
    "ModelField",
    "ModelSource",
    "ModelSpec",
    "ModuleFactory",
    "Softmax",
    "TorchModel",
    "check_model",
    "make_model",
    "split_parameters",
]
