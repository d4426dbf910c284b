"""Comparison of schedulers on one world: play, write tables and reports, say who is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from ...common.saying import say
from ...common.splits import Split
from ...envs.any_world import AnyScenario
from ..evaluation import Cell, Study, SweepOutcome, progress_bar, sweep, write_metrics
from ..execution import Engine, make_engine
from ..players import ALL, name_players
from ..reports import print_report, write_report
from ..reports.html import write_html

FAILED = 3
"""Exit code of a comparison in which some cells crashed twice."""


@dataclass(frozen=True)
class ComparisonOptions:
    """Options of every comparison."""

    schedulers: tuple[str, ...] = (ALL,)
    """names, package.module:Class, folders of trained runs, all, or tuned: those tuned in the world; commas
    separate too; 'LABEL=NAME(setting=value)' names one and sets it up"""
    episodes: int = 64
    """paired episodes of every scheduler"""
    split: Split = "test"
    """which part of the populations and traces; only test is for publication"""
    seed: int = 0
    """of the whole evaluation"""
    batch: int = 32
    """episodes of a cell, played at once; changes speed and nothing else"""
    timeline_episode: int = 0
    """the episode of every scheduler that is kept as a full timeline"""
    leakage: bool = False
    """also measure what an eavesdropper learns of four clients of each episode"""
    jobs: int = 2
    """processes of the local engine"""
    engine: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: the machines of a Ray cluster"""
    address: str | None = None
    """of a running Ray cluster, HOST:PORT"""


def compare(
    options: ComparisonOptions, places: Sequence[tuple[AnyScenario, Path]], command: str, console: Console
) -> int:
    """Play schedulers on some worlds and write a result folder for each.

    Args:
        options: whom to play, and how.
        places: the worlds, each with its result folder.
        command: how to do it again.
        console: for progress and messages.

    Returns:
        The exit code: 0, or `FAILED` if some cells crashed twice.

    Raises:
        ValueError: one line naming what is wrong.
    """
    try:
        with make_engine(options.engine, options.jobs, options.address) as engine:
            failed = [_play(options, world, out, engine, command, console) for world, out in places]
    except KeyboardInterrupt:
        line = f"Stopped; finished cells are kept. Go on with: {command}"
        say(console, line)
        raise
    return FAILED if any(failed) else 0


def _play(
    options: ComparisonOptions, world: AnyScenario, out: Path, engine: Engine, command: str, console: Console
) -> bool:
    """One world: play, write, say what came of it; returns whether some cells failed."""
    numbers = (options.seed, options.episodes, options.batch, options.timeline_episode)
    study = Study(world, options.split, *numbers, leakage=options.leakage).check()
    players = name_players(options.schedulers, world)
    with progress_bar(console.is_terminal) as bar:
        task = bar.add_task(world.name, total=len(players) * study.episodes)

        def done(cell: Cell) -> None:
            bar.update(task, advance=cell.stop - cell.first, description=cell.name)

        outcome = sweep(study, players, out, engine, command, done)
    _report(outcome, out, command, console)
    return bool(outcome.failures)


def _report(outcome: SweepOutcome, out: Path, command: str, console: Console) -> None:
    if outcome.result is not None:
        write_metrics(outcome.result, out)
        write_report(outcome.result, out, command=command)
        write_html(outcome.result, out / "report.html", command=command)
        print_report(outcome.result)
        say(console, f"Written: {out}")
    for cell, reason in outcome.failures.items():
        line = f"failed: {cell}: {reason}"
        say(console, line, style="red")
    if outcome.failures:
        console.print("The same command tries the failed cells again.", highlight=False)
