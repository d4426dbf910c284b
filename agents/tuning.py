"""The same number of trials for every handcrafted scheduler; the best settings go to a versioned file.

`python -m frugalfl.agents.tuning --help`
"""

from __future__ import annotations

import json
import multiprocessing
import shlex
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..envs.scenario import Scenario, load_scenario, scenario_names
from .schedulers import SCHEDULERS, TUNABLE, make_scheduler
from .search import Tuned, check_budget, fingerprint, tune

Key = tuple[str, str]
"""World and scheduler."""

TUNED_FOLDER = Path(__file__).parent / "schedulers" / "tuned"
_SHARED = 5
"""Settings of other schedulers that each one tries at the start of its second stage."""


@dataclass
class Options:
    """Tune handcrafted schedulers on a world's validation split and store the best settings.

    Every scheduler gets the same number of trials on the same episodes: two thirds in a search of its own,
    one third starting from the best settings that any of them found. Interrupted searches go on where they
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
    """Tune everything the options name and store the best settings.

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
    worlds, plan = _plan(options)
    logs = [_log(options, *key, stage) for key in plan for stage in (1, 2)]
    pool = ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"))
    with pool, _bar(console) as bar:
        progress = _Progress(bar, logs, options.trials * len(plan))

        def stage(starts: Mapping[Key, Sequence[Mapping[str, Any]]]) -> dict[Key, Tuned]:
            jobs = {}
            for world, name in plan:
                given = starts.get((world, name), ())
                jobs[world, name] = pool.submit(_job, worlds[world], name, options, given)
            return _play(jobs, progress)

        try:
            first = stage({})
            second = stage({key: _starts(key, first) for key in plan})
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            console.print("Stopping after the trials in hand; the same command goes on from there.")
            raise
    facts = {"trials": options.trials, "episodes": options.episodes, "seed": options.seed, "command": command}
    for key in plan:
        tuned = merge(first[key], second[key])
        path = store(key[0], tuned, {"fingerprint": fingerprint(worlds[key[0]]), **facts}, options.out)
        gain = f"{tuned.trials[0].score:.2f} -> {tuned.best.score:.2f} net points"
        console.print(f"{' '.join(key)}: {gain}, {path}", highlight=False, soft_wrap=True)


def merge(first: Tuned, second: Tuned) -> Tuned:
    """Both stages' trials as one search, numbered through."""
    shifted = [replace(trial, number=trial.number + len(first.trials)) for trial in second.trials]
    return Tuned(first.scheduler, [*first.trials, *shifted])


def store(world: str, tuned: Tuned, facts: Mapping[str, Any], folder: Path = TUNED_FOLDER) -> Path:
    """Write the best settings of one scheduler into the world's file, beside those of the others.

    `score` and `default_score` are interquartile means of validation net points, the latter of the declared
    defaults with the best stop.

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


def _play(jobs: Mapping[Key, Future[Tuned]], progress: _Progress) -> dict[Key, Tuned]:
    """Wait for all jobs; the first error is raised at once."""
    pending = set(jobs.values())
    while pending:
        finished, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
        progress.update()
        for job in finished:
            job.result()
    return {key: job.result() for key, job in jobs.items()}


def _starts(key: Key, found: Mapping[Key, Tuned]) -> list[dict[str, Any]]:
    """A scheduler's own best settings, then those of the others in its world, best first.

    What they have in common (how many, how long, whom to leave out) is thus tried by all of them, and no rule
    is left behind because its own first search was unlucky.
    """
    world, name = key
    rivals = [tuned for (where, other), tuned in found.items() if where == world and other != name]
    rivals.sort(key=lambda tuned: -tuned.best.score)
    return [found[key].best.settings, *(tuned.best.settings for tuned in rivals[:_SHARED])]


def _plan(options: Options) -> tuple[dict[str, Scenario], list[Key]]:
    """Worlds by name, and every search; ValueError for unknown ones before anything is started."""
    sources = scenario_names() if options.world == "all" else [options.world]
    worlds = {scenario.name: scenario for scenario in map(load_scenario, sources)}
    names = options.schedulers or TUNABLE
    for name in names:
        if name in SCHEDULERS and name not in TUNABLE:
            raise ValueError(f"schedulers: {name!r} has no knobs, expected some of {', '.join(TUNABLE)}")
        make_scheduler(name)
    return worlds, [(world, name) for world in worlds for name in names]


def _log(options: Options, world: str, name: str, stage: int) -> Path:
    return options.log / world / f"{name.replace(':', '-')}.{stage}.jsonl"


def _job(scenario: Scenario, name: str, options: Options, starts: Sequence[Mapping[str, Any]]) -> Tuned:
    """One stage of one search, in a process of its own."""
    first = options.trials - options.trials // 3
    trials, stage = (max(options.trials - first, 1), 2) if starts else (first, 1)
    log = _log(options, scenario.name, name, stage)
    return tune(name, scenario, trials, options.seed, options.episodes, starts=starts, log=log)


class _Progress:
    """Counts the trials in the logs, which the processes write."""

    def __init__(self, bar: Progress, logs: Sequence[Path], total: int):
        self._bar, self._logs = bar, logs
        self._task = bar.add_task("trials", total=total)

    def update(self) -> None:
        """Read the logs again."""
        self._bar.update(self._task, completed=sum(map(self._count, self._logs)))

    @staticmethod
    def _count(log: Path) -> int:
        return max(len(log.read_text(encoding="utf-8").splitlines()) - 1, 0) if log.is_file() else 0


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


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
