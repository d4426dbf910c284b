"""The same number of trials for every handcrafted scheduler; the best settings go to a versioned file.

`python -m frugalfl.agents.tuning --help`
"""

from __future__ import annotations

import json
import multiprocessing
import shlex
import sys
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..envs.scenario import load_scenario, scenario_names
from .schedulers import SCHEDULERS, TUNABLE, make_scheduler
from .search import Tuned, check_budget, fingerprint, tune

TUNED_FOLDER = Path(__file__).parent / "schedulers" / "tuned"


@dataclass
class Options:
    """Tune handcrafted schedulers on a world's validation split and store the best settings.

    Every scheduler gets the same number of trials on the same episodes. Interrupted searches go on where they
    stopped when the same command is given again.

    Attributes:
        world: name of a packaged scenario, a YAML file, or "all" for every packaged one.
        schedulers: which to tune; none named: all that have knobs.
        trials: settings tried per scheduler.
        episodes: episodes per trial.
        seed: of the episodes and of the search.
        jobs: processes.
        log: folder of the trials.
        out: folder of the files with the best settings, <world>.json.
    """

    world: str = "all"
    schedulers: tuple[str, ...] = ()
    trials: int = 60
    episodes: int = 32
    seed: int = 0
    jobs: int = 2
    log: Path = Path("runs/tuning")
    out: Path = TUNED_FOLDER


def main(options: Options, command: str, console: Console) -> None:
    """Tune everything the options name; each result is stored as soon as it is there.

    Args:
        options: what to tune.
        command: how to do it again, for the files.
        console: for the progress bar and the results.

    Raises:
        ValueError: unknown world or scheduler, bad numbers, or logs of another search.
    """
    check_budget(options.trials, options.episodes, "val")
    if options.jobs < 1:
        raise ValueError(f"jobs: {options.jobs}, expected at least 1")
    logs = _logs(options)
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = {pool.submit(_job, *key, options, log): key for key, log in logs.items()}
        try:
            _collect(jobs, logs, options, command, console)
        except BaseException:
            for job in jobs:
                job.cancel()
            console.print("Stopping after the trials in hand; the same command goes on from there.")
            raise


def store(world: str, tuned: Tuned, facts: Mapping[str, Any], folder: Path = TUNED_FOLDER) -> Path:
    """Write the best settings of one scheduler into the world's file, beside those of the others.

    Args:
        world: the scenario's name.
        tuned: the trials.
        facts: the command, and what else is worth knowing about the search.
        folder: of the files.
    """
    path = folder / f"{world}.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    entry = {
        "score": round(tuned.best.score, 4),
        "default_score": round(tuned.trials[0].score, 4),
        "settings": tuned.best.settings,
        **facts,
    }
    schedulers = document.get("schedulers", {}) | {tuned.scheduler: entry}
    document = {"world": world, "schedulers": dict(sorted(schedulers.items()))}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _collect(
    jobs: Mapping[Future[Tuned], tuple[str, str]],
    logs: Mapping[tuple[str, str], Path],
    options: Options,
    command: str,
    console: Console,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("trials", total=options.trials * len(logs))
        pending = set(jobs)
        while pending:
            finished, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
            bar.update(task, completed=sum(_trials_in(log) for log in logs.values()))
            for job in finished:
                world, _ = jobs[job]
                scenario = load_scenario(world)
                facts = {"trials": options.trials, "episodes": options.episodes, "seed": options.seed}
                facts_of_world = {"fingerprint": fingerprint(scenario), "command": command}
                tuned = job.result()
                path = store(scenario.name, tuned, facts | facts_of_world, options.out)
                first, best = tuned.trials[0].score, tuned.best.score
                console.print(
                    f"{scenario.name} {tuned.scheduler}: {first:.2f} -> {best:.2f} net points, {path}"
                )


def _logs(options: Options) -> dict[tuple[str, str], Path]:
    """Log file by world and scheduler; ValueError for unknown ones before anything is started."""
    logs = {}
    for world in scenario_names() if options.world == "all" else [options.world]:
        folder = options.log / load_scenario(world).name
        for name in options.schedulers or TUNABLE:
            if name in SCHEDULERS and name not in TUNABLE:
                raise ValueError(f"schedulers: {name!r} has no knobs, expected some of {', '.join(TUNABLE)}")
            make_scheduler(name)
            logs[world, name] = folder / f"{name.replace(':', '-')}.jsonl"
    return logs


def _job(world: str, name: str, options: Options, log: Path) -> Tuned:
    """One scheduler in one world, in a process of its own."""
    return tune(name, world, options.trials, options.seed, options.episodes, log=log)


def _trials_in(log: Path) -> int:
    return max(len(log.read_text(encoding="utf-8").splitlines()) - 1, 0) if log.is_file() else 0


def cli(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    console = Console(stderr=True)
    options = tyro.cli(Options, prog="python -m frugalfl.agents.tuning", args=given)
    try:
        main(options, " ".join(["python -m frugalfl.agents.tuning", *map(shlex.quote, given)]), console)
    except ValueError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(cli())
