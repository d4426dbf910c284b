"""From a name to a scheduler: handcrafted, shipped, one's own by dotted name, the folder of a trained run."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias, cast, overload, runtime_checkable

from ..common.files import sha256, slug
from ..common.parsing import parse_call, split_calls
from ..common.spelling import suggest
from ..envs.any_world import AnyScenario, load_any
from ..envs.contract import Scheduler
from ..envs.registration import find_entry
from ..envs.scenario import Scenario
from ..envs.serving import ServingScenario, ServingScheduler
from .integrations import SchedulerPolicy
from .schedulers import SCHEDULERS, make_scheduler, make_tuned_policy, refuse_unknown, tuned_schedulers
from .schedulers.base import Rule, Setting, adopt, original, settings_of
from .schedulers.linear import LinearRule
from .schedulers.planning import Clairvoyant
from .schedulers.serving import POLICY_PARTS, Part, ServingPolicy, policy_names
from .zoo import CARD, find_card, is_shipped, shipped_names
from .zoo import load_scheduler as load_trained

__all__ = [
    "ALL",
    "AnyScheduler",
    "Origin",
    "adopt",
    "allow_own_modules",
    "any_scenario_of",
    "as_policy",
    "describe",
    "make_player",
    "name_players",
    "origin_of",
    "plain",
    "run_folder",
    "scenario_of",
]

ALL, TUNED = "all", "tuned"
_RUN_FILES = ("config.json", "model.pt")


def any_scenario_of(env: str) -> AnyScenario:
    """The world behind an id ("frugalfl/Volunteers-v0"), a packaged name ("volunteers") or a YAML file.

    Raises:
        ValueError: there is no such world; one line with a suggestion.
    """
    if "/" in env and not env.endswith((".yaml", ".yml")):
        return load_any(find_entry(env).scenario)
    return load_any(env)


def scenario_of(env: str) -> Scenario:
    """The same where only a world of training will do.

    Raises:
        ValueError: there is no such world, or it is one of serving; one line.
    """
    found = any_scenario_of(env)
    if isinstance(found, ServingScenario):
        raise ValueError(
            f"env: {env!r} is a world of serving, expected one of training; "
            "evaluate, benchmark, tune and train take both"
        )
    return found


def name_players(sources: Iterable[str], scenario: AnyScenario | None = None) -> dict[str, str]:
    """Label by player: `label=source` for a name of one's choice, `all` for everybody else in the package.

    Args:
        sources: see `make_player`; commas separate too.
        scenario: where they will play: `all` are those of its class of worlds, `tuned` those that have
            settings of its own; None: of training, where nobody has.

    Raises:
        ValueError: nobody named or tuned, or two schedulers of one name.
    """
    players: dict[str, str] = {}
    items = split_calls(sources)
    for item in (each for each in items if each not in (ALL, TUNED)):
        head, bracket, tail = item.partition("(")
        label, _, own = head.rpartition("=")
        source = own + bracket + tail
        name = label or _label(source)
        if players.get(name, source) != source:
            raise ValueError(f"schedulers: {name!r} names two players; write LABEL={source}")
        players[name] = source
    others = list(tuned_schedulers(None if scenario is None else scenario.name)) if TUNED in items else []
    if TUNED in items and not others:
        raise ValueError(f"schedulers: nobody was tuned in this world, expected names or {ALL!r}")
    if ALL in items:
        others += policy_names() if isinstance(scenario, ServingScenario) else SCHEDULERS
    players |= {name: name for name in others if name not in players}
    if not players:
        raise ValueError("schedulers: none given, expected names or 'all'")
    if len({slug(name) for name in players}) < len(players):
        raise ValueError(f"schedulers: {list(players)} give two files one name; write LABEL=NAME for one")
    return players


@overload
def make_player(source: str, scenario: Scenario | str, **settings: Setting) -> Scheduler: ...
@overload
def make_player(source: str, scenario: ServingScenario, **settings: Setting) -> ServingScheduler: ...
@overload
def make_player(source: str, scenario: AnyScenario | str, **settings: Setting) -> AnyScheduler: ...
def make_player(source: str, scenario: AnyScenario | str, **settings: Setting) -> AnyScheduler:
    """The scheduler of a source in a world. The one way from a name to a scheduler.

    Args:
        source: name of a handcrafted scheduler or of a trained one that comes with the package,
            `package.module:Class`, or the folder of a trained run; in worlds of serving the names of a
            policy's parts, joined by "+". Settings may follow in parentheses: `mpc(horizon=3)`.
        scenario: where it plays; the settings tuned for it are the defaults.
        **settings: hyperparameters to set, before those of the source; a trained scheduler has `decision`.

    Raises:
        ValueError: unknown name or setting (with a suggestion), or no finished training run in the folder.
    """
    source, folder, given = _read(source)
    settings = given | settings
    if is_shipped(source) or (folder is not None and (folder / CARD).is_file()):
        refuse_unknown(source, settings, ("decision",))
        decision = settings.get("decision")
        return load_trained(folder or source, scenario, None if decision is None else str(decision))
    if folder is not None:
        refuse_unknown(source, settings, ())
        # Imported late: only trained players need torch.
        from .learning.run_folder import load_scheduler

        return load_scheduler(folder, load_any(scenario))
    allow_own_modules()
    world = scenario if isinstance(scenario, str) else scenario.name
    if isinstance(scenario, ServingScenario):
        return _serving_player(source, world, settings)
    if source not in SCHEDULERS and ":" not in source:
        hint = suggest(source, [*SCHEDULERS, *shipped_names()])
        raise ValueError(f"scheduler: {source!r} is unknown; {hint} (or package.module:Class)")
    return make_scheduler(source, world, **settings)


def _serving_player(source: str, world: str, settings: Mapping[str, Setting]) -> ServingScheduler:
    """A policy by its parts, or a class of one's own that is a whole policy."""
    for part in source.split("+"):
        if part.strip() not in POLICY_PARTS and ":" not in part:
            hint = suggest(part.strip(), [*POLICY_PARTS, *shipped_names()])
            raise ValueError(f"scheduler: {part.strip()!r} is unknown in worlds of serving; {hint}")
    if ":" in source and "+" not in source:
        own = POLICY_PARTS[source]
        if isinstance(own, type) and not issubclass(own, Part):
            refuse_unknown(source, settings, ())
            return cast(ServingScheduler, adopt(own()))
    return make_tuned_policy(source, world, **settings)


def as_policy(source: object, env: object, **settings: Setting) -> SchedulerPolicy:
    """A scheduler as a policy with Stable-Baselines3's `predict`: to record, to imitate, to be evaluated.

    Args:
        source: a name as for `make_player`, or a scheduler.
        env: where it plays, see `SchedulerPolicy`.
        **settings: hyperparameters to set, if it is named.

    Raises:
        ValueError: unknown name or setting, or an environment in which it cannot play.
    """

    def make(scenario: Scenario) -> Scheduler:
        if isinstance(source, str):
            return make_player(source, scenario, **settings)
        refuse_unknown("given", settings, ())
        return adopt(copy.deepcopy(source))  # environments that are stepped one by one need one each

    return SchedulerPolicy(make, env)


def describe(source: str, player: AnyScheduler) -> dict[str, object]:
    """What decides how a scheduler plays, JSON-able: its settings, or the checksum of what was learned."""
    source, folder, given = _read(source)
    if is_shipped(source) or (folder is not None and (folder / CARD).is_file()):
        return {"scheduler": source, "sha256": find_card(source)[1].weights_sha256[:16], **given}
    if folder is not None:
        digest = sha256(*((folder / name).read_bytes() for name in _RUN_FILES))
        return {"run": str(folder), "sha256": digest[:16]}
    own = original(player)
    if isinstance(own, Clairvoyant):
        text = json.dumps([[each.name, settings_of(each)] for each in own.candidates])
        effort = {"splices": own.splices, "mutations": own.mutations}
        return {"candidates": len(own.candidates), **effort, "sha256": sha256(text.encode())[:16]}
    if isinstance(own, LinearRule | ServingPolicy):
        return dict(own.settings)
    if is_dataclass(own) and not isinstance(own, type):
        return dict(settings_of(own))
    return {}


AnyScheduler: TypeAlias = Scheduler | ServingScheduler
"""Who decides, in worlds of either class."""


class Origin(NamedTuple):
    """What stood behind a scheduler before it played: nan where it is unknown, or there was nothing."""

    val_score: float  # net points on val for which its settings were chosen
    rounds_spent: float  # of training, played to tune or to train it


@runtime_checkable
class _Trained(Protocol):
    """A scheduler that knows how long it was trained."""

    rounds_trained: int | None


def origin_of(player: AnyScheduler, world: str) -> Origin:
    """The search that found a scheduler's settings in a world, or its training.

    Settings of one's own have no origin, though their scheduler was tuned with others.
    """
    own = original(player)
    if isinstance(own, _Trained):
        return Origin(math.nan, math.nan if own.rounds_trained is None else float(own.rounds_trained))
    entry = tuned_schedulers(world).get(player.name)
    if isinstance(own, ServingPolicy):
        if entry is None or own.settings != make_tuned_policy(player.name, world).settings:
            return Origin(math.nan, math.nan)
        return Origin(float(entry["score"]), float(entry.get("rounds", math.nan)))
    if entry is None or player.name not in SCHEDULERS or type(own) is not SCHEDULERS[player.name]:
        return Origin(math.nan, math.nan)
    if not _played_alike(own, original(make_scheduler(player.name, world))):
        return Origin(math.nan, math.nan)
    return Origin(float(entry["score"]), float(entry.get("rounds", math.nan)))


def _played_alike(own: object, stored: object) -> bool:
    """Whether two schedulers that can be tuned have the same settings."""
    if isinstance(own, LinearRule) and isinstance(stored, LinearRule):
        return own.settings == stored.settings
    if isinstance(own, Rule) and isinstance(stored, Rule):
        return settings_of(own) == settings_of(stored)
    return False


def _read(source: str) -> tuple[str, Path | None, dict[str, Setting]]:
    """A source without its settings, its folder if it has one, and the settings.

    A folder's name may have parentheses of its own.
    """
    folder = run_folder(source)
    if folder is not None:
        return source, folder, {}
    name, settings = parse_call(source, "scheduler")
    return name, run_folder(name), settings


def run_folder(source: str) -> Path | None:
    """The folder of a trained run, or of an exported scheduler; ValueError for a folder that holds none."""
    path = Path(source).expanduser()
    if source in SCHEDULERS or source in POLICY_PARTS or is_shipped(source) or not path.is_dir():
        return None
    if (path / CARD).is_file():
        return path.resolve()
    missing = [name for name in _RUN_FILES if not (path / name).is_file()]
    if missing:
        raise ValueError(f"schedulers: {path / missing[0]}: not there, expected the folder of a trained run")
    return path.resolve()


def allow_own_modules() -> None:
    """Let `module:Class` name a file of the present folder, as `python -m` would."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def plain(value: object) -> object:
    """A document as JSON gives it back, infinities as "inf" (which `load_scenario` reads)."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float | str | None) else str(value)


def _label(source: str) -> str:
    return Path(source).resolve().name if run_folder(source) is not None else source
