"""Models as flat parameter vectors."""

from __future__ import annotations

from .base import MODELS, Model, ModelSource, TensorPlace
from .cox import Cox, CoxModel
from .dense import Exit, Exits, Mlp, ModelSpec, Softmax
from .fine_tuned import (
    TRAINABLES,
    FineTuned,
    Lora,
    Trainable,
    View,
    frozen_share,
    inner_model,
    travelling_share,
)
from .make import ModelField, check_model, make_model
from .modules import ModuleSource, build_module
from .reader import Reader
from .torch_modules import Cnn, ModuleFactory, TorchModel, split_parameters
from .transformer import RMS_EPSILON, WIDENING, Block, Transformer, TransformerSpec, token_rows

__all__ = [
    "MODELS",
    "RMS_EPSILON",
    "TRAINABLES",
    "WIDENING",
    "Block",
    "Cnn",
    "Cox",
    "CoxModel",
    "Exit",
    "Exits",
    "FineTuned",
    "Lora",
    "Mlp",
    "Model",
    "ModelField",
    "ModelSource",
    "ModelSpec",
    "ModuleFactory",
    "ModuleSource",
    "Reader",
    "Softmax",
    "TensorPlace",
    "TorchModel",
    "Trainable",
    "Transformer",
    "TransformerSpec",
    "View",
    "build_module",
    "check_model",
    "frozen_share",
    "inner_model",
    "make_model",
    "split_parameters",
    "token_rows",
    "travelling_share",
]
