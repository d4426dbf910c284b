"""From a name or a mapping with settings to a model."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import BeforeValidator

from ...common.registry import load_dotted
from ...common.settings import Spec, split_spec
from ..data import Dataset
from .base import MODELS, Model, ModelSource
from .torch_modules import ModuleFactory, module_model


def make_model(spec: Spec | ModelSource, dataset: Dataset) -> Model:
    """Make the model for a data set.

    Args:
        spec: `"softmax"`, `"mlp"`, `"cnn"`, or a mapping with settings such as
            `{"kind": "mlp", "hidden": [128, 64]}`; a `ModelSource` or its dotted name; or the dotted name
            `package.module:factory` of a `ModuleFactory`, whose settings are its keyword arguments.
        dataset: gives the number of inputs and classes.

    Raises:
        ValueError: an unknown name (with a suggestion) or bad settings.
    """
    if isinstance(spec, ModelSource):
        return spec.build(dataset)
    factory = _module_factory(spec)
    if factory is None:
        return MODELS.make(spec).build(dataset)
    name, settings = split_spec(spec, "model")
    return module_model(factory, dataset, name, settings)


def check_model(spec: Spec) -> Spec:
    """Refuse a specification that `make_model` would refuse whatever the data set; returns it.

    Raises:
        ValueError: an unknown name (with a suggestion) or bad settings.
    """
    if _module_factory(spec) is None:
        MODELS.choose(spec)
    return spec


ModelField = Annotated[Spec, BeforeValidator(check_model)]
"""Type of a settings field that holds a model's specification."""


def _module_factory(spec: Spec) -> ModuleFactory | None:
    """The factory of modules that a dotted name stands for; None if it is no such name."""
    name, _ = split_spec(spec, "model")
    if ":" not in name:
        return None
    found = load_dotted(name, "model")
    if isinstance(found, type) and issubclass(found, ModelSource):
        return None
    if not callable(found):
        raise ValueError(f"model: {name!r}, expected a function that returns an nn.Module")
    return cast(ModuleFactory, found)
