"""Worlds of either class, of training or of serving: from a name, a file or a mapping to the worlds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from ..common.spelling import suggest
from ..common.splits import Split
from .mixture import MixtureWorld, make_world
from .scenario import Scenario, load_scenario, read_yaml, scenario_names
from .serving import ServingScenario, ServingWorld, load_serving, serving_names
from .world import FederatedWorld

AnyScenario: TypeAlias = Scenario | ServingScenario
"""The document of a world, whatever its class."""
AnySource: TypeAlias = str | Path | Mapping[str, object] | AnyScenario
"""A packaged scenario's name, the path of a YAML file, a mapping of the same form, or a scenario."""


def is_serving(source: AnySource) -> bool:
    """Whether a source names a world of serving: by its name, its `kind`, or what it starts from."""
    if isinstance(source, Scenario | ServingScenario):
        return isinstance(source, ServingScenario)
    if isinstance(source, Mapping):
        return _says_serving(source, None)
    if not str(source).endswith((".yaml", ".yml")):
        return str(source) in serving_names()
    return _says_serving(read_yaml(Path(source)), Path(source).resolve().parent)


def load_any(source: AnySource, **changes: object) -> AnyScenario:
    """Read a scenario of either class and apply changes to it, see `load_scenario` and `load_serving`.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if is_serving(source):
        return load_serving(source, **changes)  # type: ignore[arg-type]
    names = [*scenario_names(), *serving_names()]
    if isinstance(source, str) and not source.endswith((".yaml", ".yml")) and source not in names:
        raise ValueError(
            f"scenario: {source!r} is neither a known scenario nor a .yaml file; {suggest(source, names)}"
        )
    return load_scenario(source, **changes)  # type: ignore[arg-type]


def make_any_world(
    scenario: AnyScenario, num_envs: int, split: Split
) -> FederatedWorld | MixtureWorld | ServingWorld:
    """So many worlds of a scenario of either class."""
    if isinstance(scenario, ServingScenario):
        return ServingWorld(scenario, num_envs, split)
    return make_world(scenario, num_envs, split)


def _says_serving(document: Mapping[str, object], beside: Path | None, depth: int = 0) -> bool:
    base = document.get("base")
    if document.get("kind") == "serving" or not isinstance(base, str) or depth > 8:
        return document.get("kind") == "serving"
    if not base.endswith((".yaml", ".yml")):
        return base in serving_names()
    path = Path(base)
    if beside is not None and (beside / base).exists():
        path = beside / base
    return _says_serving(read_yaml(path), path.resolve().parent, depth + 1)
