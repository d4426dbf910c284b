"""Ranges: settings that are a number, or a (low, high) from which every episode draws its own."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, TypeAlias, Union, get_args, get_origin

import numpy as np
from pydantic import model_validator
from typing_extensions import Self

from .settings import Settings

Drawable: TypeAlias = float | tuple[float, float]
"""A number, or a range."""


class Drawn(Settings):
    """Settings some of whose fields are a number, or a range from which every episode draws its own."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, tuple) and _may_be_range(field.annotation) and value[0] > value[1]:
                raise ValueError(f"{name}: {value}, expected a range from low to high")
        return self


def between(value: Drawable, share: float) -> float:
    """What lies at a share of a range, on a log scale (a linear one if it begins at 0); or the number."""
    low, high = value if isinstance(value, tuple) else (value, value)
    if low == high:
        return low
    return low * (high / low) ** share if low > 0 else high * share


def drawn(value: Drawable, rng: np.random.Generator) -> float:
    """A draw from a range, see `between`; a number costs no random number."""
    return between(value, rng.random()) if isinstance(value, tuple) else value


def largest(value: Drawable) -> float:
    """The most that an episode may have."""
    return max(value) if isinstance(value, tuple) else value


def _may_be_range(annotation: object) -> bool:
    """Whether a field admits a number or a pair: a pair alone is no range."""
    if get_origin(annotation) not in (Union, UnionType):
        return False
    members = [get_args(each)[0] if get_origin(each) is Annotated else each for each in get_args(annotation)]
    pairs = [get_args(each) for each in members if get_origin(each) is tuple]
    return float in members and any(len(pair) == 2 and pair[1] is not Ellipsis for pair in pairs)
