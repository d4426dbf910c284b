"""Reading scenarios: packaged ones, YAML files, mappings, and changes by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import yaml
from pydantic import BaseModel, ValidationError

from ...common.reading import check_nesting, read_document, reason
from ...common.settings import one_line
from ...common.spelling import suggest
from .document import Scenario

_MOST_BYTES = 1 << 18

ScenarioSource: TypeAlias = str | Path | Mapping[str, object] | Scenario
"""A packaged scenario's name, the path of a YAML file, a mapping of the same form, or a `Scenario`."""


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    folder = resources.files("frugalfl.envs.scenario.packaged")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_scenario(source: ScenarioSource, **changes: object) -> Scenario:
    """Read a scenario and apply changes to it.

    Args:
        source: the name of a packaged scenario ("volunteers"), the path of a YAML file (which may name the
            scenario it starts from in `base:`), a mapping of the same form, or a Scenario.
        **changes: fields of `Scenario` to replace; a mapping changes only the keys it names, unless the field
            is a specification with its own `kind`.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    document = _document(source)
    for name, value in changes.items():
        document[name] = _merge(document.get(name), value)
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ValueError(one_line(error, Scenario)) from None


def _document(source: ScenarioSource) -> dict[str, object]:
    if isinstance(source, Scenario):
        return source.model_dump()
    if isinstance(source, Mapping):
        document = dict(source)
    elif str(source).endswith((".yaml", ".yml")):
        document = _read_yaml(Path(source))
    else:
        return _packaged(str(source))
    base = document.pop("base", None)
    if base is None:
        return document
    start = _packaged(str(base))
    return {**start, **{name: _merge(start.get(name), value) for name, value in document.items()}}


def _packaged(name: str) -> dict[str, object]:
    names = scenario_names()
    if name not in names:
        raise ValueError(
            f"scenario: {name!r} is neither a known scenario nor a .yaml file; {suggest(name, names)}"
        )
    text = (
        resources.files("frugalfl.envs.scenario.packaged")
        .joinpath(f"{name}.yaml")
        .read_text(encoding="utf-8")
    )
    document: dict[str, object] = yaml.safe_load(text)
    return document


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        text = read_document(path, _MOST_BYTES)
        check_nesting(text)
        document = yaml.safe_load(text)
    except OSError as error:
        raise ValueError(
            f"scenario: {path}: {error.strerror or error}; expected a readable YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ValueError(f"scenario: {path}{where}: not a YAML document") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"scenario: {path}: {reason(error)}; expected a YAML file of a scenario") from None
    if not isinstance(document, dict):
        raise ValueError(f"scenario: {path}: expected a mapping of fields, got {type(document).__name__}")
    return document


def _merge(old: object, new: object) -> object:
    """Keys of a mapping change one by one; anything else, and any specification by kind, is replaced."""
    if isinstance(new, BaseModel):
        new = new.model_dump(exclude_unset=True)
    if isinstance(old, Mapping) and isinstance(new, Mapping) and "kind" not in new:
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return dict(new) if isinstance(new, Mapping) else new
