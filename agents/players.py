"""Whom an evaluation can name: schedulers of the package, one's own by dotted name, trained runs."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from ..common.files import slug
from ..envs.contract import Scheduler
from ..envs.registration import find_entry
from ..envs.scenario import Scenario, load_scenario
from .schedulers import SCHEDULERS, make_scheduler
from .schedulers.base import settings_of
from .zoo import CARD, find_card, is_shipped
from .zoo import load_scheduler as load_trained

ALL = "all"
_RUN_FILES = ("config.json", "model.pt")


def scenario_of(env: str) -> Scenario:
    """The world behind an id ("frugalfl/Volunteers-v0"), a packaged name ("volunteers") or a YAML file.

    Raises:
        ValueError: there is no such world; one line with a suggestion.
    """
    if "/" in env and not env.endswith((".yaml", ".yml")):
        return load_scenario(find_entry(env).kwargs["scenario"])
    return load_scenario(env)


def name_players(sources: Iterable[str]) -> dict[str, str]:
    """Label by player: `all` for every scheduler of the package, `label=source` for a name of one's choice.

    Args:
        sources: names of schedulers, `package.module:Class`, folders of trained runs; commas separate too.

    Raises:
        ValueError: nobody named, or two players of one name.
    """
    players: dict[str, str] = {}
    for item in (part.strip() for source in sources for part in source.split(",")):
        if not item:
            continue
        label, equals, source = item.rpartition("=")
        found = {name: name for name in SCHEDULERS} if item == ALL else {label if equals else "": source}
        for name, each in found.items():
            name = name or _label(each)
            if players.get(name, each) != each:
                raise ValueError(f"schedulers: {name!r} names two players; write LABEL={each}")
            players[name] = each
    if not players:
        raise ValueError("schedulers: none given, expected names or 'all'")
    if len({slug(name) for name in players}) < len(players):
        raise ValueError(f"schedulers: {list(players)} give two files one name; write LABEL=NAME for one")
    return players


def make_player(source: str, scenario: Scenario) -> Scheduler:
    """The scheduler of a source in a world, with the settings tuned for it.

    Raises:
        ValueError: unknown name, or no finished training run in the folder.
    """
    if is_shipped(source):
        return load_trained(source, scenario)
    folder = run_folder(source)
    if folder is None:
        allow_own_modules()
        return make_scheduler(source, scenario.name)
    if (folder / CARD).is_file():
        return load_trained(folder, scenario)
    # Imported late: only trained players need torch.
    from .learning.run_folder import load_scheduler

    return load_scheduler(folder, scenario)


def describe(source: str, player: Scheduler) -> dict[str, Any]:
    """What decides how a player plays, JSON-able: knobs, or the checksum of what was learned."""
    if is_shipped(source) or (Path(source).expanduser() / CARD).is_file():
        return {"scheduler": source, "sha256": find_card(source)[1].weights_sha256[:16]}
    folder = run_folder(source)
    if folder is not None:
        digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _RUN_FILES))
        return {"run": str(folder), "sha256": digest.hexdigest()[:16]}
    if is_dataclass(player):
        return settings_of(player)
    candidates = getattr(player, "candidates", None)
    if isinstance(candidates, list) and all(map(is_dataclass, candidates)):
        text = json.dumps([[each.name, settings_of(each)] for each in candidates])
        return {"candidates": len(candidates), "sha256": hashlib.sha256(text.encode()).hexdigest()[:16]}
    return {}


def run_folder(source: str) -> Path | None:
    """The folder of a trained run, or of an exported scheduler; ValueError for a folder that holds none."""
    path = Path(source).expanduser()
    if source in SCHEDULERS or is_shipped(source) or not path.is_dir():
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


def plain(value: Any) -> Any:
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
