"""Documents in plain types, whatever a program hands in: what YAML and JSON can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

import numpy as np
from pydantic import BaseModel


def plain(value: object) -> object:
    """The same document in plain types: paths as text, numpy numbers as Python's, settings as mappings.

    What is none of these stays as it is, for the validation to complain of.
    """
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_unset=True))
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    return os.fspath(value) if isinstance(value, os.PathLike) else value
