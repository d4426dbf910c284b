"""Doors that load what they name only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_door(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names stand in modules that are loaded on demand.

    Args:
        package: `__name__` of the door.
        names: public name, and the module it stands in, relative to the package (".envs.scenario").
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name], package), name)
        vars(importlib.import_module(package))[name] = value  # the next look-up does not come here
        return value

    def list_names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *names})

    return get, list_names
