"""Reading scenarios of serving: packaged ones, YAML files, mappings, and changes by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from ...common.settings import one_line
from ..scenario import plain, read_document, scenario_names
from .document import ServingScenario

PACKAGED = "frugalfl.envs.serving.packaged"

ServingSource: TypeAlias = str | Path | Mapping[str, object] | ServingScenario
"""A packaged scenario's name, the path of a YAML file, a mapping of the same form, or a `ServingScenario`."""


def serving_names() -> list[str]:
    """Names of the scenarios of serving that come with the package."""
    return scenario_names(PACKAGED)


def load_serving(source: ServingSource, **changes: object) -> ServingScenario:
    """Read a scenario of serving and apply changes to it; as `load_scenario` does with those of training.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    try:
        return ServingScenario.model_validate(plain(read_document(source, changes, PACKAGED)))
    except ValidationError as error:
        raise ValueError(one_line(error, ServingScenario)) from None
