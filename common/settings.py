"""Validated settings: frozen pydantic models, and complaints of one line that say what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

Spec = str | dict[str, Any]
"""How a document names one of several kinds: "name", or {"kind": "name", **settings}."""


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def parse_settings(kind: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Validate a mapping against a settings model.

    Args:
        kind: the settings model.
        values: field names and values.
        where: what is being set up; opens the message.

    Raises:
        ValueError: one line naming the field, its value and what was expected.
    """
    try:
        return kind.model_validate({str(name): value for name, value in values.items()})
    except ValidationError as error:
        raise ValueError(f"{where}: {one_line(error, kind)}") from None


def one_line(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first complaint of pydantic about a model as `field: value, expected ...`, in one line."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not _is_branch(part, kind)]
    field = ".".join(path) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; {suggest(path[-1], _fields_at(kind, first['loc'][:-1]))}"
    message = _message(first)
    if first["type"] == "value_error":  # our own validators say themselves what they saw
        return f"{field}: {message}" if path and not message.startswith(f"{path[-1]}: ") else message
    shown = repr(first["input"]).replace("\n", " ")
    shown = shown if len(shown) <= 200 else f"{shown[:197]}..."
    return f"{field}: {shown}, {_expected(message)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the closest known one, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def split_spec(spec: str | Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """Split "name" or {"kind": ..., **settings} into the kind and its settings.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("kind"), str):
        rest = dict(spec)
        return rest.pop("kind"), rest
    raise ValueError(f"{where}: {spec!r}, expected a name or a mapping with the key 'kind'")


def _message(first: ErrorDetails) -> str:
    message = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    return message[:1].lower() + message[1:]


def _expected(message: str) -> str:
    """Pydantic's "input should be X" in our words."""
    said = message.removeprefix("input should be ")
    return f"expected {said}" if said != message else message


def _is_branch(part: int | str, kind: type[BaseModel]) -> bool:
    """Whether a part of a location names the branch of a union, not something that the user wrote."""
    return isinstance(part, str) and any(mark in part for mark in "[(") and part not in kind.model_fields


def _fields_at(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model that a location leads to."""
    models: list[type[BaseModel]] = [kind]
    for part in location:
        inner = [m for model in models if part in model.model_fields for m in _models_of(model, str(part))]
        models = inner or models
    return [name for model in models for name in model.model_fields]


def _models_of(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    """The settings models that a field's annotation admits."""

    def walk(annotation: object) -> list[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        return [found for part in get_args(annotation) for found in walk(part)]

    return walk(model.model_fields[field].annotation)
