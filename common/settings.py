"""Validated settings: frozen pydantic models, and complaints of one line that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from .spelling import suggest

Spec = str | dict[str, Any]
"""How a document names one of several kinds: "name", or {"kind": "name", **settings}."""


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, numbers finite and no true or false."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` and `on` as true, which would then count as 1."""
        name = str(info.field_name)
        parts = value if isinstance(value, (list, tuple)) else (value,)
        truths = [part for part in parts if isinstance(part, bool)]
        if truths and _wants_number(cls.model_fields[name].annotation):
            raise ValueError(f"{name}: {truths[0]}, expected a number")
        return value


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
    first = errors[0]
    path, fields = _path(first, kind)
    field = ".".join(path) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; {suggest(path[-1], fields)}"
    message = _message(first)
    if first["type"] == "value_error":  # our own validators say themselves what they saw
        named = bool(path) and message.startswith((f"{path[-1]}: ", f"{path[-1]}.", f"{path[-1]} "))
        # A validator of a whole block names the field inside it.
        inside = message.partition(":")[0] in _fields_of(kind, path)
        outer = path[:-1] if named else path
        return f"{'.'.join(outer)}{'.' if named or inside else ': '}{message}" if outer else message
    shown = repr(first["input"]).replace("\n", " ")
    shown = shown if len(shown) <= 200 else f"{shown[:197]}..."
    # A field that takes one of several types complains once for each.
    said = dict.fromkeys(_expected(_message(each)) for each in errors if _path(each, kind)[0] == path)
    return f"{field}: {shown}, expected {' or '.join(said)}"


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


def _path(first: ErrorDetails, kind: type[BaseModel]) -> tuple[list[str], list[str]]:
    """What the user wrote of a complaint's location, and the fields that are known where it ends.

    Pydantic's locations also name the branches of unions, which nobody has written.
    """
    path: list[str] = []
    models, keys = [kind], False
    *outer, last = first["loc"] or ("",)
    for part in outer:
        annotations = _annotations(models, str(part))
        if annotations:
            path.append(str(part))
            models = [found for annotation in annotations for found in _models_in(annotation)]
            keys = any(_holds_mapping(annotation) for annotation in annotations)
        elif isinstance(part, int) or keys:
            path.append(str(part))
    known = [name for model in models for name in model.model_fields]
    if last != "" and (isinstance(last, int) or keys or last in known or first["type"] == "extra_forbidden"):
        path.append(str(last))
    return path, known


def _fields_of(kind: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the block at a path."""
    models = [kind]
    for part in path:
        models = [found for annotation in _annotations(models, part) for found in _models_in(annotation)]
    return [name for model in models for name in model.model_fields]


def _annotations(models: list[type[BaseModel]], field: str) -> list[object]:
    """What each of the models that have a field admits in it."""
    return [model.model_fields[field].annotation for model in models if field in model.model_fields]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """The settings models that an annotation admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def _wants_number(annotation: object) -> bool:
    """Whether an annotation admits numbers, and neither truth values nor anything."""
    if annotation in (bool, Any, object):
        return False
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return not any(isinstance(part, bool) for part in parts)
    open_ends = [part for part in parts if part in (bool, Any, object) or get_origin(part) is dict]
    return annotation in (int, float) or (not open_ends and any(map(_wants_number, parts)))


def _holds_mapping(annotation: object) -> bool:
    """Whether an annotation admits a mapping with keys of the user's own."""
    return get_origin(annotation) is dict or any(_holds_mapping(part) for part in get_args(annotation))
