"""The same number of trials for every handcrafted scheduler; the best settings go to a versioned file.

`frugalfl tune --help`
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import optuna
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...common.files import read_json, slug, write_text
from ...envs.scenario import Scenario, load_scenario, scenario_names
from ..execution import Engine, make_engine
from ..players import allow_own_modules
from ..schedulers import TUNABLE
from ..schedulers.base import Setting
from .search import Tuned, check_budget, fingerprint, tunable_part, tune
from .trial_log import trials_in

Key = tuple[str, str]
"""World and scheduler."""

TUNED_FOLDER = Path(__file__).resolve().parents[1] / "schedulers" / "tuned"
LEARNERS = "learners"
"""Section of the files with hyperparameters of learning algorithms."""
_SHARED = 5
"""Settings of other schedulers that each one tries at the start of its second stage."""
FAILED = 3
"""Exit code where some searches crashed twice."""


@dataclass
class Options:
    """Tune handcrafted schedulers on a world's validation split and store the best settings.

    Every scheduler gets the same number of trials on the same episodes: two thirds in a search of its own
    (draws around its defaults, then Optuna's TPE sampler), one third that starts from the best settings that
    any of them found. Interrupted searches go on where they stopped when the same command is given again.

    Attributes:
        world: name of a packaged scenario, a YAML file, or "all" for every packaged one.
        schedulers: which to tune, package.module:Class for one's own; none named: all that can be tuned.
        trials: settings tried per scheduler.
        episodes: episodes per trial.
        seed: of the episodes and of the search.
        jobs: processes of the local engine.
        log: folder of the trials, one Optuna journal per search.
        out: folder of the files with the best settings, <world>.json.
        engine: local: processes of this machine; ray: the machines of a Ray cluster.
        address: of a running Ray cluster, HOST:PORT.
        algorithm: tune the hyperparameters of this learning algorithm instead (ppo, maskable-ppo, a2c, dqn,
            sac): every trial is a short training.
        timesteps: rounds of each such training.
    """

    world: str = "all"
    schedulers: tuple[str, ...] = ()
    trials: int = 60
    episodes: int = 32
    seed: int = 0
    jobs: int = 2
    log: Path = Path("runs/tuning")
    out: Path = TUNED_FOLDER
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    algorithm: str | None = None
    timesteps: int = 30_000


def search_and_store(options: Options, command: str, console: Console) -> int:
    """Tune everything the options name and store the best settings.

    Args:
        options: what to tune.
        command: how to do it again, for the files.
        console: for the progress bar and the results.

    Returns:
        The exit code: 0, or `FAILED` if a search crashed twice; the others are stored all the same.

    Raises:
        ValueError: unknown world or scheduler, or bad numbers.
    """
    check_budget(options.trials, options.episodes, "val")
    if options.algorithm is not None:
        return _tune_learner(options, command, console)
    worlds, plan = _plan(options)
    logs = [_log(options, *key, stage) for key in plan for stage in (1, 2)]
    engine = make_engine(options.engine, options.jobs, options.address)
    with engine, _bar(console) as bar, _Progress(bar, logs, options.trials * len(plan)):
        try:
            first, failures = _stage(engine, {key: (worlds[key[0]], key[1], options) for key in plan})
            work = {key: (worlds[key[0]], key[1], options, _starts(key, first), first[key]) for key in first}
            second, later = _stage(engine, work)
        except KeyboardInterrupt:
            console.print("Stopping after the trials in hand; the same command goes on from there.")
            raise
    facts: dict[str, Setting] = {"trials": options.trials, "episodes": options.episodes, "seed": options.seed}
    facts |= {"command": command, "optuna": optuna.__version__}
    for key in second:
        tuned = merge(first[key], second[key])
        path = store(key[0], tuned, {"fingerprint": fingerprint(worlds[key[0]]), **facts}, options.out)
        gain = f"{tuned.trials[0].score:.2f} -> {tuned.best.score:.2f} net points"
        console.print(f"{' '.join(key)}: {gain}, {path}", highlight=False, soft_wrap=True)
    for (world, name), reason in {**failures, **later}.items():
        line = f"failed: {world} {name}: {reason}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    return FAILED if failures or later else 0


def _tune_learner(options: Options, command: str, console: Console) -> int:
    """The same for a learning algorithm, one world after the other."""
    from .learners import LearnerSearch, tune_learner

    sources = scenario_names() if options.world == "all" else [options.world]
    budget = (options.trials, options.timesteps, options.episodes, options.seed)
    searches = [LearnerSearch(str(options.algorithm), source, *budget).check() for source in sources]
    with make_engine(options.engine, options.jobs, options.address) as engine:
        for search in searches:
            tuned = tune_learner(search, options.log, engine)
            world = load_scenario(search.world)
            facts: dict[str, Setting] = {
                "trials": options.trials,
                "episodes": options.episodes,
                "seed": options.seed,
            }
            facts |= {"timesteps": options.timesteps, "command": command, "optuna": optuna.__version__}
            facts["fingerprint"] = fingerprint(world)
            path = store(world.name, tuned, facts, options.out, LEARNERS)
            flags = " ".join(
                f"--{search.part}.{name.replace('_', '-')} {value}"
                for name, value in tuned.best.settings.items()
            )
            gain = f"{tuned.trials[0].score:.2f} -> {tuned.best.score:.2f} net points"
            console.print(f"{world.name} {search.algorithm}: {gain}, {path}", highlight=False, soft_wrap=True)
            console.print(f"Train with: --algo {search.algorithm} {flags}", highlight=False, soft_wrap=True)
    return 0


def merge(first: Tuned, second: Tuned) -> Tuned:
    """Both stages' trials as one search, numbered through."""
    shifted = [replace(trial, number=trial.number + len(first.trials)) for trial in second.trials]
    return Tuned(first.scheduler, [*first.trials, *shifted])


def store(
    world: str,
    tuned: Tuned,
    facts: Mapping[str, Setting],
    folder: Path = TUNED_FOLDER,
    section: str = "schedulers",
) -> Path:
    """Write the best settings of one scheduler into the world's file, beside those of the others.

    `score` and `default_score` are interquartile means of validation net points, the latter of the declared
    defaults with the best stop.

    Args:
        world: the scenario's name.
        tuned: the trials.
        facts: the command, and what else is worth knowing about the search.
        folder: of the files.
        section: of the file: "schedulers", or `LEARNERS` for learning algorithms.
    """
    path = folder / f"{world}.json"
    document = read_json(path, "out") if path.is_file() else {}
    entry = {
        "score": round(tuned.best.score, 4),
        "default_score": round(tuned.trials[0].score, 4),
        "settings": tuned.best.settings,
        **facts,
    }
    entries = document.get(section, {}) | {tuned.scheduler: entry}
    document |= {"world": world, section: dict(sorted(entries.items()))}
    folder.mkdir(parents=True, exist_ok=True)
    # Two spaces, as the files that come with the package have it: a search changes only its own lines.
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def _stage(engine: Engine, work: Mapping[Key, tuple[object, ...]]) -> tuple[dict[Key, Tuned], dict[Key, str]]:
    """Carry out one stage of all searches: what they found, and why some did not."""
    keys = {" ".join(key): key for key in work}
    found: dict[Key, Tuned] = {}
    failures: dict[Key, str] = {}
    for landed in engine.run(_job, {label: work[key] for label, key in keys.items()}):
        if landed.failure is None:
            found[keys[landed.key]] = landed.result()
        else:
            failures[keys[landed.key]] = landed.failure
    return {key: found[key] for key in work if key in found}, failures


def _starts(key: Key, found: Mapping[Key, Tuned]) -> list[dict[str, Setting]]:
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
    allow_own_modules()
    for name in names:
        tunable_part(name)
    return worlds, [(world, name) for world in worlds for name in names]


def _log(options: Options, world: str, name: str, stage: int) -> Path:
    return options.log / world / f"{slug(name)}.{stage}.journal"


def _job(
    scenario: Scenario,
    name: str,
    options: Options,
    starts: Sequence[Mapping[str, Setting]] = (),
    known: Tuned | None = None,
) -> Tuned:
    """One stage of one search, in a process of its own."""
    allow_own_modules()
    first = options.trials - options.trials // 3
    trials, stage = (first, 1) if known is None else (max(options.trials - first, 1), 2)
    return tune(
        name,
        scenario,
        trials,
        options.seed,
        options.episodes,
        starts=starts,
        known=known.trials if known is not None else (),
        log=_log(options, scenario.name, name, stage),
    )


class _Progress:
    """Counts the trials in the journals, which the workers write, once a second."""

    def __init__(self, bar: Progress, logs: Sequence[Path], total: int):
        self._bar, self._logs = bar, logs
        self._task = bar.add_task("trials", total=total)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Progress:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join()
        self._count()

    def _watch(self) -> None:
        while not self._over.wait(timeout=1.0):
            self._count()

    def _count(self) -> None:
        self._bar.update(self._task, completed=sum(map(trials_in, self._logs)))


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
