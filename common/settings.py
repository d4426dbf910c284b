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
    errors = error.errors()
    first, path = errors[0], _path_of(errors[0], kind)
    field = ".".join(path) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; {suggest(path[-1], _fields_at(kind, first['loc'][:-1]))}"
    if first["type"] == "value_error":  # our own validators say themselves what they saw
        message = _message(first)
        return f"{field}: {message}" if path and not message.startswith(f"{path[-1]}: ") else message
    # A field that takes one of several types complains once for each.
    said = dict.fromkeys(_expected(_message(each)) for each in errors if _path_of(each, kind) == path)
    shown = repr(first["input"]).replace("\n", " ")
    shown = shown if len(shown) <= 200 else f"{shown[:197]}..."
    return f"{field}: {shown}, expected {' or '.join(said)}"


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
    """Pydantic's "input should be X, for such a reason" in our words."""
    return message.removeprefix("input should be ").partition(", unable to parse")[0]


def _path_of(error: ErrorDetails, kind: type[BaseModel]) -> list[str]:
    """Where an error stands, as the user wrote it: branches of unions that pydantic names are left out."""
    models, path = [kind], list[str]()
    for part in error["loc"]:
        known = [model for model in models if part in model.model_fields]
        if known:
            models = [inner for model in known for inner in _models_of(model, str(part))]
        if (
            known
            or isinstance(part, int)
            or (part == error["loc"][-1] and error["type"] == "extra_forbidden")
        ):
            path.append(str(part))
    return path


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
