"""Validated settings: frozen pydantic models, and complaints of one line that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from typing_extensions import Self

from .spelling import suggest

Spec = str | dict[str, Any]
"""How a document names one of several kinds: "name", or {"kind": "name", **settings}."""


ENDS: Mapping[str, float] = MappingProxyType(
    {
        "_per_s": 1e12,
        "_per_h": 1e6,
        "_utc_s": 1e11,
        "_s": 3.6e8,
        "_h": 1e5,
        "hours": 1e5,
        "_days": 4e3,
        "_bytes": 1e15,
        "": 1e12,
    }
)
"""Ends of the numbers in settings, by how the field's name ends: eleven years, a petabyte, a trillion.

Further on, sums lose their digits, loops over time do not end, and arrays do not fit into any memory."""


class Settings(BaseModel):
    """Base of every settings model: frozen, no unknown keys, numbers that are finite and not absurd."""

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

    @model_validator(mode="after")
    def _within_reason(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and not _is_reasonable(name, number):
                    raise ValueError(f"{name}: {value}, expected at most {_end_of(name):g}")
        return self


def _is_reasonable(name: str, number: float) -> bool:
    """Whether a number is within the end of its field; infinity is where a field allows it, seeds are any."""
    return abs(number) <= _end_of(name) or "seed" in name or number in (float("inf"), float("-inf"))


def _end_of(name: str) -> float:
    return next(end for suffix, end in ENDS.items() if name.endswith(suffix))


def unless_said(model: BaseModel, written: dict[str, Any], *names: str) -> dict[str, Any]:
    """What is written of a model, less some fields that nobody gave.

    For fields that came later: documents without them stay what they were, to the letter.
    """
    unsaid = set(names) - model.model_fields_set
    return {name: value for name, value in written.items() if name not in unsaid}


_PLAIN = ("str", "int", "float", "bool")

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


DocumentT = TypeVar("DocumentT")


def parse_document(kind: type[DocumentT], document: object, where: str) -> DocumentT:
    """A document that a file held, if it has the fields and types of a TypedDict; other fields may be there.

    Args:
        kind: the TypedDict, that of `typing_extensions` (pydantic's demand).
        document: what was read.
        where: the file; opens the message.

    Raises:
        ValueError: one line naming the field that is missing or wrong.
    """
    try:
        TypeAdapter(kind).validate_python(document, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "document"
        raise ValueError(f"{where}: {field}: {_message(first)}") from None
    return cast(DocumentT, document)


def one_line(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first complaint of pydantic about a model as `field: value, expected ...`, in one line."""
    errors = error.errors()
    first = errors[0]
    path, fields = _path(first, kind)
    field = ".".join(path) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; {suggest(path[-1], fields)}"
    if first["type"] == "missing":
        return f"{field}: missing, expected a value for it"
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
        elif isinstance(part, int) or (keys and not _is_branch(part)):
            path.append(str(part))
    known = [name for model in models for name in model.model_fields]
    if _is_branch(last):
        return path, known
    if last != "" and (isinstance(last, int) or keys or last in known or first["type"] == "extra_forbidden"):
        path.append(str(last))
    return path, known


def _is_branch(part: int | str) -> bool:
    """Whether a part of a location is the name of a type, for a branch of a union that took none of it."""
    return isinstance(part, str) and (part in _PLAIN or "[" in part)


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
