"""Settings of trace models: validated mappings, one-line errors, and the embedded calibration."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ..common.arrays import Seeds


class Settings(BaseModel):
    """Base of all settings: unknown names are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse_settings(kind: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Validate a mapping.

    Args:
        kind: the settings model.
        values: names and values.
        where: what is being set up; opens the message.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    try:
        return kind(**{str(name): value for name, value in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            expected = f"unknown field; {suggest(field, kind.model_fields)}"
        else:
            expected = first["msg"].removeprefix("Value error, ").replace("\n", " ")
        shown = repr(first["input"]).replace("\n", " ")[:200]
        raise ValueError(f"{where}: {field}={shown}: {expected}") from None


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the closest known one, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def scrambled(bits: Seeds) -> Seeds:
    """Bits mixed so that any change of the input changes half of them (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = bits + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=1)
def calibration() -> dict[str, Any]:
    """Numbers measured from public traces, with their sources; read only."""
    text = resources.files(__package__).joinpath("calibration.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
