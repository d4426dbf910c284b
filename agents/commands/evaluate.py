"""`frugalfl evaluate` and `frugalfl benchmark`: schedulers on the same held-out episodes of some worlds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from ...envs.scenario import Scenario, scenario_names
from ..evaluation import Cell, Study, SweepOutcome, progress_bar, sweep, write_metrics
from ..execution import Engine, make_engine
from ..players import ALL, name_players, scenario_of
from ..reports import print_report, write_report
from ..reports.html import write_html
from .running import run_command

FAILED = 3
"""Exit code of an evaluation in which some cells crashed twice."""


@dataclass(frozen=True)
class Common:
    """Options of both commands."""

    schedulers: tuple[str, ...] = (ALL,)
    """names, package.module:Class, folders of trained runs, or all; commas separate too;
    LABEL=... names one"""
    episodes: int = 64
    """paired episodes of every scheduler"""
    split: Literal["train", "val", "test"] = "test"
    """which part of the populations and traces; only test is for publication"""
    seed: int = 0
    """of the whole evaluation"""
    batch: int = 32
    """episodes of a cell, played at once; changes speed and nothing else"""
    timeline_episode: int = 0
    """the episode of every scheduler that is kept as a full timeline"""
    jobs: int = 2
    """processes of the local engine"""
    engine: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: the machines of a Ray cluster"""
    address: str | None = None
    """of a running Ray cluster, HOST:PORT"""


@dataclass(frozen=True)
class EvaluateOptions(Common):
    """Play schedulers on the same held-out episodes and write a result folder.

    The folder holds config.json, episodes.csv, curves.csv, timelines/, the tables of metrics and a report.
    Stopped with Ctrl-C or killed, the same command goes on with the cells that are missing. A scheduler whose
    cell crashes twice is left out of the result and told at the end (exit code 3).
    """

    env: str = "frugalfl/Volunteers-v0"
    """the world: an id, the name of a packaged scenario, or a YAML file"""
    out: Path | None = None
    """the result folder; by default runs/evaluation/<world>-<split>"""


@dataclass(frozen=True)
class BenchmarkOptions(Common):
    """Play schedulers on several worlds, one result folder for each; everything else is as in evaluate."""

    envs: tuple[str, ...] = ("volunteers", "phones", "spotmarket")
    """the worlds, or all for every packaged one"""
    out: Path = Path("runs/benchmark")
    """the folder of the result folders, <out>/<world>"""


def evaluate_main(argv: Sequence[str]) -> int:
    """`frugalfl evaluate`; returns the exit code."""
    return _run(EvaluateOptions, "evaluate", argv, _evaluate)


def benchmark_main(argv: Sequence[str]) -> int:
    """`frugalfl benchmark`; returns the exit code."""
    return _run(BenchmarkOptions, "benchmark", argv, _benchmark)


def _evaluate(options: EvaluateOptions, engine: Engine, command: str, console: Console) -> int:
    world = scenario_of(options.env)
    out = options.out or Path("runs") / "evaluation" / f"{world.name}-{options.split}"
    return _play(options, world, out, engine, command, console)


def _benchmark(options: BenchmarkOptions, engine: Engine, command: str, console: Console) -> int:
    names = scenario_names() if options.envs == (ALL,) else options.envs
    worlds = {world.name: world for world in map(scenario_of, names)}
    codes = [
        _play(options, world, options.out / name, engine, command, console) for name, world in worlds.items()
    ]
    return max(codes, default=0)


def _play(options: Common, world: Scenario, out: Path, engine: Engine, command: str, console: Console) -> int:
    """One world: play, write, say what came of it."""
    study = Study(
        world, options.split, options.seed, options.episodes, options.batch, options.timeline_episode
    ).check()
    players = name_players(options.schedulers)
    with progress_bar(console.is_terminal) as bar:
        task = bar.add_task(world.name, total=len(players) * study.episodes)

        def done(cell: Cell) -> None:
            bar.update(task, advance=cell.stop - cell.first, description=cell.name)

        outcome = sweep(study, players, out, engine, command, done)
    _tell(outcome, out, command, console)
    return FAILED if outcome.failures else 0


def _tell(outcome: SweepOutcome, out: Path, command: str, console: Console) -> None:
    if outcome.result is not None:
        write_metrics(outcome.result, out)
        write_report(outcome.result, out, command=command)
        write_html(outcome.result, out / "report.html", command=command)
        print_report(outcome.result)
        console.print(f"Written: {out}", highlight=False, soft_wrap=True)
    for cell, reason in outcome.failures.items():
        line = f"failed: {cell}: {reason}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if outcome.failures:
        console.print("The same command tries the failed cells again.", highlight=False)


def _run(
    kind: type[Any], name: str, argv: Sequence[str], main: Callable[[Any, Engine, str, Console], int]
) -> int:
    console, command = Console(stderr=True), shlex.join(["frugalfl", name, *argv])
    codes: list[int] = []

    def body(options: Any) -> None:
        try:
            with make_engine(options.engine, options.jobs, options.address) as engine:
                codes.append(main(options, engine, command, console))
        except KeyboardInterrupt:
            line = f"Stopped; finished cells are kept. Go on with: {command}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
            raise

    return run_command(kind, body, f"frugalfl {name}", argv) or max(codes, default=0)


if __name__ == "__main__":
    sys.exit(evaluate_main(sys.argv[1:]))
