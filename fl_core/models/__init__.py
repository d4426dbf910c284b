"""Models as flat parameter vectors."""

from __future__ import annotations

from .base import MODELS, Model, ModelSource
from .cox import Cox, CoxModel
from .dense import Exit, Exits, Mlp, ModelSpec, Softmax
from .make import ModelField, check_model, make_model
from .modules import build_module
from .reader import Reader
from .torch_modules import Cnn, ModuleFactory, TorchModel, split_parameters
from .transformer import RMS_EPSILON, WIDENING, Block, Transformer, TransformerSpec, token_rows

__all__ = [
    "MODELS",
    "RMS_EPSILON",
    "WIDENING",
    "Block",
    "Cnn",
    "Cox",
    "CoxModel",
    "Exit",
    "Exits",
    "Mlp",
    "Model",
    "ModelField",
    "ModelSource",
    "ModelSpec",
    "ModuleFactory",
    "Reader",
    "Softmax",
    "TorchModel",
    "Transformer",
    "TransformerSpec",
    "build_module",
    "check_model",
    "make_model",
    "split_parameters",
    "token_rows",
]
