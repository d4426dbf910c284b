"""Reading scenarios: packaged ones, YAML files, mappings, and changes by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ValidationError

from ...common.settings import one_line
from ...common.spelling import suggest
from ...fl_core.data import DATASETS
from .document import Scenario
from .plain_document import plain
from .yaml_document import read_yaml

ScenarioSource: TypeAlias = str | Path | Mapping[str, object] | Scenario
"""A packaged scenario's name, the path of a YAML file, a mapping of the same form, or a `Scenario`."""

_SHARED = ("zones", "levels", "forecasting", "max_rounds", "evaluation", "mixture")
"""Fields that all kinds of a mixture have in common."""


SILOS = "silos"
"""`clients` for as many as rows of the data set were born at."""


PACKAGED = "frugalfl.envs.scenario.packaged"
"""Where the scenarios of worlds of training are."""


def scenario_names(packaged: str = PACKAGED) -> list[str]:
    """Names of the scenarios that come with the package; of another class of worlds, from its own folder."""
    folder = resources.files(packaged)
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_scenario(source: ScenarioSource, **changes: object) -> Scenario:
    """Read a scenario and apply changes to it.

    Args:
        source: the name of a packaged scenario ("volunteers"), the path of a YAML file, a mapping of the same
            form, or a Scenario. A document may start from another in `base:`. Files that a YAML file names
            are found beside it, else in the working folder.
        **changes: fields of `Scenario` to replace; a mapping changes only the keys it names, unless the field
            is a specification with its own `kind`. Paths and numpy numbers are as good as text and Python's.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    document = read_document(source, changes)
    if document.get("clients") == SILOS:
        document["clients"] = _count_silos(document.get("dataset"))
    try:
        scenario = Scenario.model_validate(plain(document))
    except ValidationError as error:
        raise ValueError(one_line(error, Scenario)) from None
    kinds_of(scenario)
    return scenario


def read_document(
    source: str | Path | Mapping[str, object] | BaseModel,
    changes: Mapping[str, object],
    packaged: str = PACKAGED,
) -> dict[str, object]:
    """The fields of a scenario of any class of worlds, not validated; see `load_scenario`.

    Args:
        source: see there.
        changes: see there.
        packaged: package with the YAML files that have a name.
    """
    document = _document(source, packaged)
    for name, value in changes.items():
        document[name] = _merge(document.get(name), value)
    return document


def kinds_of(scenario: Scenario) -> tuple[Scenario, ...]:
    """The kinds of world that the episodes of a mixture are drawn from; the scenario itself if it is none.

    What decides the shapes of observations and actions is the same in all kinds; a kind may have fewer
    clients than the mixture, whose last rows then stand for nobody (`Terms.federation_size`).

    Raises:
        ValueError: one line that names the kind and what is wrong with it.
    """
    if not scenario.mixture:
        return (scenario,)
    common = scenario.model_dump() | {"mixture": ()}
    kinds = []
    for number, changes in enumerate(scenario.mixture):
        own = {name: value for name, value in changes.items() if name != "share"}
        shared = [name for name in _SHARED if name in own]
        if shared:
            raise ValueError(
                f"mixture: {number}: {shared[0]} is set, expected it beside the mixture: all kinds share it"
            )
        try:
            kind = load_scenario(common, **{"name": f"{scenario.name}-{number}", **own})
        except ValueError as error:
            raise ValueError(f"mixture: {number}: {error}") from None
        _check_same_view(kind, scenario, number)
        if kind.clients > scenario.clients:
            raise ValueError(
                f"mixture: {number}: clients: {kind.clients}, expected at most the {scenario.clients} of all"
            )
        kinds.append(kind)
    shares_of(scenario)
    return tuple(kinds)


def _check_same_view(kind: Scenario, scenario: Scenario, number: int) -> None:
    """Refuse a kind that serves where the others do not, or otherwise; ValueError of one line."""
    for name in ("arrivals", "exits"):
        mine, common = (getattr(each, name) is not None for each in (kind, scenario))
        if mine != common:
            raise ValueError(
                f"mixture: {number}: {name}: {'given' if mine else 'none'}, expected "
                f"{'some' if common else 'none'} as beside the mixture: observations of all kinds are alike"
            )
    if kind.reward_terms != scenario.reward_terms:
        price, beside = kind.preferences.price_per_auc, scenario.preferences.price_per_auc
        raise ValueError(
            f"mixture: {number}: preferences: price_per_auc: {price}, expected some price where beside the "
            f"mixture there is one ({beside}), and else none: rewards of all kinds have the same terms"
        )
    if kind.refresh_levels != scenario.refresh_levels:
        raise ValueError(
            f"mixture: {number}: serving: refresh: {list(kind.serving.refresh)}, expected "
            f"{list(scenario.serving.refresh)} as beside the mixture: actions of all kinds are alike"
        )


def shares_of(scenario: Scenario) -> tuple[float, ...]:
    """The chance of every kind of a mixture, see `kinds_of`; ValueError for a share that is none."""
    given = [changes.get("share", 1.0) for changes in scenario.mixture] or [1.0]
    for number, share in enumerate(given):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
            raise ValueError(f"mixture: {number}: share: {share!r}, expected a positive number")
    shares = [float(share) for share in given if isinstance(share, int | float)]
    return tuple(share / sum(shares) for share in shares)


def _count_silos(dataset: object) -> int:
    """How many clients the rows of a data set were born at."""
    spec = plain(dataset)
    if not isinstance(spec, str | Mapping):
        raise ValueError(f"clients: {SILOS!r}, expected a number where no data set is named")
    silos = DATASETS.make(spec).silos()
    if silos is None:
        raise ValueError(f"clients: {SILOS!r}, expected a number: rows of {spec!r} were born nowhere")
    return silos


def _document(
    source: str | Path | Mapping[str, object] | BaseModel, packaged: str = PACKAGED
) -> dict[str, object]:
    if isinstance(source, BaseModel):
        return source.model_dump()
    if isinstance(source, Mapping):
        return _on_its_base(dict(source), packaged=packaged)
    return _read(str(source), packaged=packaged)


def _read(
    source: str, beside: Path | None = None, chain: tuple[Path, ...] = (), packaged: str = PACKAGED
) -> dict[str, object]:
    """The document of a packaged name or of a YAML file, perhaps beside the one that starts from it."""
    if not source.endswith((".yaml", ".yml")):
        return _packaged(source, packaged)
    path = Path(source)
    if beside is not None and (beside / source).exists():
        path = beside / source
    if path.resolve() in chain:
        raise ValueError(f"base: {source!r} starts from itself; expected a scenario that does not")
    return _on_its_base(read_yaml(path), path.resolve().parent, (*chain, path.resolve()), packaged)


def _on_its_base(
    document: dict[str, object],
    beside: Path | None = None,
    chain: tuple[Path, ...] = (),
    packaged: str = PACKAGED,
) -> dict[str, object]:
    """A document with the fields of the scenario that it starts from in `base`, if any."""
    base = document.pop("base", None)
    if base is None:
        return document
    start = _read(str(base), beside, chain, packaged)
    return {**start, **{name: _merge(start.get(name), value) for name, value in document.items()}}


def _packaged(name: str, packaged: str) -> dict[str, object]:
    names = scenario_names(packaged)
    if name not in names:
        raise ValueError(
            f"scenario: {name!r} is neither a known scenario nor a .yaml file; {suggest(name, names)}"
        )
    file = resources.files(packaged).joinpath(f"{name}.yaml")
    with resources.as_file(file) as path:
        return read_yaml(path)


def _merge(old: object, new: object) -> object:
    """Keys of a mapping change one by one; anything else, and any specification by kind, is replaced.

    A `path` where there was none is one, too: of a file, in place of a generator and its settings.
    """
    if isinstance(new, BaseModel):
        new = new.model_dump(exclude_unset=True)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        whole = "kind" in new or ("path" in new and "path" not in old)
        return dict(new) if whole else {**old, **{key: _merge(old.get(key), new[key]) for key in new}}
    return dict(new) if isinstance(new, Mapping) else new
