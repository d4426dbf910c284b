"""The same budget of search for every handcrafted scheduler; the best settings go to a versioned file.

`frugalfl tune --help`
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from ...common.files import clear_drafts, slug
from ...common.saying import say
from ...envs.any_world import AnyScenario, load_any
from ...envs.scenario import Scenario
from ...envs.serving import ServingScenario
from ..execution import Engine, hold_folder, make_engine
from ..players import allow_own_modules
from ..schedulers import EVOLVED, TUNABLE
from ..schedulers.base import Setting
from ..schedulers.linear import LinearRule
from ..schedulers.serving import make_policy, policy_knobs, policy_names
from .evolution import Evolution, Evolved, evolve, rounds_in
from .finals import Contest, play_finals
from .learners import search_and_store_learners
from .optimiser import search_and_store_optimisers
from .options import Options
from .progress import Task, Watching, progress_bar
from .search import Tuned, check_budget, tune
from .search_space import declared_of
from .stored import SCHEDULERS_SECTION, store_and_tell
from .trial_log import trials_in

T = TypeVar("T")
Key = tuple[str, str]
"""World and scheduler."""

_SHARED = 5
"""Settings of other schedulers that each one tries at the start of its second stage."""
_OWN_CHOICE = frozenset({"avoid_losses", "loss_margin", "min_survival", "max_round_s"})
"""Knobs that say who is left out. They are not handed on: a strict enough one leaves a single candidate, and
all schedulers that took it over would be one and the same under many names."""
FAILED = 3
"""Exit code where some searches crashed twice."""


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
    least = 1 if options.rounds is None else options.rounds
    counts = {name: getattr(options, name) for name in ("trials", "episodes", "finalists", "held_out")}
    check_budget("val", rounds=least, **counts)
    try:
        with contextlib.ExitStack() as held:
            for folder in {options.log / load_any(source).name for source in options.worlds}:
                held.enter_context(hold_folder(folder, "log"))
                clear_drafts(folder)
            return _search_and_store(options, command, console)
    except KeyboardInterrupt:
        line = f"Stopped; finished trials are kept in {options.log}. Go on with: {command}"
        say(console, line)
        raise


def _search_and_store(options: Options, command: str, console: Console) -> int:
    """The same in log folders that are ours."""
    if options.training:
        search_and_store_optimisers(options, command, console)
        return 0
    if options.algorithm is not None:
        search_and_store_learners(options, command, console)
        return 0
    worlds, plan = _plan(options)
    evolved = {(world, name): (worlds[world], options) for world, name in plan if name in EVOLVED}
    rules = [key for key in plan if key not in evolved]
    contests = {key: Contest.open(key[1], worlds[key[0]], options) for key in plan}
    engine = make_engine(options.engine, options.jobs, options.address)
    over = list[Key]()
    tasks = [*_tasks(options, rules, list(evolved)), Task("finals", len(plan), lambda: len(over))]
    with engine, progress_bar(console) as bar, Watching(bar, tasks):
        first, failures = _stage(engine, _job, {key: (worlds[key[0]], key[1], options) for key in rules})
        work = {key: (worlds[key[0]], key[1], options, _starts(key, first), first[key]) for key in first}
        second, later = _stage(engine, _job, work)
        best, last = _stage(engine, _evolve, evolved)
        found = {key: merge(first[key], second[key]) for key in second} | best
        matches = {key: (contests[key].finals(each),) for key, each in found.items()}
        winners, lost = _stage(engine, play_finals, matches, over.append)
    for key, final in winners.items():
        facts = _facts(options, found[key]) | {"command": command}
        entry, facts = contests[key].settle(found[key], final, facts)
        store_and_tell(worlds[key[0]], entry, facts, options.out, SCHEDULERS_SECTION, console)
    failures |= later | last | lost
    for (world, name), reason in failures.items():
        line = f"failed: {world} {name}: {reason}"
        say(console, line, style="red")
    return FAILED if failures else 0


def _facts(options: Options, found: Tuned | Evolved) -> dict[str, object]:
    """What is worth knowing about a search beside its result."""
    facts: dict[str, object] = {"episodes": options.episodes, "seed": options.seed}
    if isinstance(found, Tuned):
        trials = options.trials if options.rounds is None else len(found.trials)
        return facts | {"trials": trials, "optuna": version("optuna")}
    return facts | {"cmaes": version("cmaes")}


def merge(first: Tuned, second: Tuned) -> Tuned:
    """Both stages' trials as one search, numbered through."""
    shifted = [replace(trial, number=trial.number + len(first.trials)) for trial in second.trials]
    return Tuned(first.scheduler, [*first.trials, *shifted])


def _stage(
    engine: Engine,
    job: Callable[..., T],
    work: Mapping[Key, tuple[object, ...]],
    over: Callable[[Key], None] = lambda key: None,
) -> tuple[dict[Key, T], dict[Key, str]]:
    """Carry out one stage of all searches: what they found, and why some did not."""
    keys = {" ".join(key): key for key in work}
    found: dict[Key, T] = {}
    failures: dict[Key, str] = {}
    for landed in engine.run(job, {label: work[key] for label, key in keys.items()}):
        over(keys[landed.key])
        if landed.failure is None:
            found[keys[landed.key]] = landed.result()
        else:
            failures[keys[landed.key]] = landed.failure
    return {key: found[key] for key in work if key in found}, failures


def _starts(key: Key, found: Mapping[Key, Tuned]) -> list[dict[str, Setting]]:
    """A scheduler's own best settings, then those of the others in its world, best first.

    What they have in common (how many, how long, when to wait) is thus tried by all of them, and no rule is
    left behind because its own first search was unlucky. Who trains stays its own answer.
    """
    world, name = key
    own = found[key].best.settings
    kept = {knob: value for knob, value in own.items() if knob in _OWN_CHOICE}
    rivals = [tuned for (where, other), tuned in found.items() if where == world and other != name]
    rivals.sort(key=lambda tuned: -tuned.best.score)
    theirs = [tuned.best.settings for tuned in rivals[:_SHARED]]
    shared = [{knob: value for knob, value in each.items() if knob not in _OWN_CHOICE} for each in theirs]
    return [own, *(each | kept for each in shared)]


def _plan(options: Options) -> tuple[dict[str, AnyScenario], list[Key]]:
    """Worlds by name, and every search; ValueError for unknown ones before anything is started."""
    worlds = {scenario.name: scenario for scenario in map(load_any, options.worlds)}
    allow_own_modules()
    keys: list[Key] = []
    for world, scenario in worlds.items():
        names = options.schedulers or _all_of(scenario)
        for name in names:
            if isinstance(scenario, ServingScenario) or name not in EVOLVED:
                declared_of(name, scenario)
        keys += [(world, name) for name in names]
    return worlds, keys


def _all_of(scenario: AnyScenario) -> Sequence[str]:
    """Who is tuned in a world where nobody is named: all that have settings and do not see the future."""
    if isinstance(scenario, ServingScenario):
        blind = (name for name in policy_names() if not make_policy(name).clairvoyant)
        return [name for name in blind if policy_knobs(name)]
    return (*TUNABLE, *EVOLVED)


def _log(options: Options, world: str, name: str, stage: int) -> Path:
    return options.log / slug(world) / f"{slug(name)}.{stage}.journal"


def _evolution_log(options: Options, world: str, name: str) -> Path:
    return options.log / slug(world) / f"{slug(name)}.json"


def _job(
    scenario: AnyScenario,
    name: str,
    options: Options,
    starts: Sequence[Mapping[str, Setting]] = (),
    known: Tuned | None = None,
) -> Tuned:
    """One stage of one search, in a process of its own."""
    allow_own_modules()
    first = options.trials - options.trials // 3
    trials, stage = (first, 1) if known is None else (max(options.trials - first, 1), 2)
    rounds = options.rounds
    if rounds is not None:
        rounds = rounds - rounds // 3 if known is None else max(rounds - known.rounds, 1)
    return tune(
        name,
        scenario,
        trials,
        options.seed,
        options.episodes,
        starts=starts,
        known=known.trials if known is not None else (),
        log=_log(options, scenario.name, name, stage),
        rounds=rounds,
    )


def _evolution(scenario: Scenario, options: Options) -> Evolution:
    """The search for the linear rule."""
    rounds = Evolution.rounds if options.rounds is None else options.rounds
    return Evolution(scenario, rounds, options.seed, options.episodes)


def _evolve(scenario: Scenario, options: Options) -> Evolved:
    """The same search, in a process of its own."""
    search = _evolution(scenario, options)
    return evolve(search, _evolution_log(options, scenario.name, LinearRule.name))


def _tasks(options: Options, rules: Sequence[Key], evolved: Sequence[Key]) -> list[Task]:
    """What the searches have to do, as their journals tell."""
    logs = [_log(options, *key, stage) for key in rules for stage in (1, 2)]
    others = [_evolution_log(options, *key) for key in evolved]
    trials = options.trials * len(rules) if options.rounds is None else None
    rounds = (Evolution.rounds if options.rounds is None else options.rounds) * len(others)
    tasks = {
        "trials": (logs, Task("trials", trials, lambda: sum(map(trials_in, logs)))),
        "evolution": (others, Task("rounds of evolution", rounds, lambda: sum(map(rounds_in, others)))),
    }
    return [task for files, task in tasks.values() if files]
