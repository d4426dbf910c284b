"""An evaluation in cells: one scheduler on some of the episodes, each played by whoever is free.

A finished cell lies in the folder `cells/`, whole or not at all, and is never played again: an evaluation
that was stopped goes on when the same command is given, and a crash of one cell costs the others nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import __version__
from ...common.files import clear_drafts, read_json, write_json
from ...envs.contract import Adapting, Preparing
from ..execution import Engine, hold_folder, is_empty
from ..players import AnyScheduler, describe, make_player, plain
from .cells import Cell, Study, play_cell, read_cell, shelf_of, write_cell
from .episodes import assemble
from .machine import git_version, processor, versions
from .results import CONFIG, RESULT_FORMAT, EvaluationResult, save_result

__all__ = ["Cell", "Study", "SweepOutcome", "play_cell", "sweep"]

CELLS, FAILURES = "cells", "failures.json"
_DEFINING = (
    "format",
    "world",
    "split",
    "seed",
    "episodes",
    "batch",
    "timeline_episode",
    "leakage",
    "scenario",
    "schedulers",
)


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep came to.

    Attributes:
        result: of the schedulers whose cells are all there; None if there is no such one.
        failures: reason by cell that crashed twice.
        played: cells played now, the others were there already.
    """

    result: EvaluationResult | None
    failures: dict[str, str]
    played: int


def sweep(
    study: Study,
    players: Mapping[str, str],
    out: Path,
    engine: Engine,
    command: str = "",
    done: Callable[[Cell], None] = lambda cell: None,
) -> SweepOutcome:
    """Play every cell that is not finished yet and write the result folder.

    Args:
        study: what to play.
        players: source by label, see `name_players`.
        out: the result folder; one of the very same evaluation is gone on with.
        engine: who plays.
        command: how to do it again, for `config.json`.
        done: called with each cell that is there, at once for those found.

    Raises:
        ValueError: bad numbers, an unknown scheduler, or a folder of another evaluation, or of this one that
            another process has in hand.
    """
    study.check()
    built = {name: make_player(source, study.scenario) for name, source in players.items()}
    config = _config(study, players, built, command)
    cells = _cells(study, players, built)
    with hold_folder(out):
        _claim(out, config)
        clear_drafts(out)
        return _play(study, cells, list(players), out, engine, config, done)


def _play(
    study: Study,
    cells: list[Cell],
    order: list[str],
    out: Path,
    engine: Engine,
    config: Mapping[str, object],
    done: Callable[[Cell], None],
) -> SweepOutcome:
    """Play what is missing in a folder that is ours, and put the result together."""
    found = [cell for cell in cells if read_cell(out / CELLS / cell.key, cell) is not None]
    for cell in found:
        done(cell)
    todo = {cell.key: cell for cell in cells if cell not in found}
    config = _signed(out, config, found=bool(found), todo=bool(todo))
    failures: dict[str, str] = {}
    for landed in engine.run(play_cell, {key: (study, cell) for key, cell in todo.items()}):
        if landed.failure is not None:
            failures[str(todo[landed.key])] = landed.failure
            continue
        write_cell(out / CELLS / landed.key, landed.result())
        done(todo[landed.key])
    result = _collect(study, cells, order, out, config)
    write_json(out / FAILURES, failures) if failures else (out / FAILURES).unlink(missing_ok=True)
    return SweepOutcome(result, failures, len(todo))


def _cells(study: Study, players: Mapping[str, str], built: Mapping[str, AnyScheduler]) -> list[Cell]:
    """The longest first, so that no core waits for the last one."""
    whole, parts = [], []
    rivals = tuple(players[name] for name, player in built.items() if not isinstance(player, Preparing))
    for name, source in players.items():
        if isinstance(built[name], Preparing | Adapting):
            # What such a one learns from all episodes must not depend on how they are cut into cells.
            whole.append(Cell(name, source, 0, study.episodes, rivals))
            continue
        starts = range(0, study.episodes, study.batch)
        parts += [Cell(name, source, at, min(at + study.batch, study.episodes)) for at in starts]
    return whole + parts


def _config(
    study: Study, players: Mapping[str, str], built: Mapping[str, AnyScheduler], command: str
) -> dict[str, object]:
    schedulers = [
        {
            "name": name,
            "kind": built[name].kind,
            "source": source,
            "settings": plain(describe(source, built[name])),
        }
        for name, source in players.items()
    ]
    return {
        "format": RESULT_FORMAT,
        "world": study.scenario.name,
        "split": study.split,
        "seed": study.seed,
        "episodes": study.episodes,
        "batch": study.batch,
        "timeline_episode": study.timeline_episode,
        "leakage": study.leakage,
        "schedulers": schedulers,
        "scenario": plain(study.scenario.model_dump()),
        "versions": versions(),
        "processor": processor(),
        "git": git_version(),
        "command": command,
    }


def _claim(out: Path, config: Mapping[str, object]) -> None:
    """Begin a result folder, or check that it is of this very evaluation."""
    path = out / CONFIG
    if not path.is_file():
        if not is_empty(out):
            raise ValueError(f"out: {out} holds something else than an evaluation; choose another folder")
        write_json(path, config)  # first, since the folder is known by it
        return
    there = read_json(path, "out")
    for name in _DEFINING:
        if there.get(name) != config[name]:
            raise ValueError(
                f"out: {out} holds an evaluation with another {name} "
                f"{_difference(there.get(name), config[name])}; choose another folder, or give the "
                "command in its config.json to go on with it"
            )
    kept = there.get("versions")
    begun = dict(kept) if isinstance(kept, Mapping) else {}
    if begun.get("frugalfl") != __version__:
        raise ValueError(
            f"out: {out} was begun with frugalfl {begun.get('frugalfl')}, this is {__version__}; "
            "choose another folder"
        )
    begun["processor"] = there.get("processor")
    for name, value in {**versions(), "processor": processor()}.items():
        if begun.get(name) not in (None, value):
            line = f"out: {out} was begun with {name} {begun[name]}, this is {value}; last digits may differ"
            warnings.warn(line, RuntimeWarning, stacklevel=3)


def _signed(out: Path, config: Mapping[str, object], found: bool, todo: bool) -> Mapping[str, object]:
    """The config whose `git` names every commit that has played, written down before this one plays."""
    begun = read_json(out / CONFIG, "out")
    if found and "git" not in begun:  # of before it was recorded: nobody knows who played what is there
        return {name: value for name, value in config.items() if name != "git"}
    before = str(begun["git"] or "").split(", ") if found else []
    commits = dict.fromkeys(filter(None, [*before, config["git"] if todo else None]))
    signed = {"git": ", ".join(map(str, commits)) or None}
    if begun.get("git") != signed["git"]:
        write_json(out / CONFIG, {**begun, **signed})
    return {**config, **signed}


def _difference(there: object, here: object) -> str:
    """Where two documents differ, short enough for one line."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
        return f"({names[0]}: {_difference(there.get(names[0]), here.get(names[0]))})"
    if isinstance(there, list) and isinstance(here, list):
        if [_name(item) for item in there] != [_name(item) for item in here]:
            there, here = [_name(item) for item in there], [_name(item) for item in here]
        else:
            pairs = [(a, b) for a, b in zip(there, here, strict=True) if a != b]
            return f"({_name(pairs[0][0])}: {_difference(*pairs[0])})"
    text = f"{there!r}, not {here!r}"
    return text if len(text) < 200 else f"{text[:197]}..."


def _name(item: object) -> object:
    return item.get("name") if isinstance(item, Mapping) else item


def _collect(
    study: Study, cells: list[Cell], order: list[str], out: Path, config: Mapping[str, object]
) -> EvaluationResult | None:
    """The result of all schedulers that have every cell, written into the folder."""
    parts = {cell: read_cell(out / CELLS / cell.key, cell) for cell in cells}
    broken = {cell.name for cell, part in parts.items() if part is None}
    kept = sorted(
        (cell for cell in cells if cell.name not in broken), key=lambda c: (order.index(c.name), c.first)
    )
    if not kept:
        return None
    zones = shelf_of(study).take(1).zone_names
    played = [part for cell in kept if (part := parts[cell]) is not None]
    result = assemble(study.scenario.name, study.split, played, zones, config)
    save_result(result, out)
    return result
