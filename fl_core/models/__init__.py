"""Models as flat parameter vectors."""

from __future__ import annotations

from .dense import Model, ModelSpec
from .make import make_model
from .torch_modules import TorchModel, split_parameters

__all__ = ["Model", "ModelSpec", "TorchModel", "make_model", "split_parameters"]
