"""Search of a world's optimiser: how clients and server train, before it is asked who should.

What a scheduler cannot decide must not be worth more than what it can. So the settings of training are tuned
first, for a plain scheduler and for a planner alike, and become part of the scenario.

`frugalfl tune --training`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

from ...common.files import slug
from ...envs.scenario import Scenario, load_scenario
from ..evaluation import episode_seeds, make_worlds, play_batch
from ..evaluation.measures import interquartile_mean
from ..execution import Engine, make_engine
from ..players import allow_own_modules
from ..schedulers import make_scheduler
from ..schedulers.base import OFF, Knob, Rule, Setting
from .generations import Generations
from .options import Options
from .search import Tuned, check_budget, fingerprint
from .search_space import SearchSpace
from .stopping import best_stop, run_logs
from .stored import TRAINING, store_and_tell
from .trial_log import Journal

MEASURED_BY = ("random-m", "mpc")
"""Who plays every trial, unless others are named: a plain scheduler and a planner."""

RANGES: dict[str, Knob] = {
    "learning_rate": Knob("SGD step size of the clients", 5e-3, 2.0, log=True),
    "learning_rate_decay": Knob("factor on it per round", 0.8, 0.995, off=1.0),
    "batch_size": Knob(
        "rows per local step; see `with_optimiser` for its seconds", choices=(4, 8, 16, 32, 64)
    ),
    "server_learning_rate": Knob("step of the server along the aggregated update", 0.25, 4.0, log=True),
    "server": Knob(
        "server optimiser: the aggregator's mean, with heavy-ball or Nesterov momentum, or adaptive",
        choices=("mean", "momentum", "nesterov", "adam"),
    ),
    "momentum": Knob("of the server, where it has one", 0.1, 0.9),
}
"""What is searched of a world's training, where clients descend by SGD."""
_ADAMW_RATE = Knob("AdamW step size of the clients", 1e-4, 0.2, log=True)
_OWN = ("learning_rate", "learning_rate_decay", "batch_size", "server_learning_rate")
"""Those of them that are fields of `LocalTraining`."""
_SERVERS = {
    "mean": ("by-samples", ""),
    "momentum": ("fedavgm", "momentum"),
    "nesterov": ("diloco", "momentum"),
    "adam": ("fedadam", "beta_1"),
}
"""Aggregator of each server optimiser, and its setting that is the momentum."""
_FACTS = ("trials", "episodes", "seed")
_MOMENTUM = 0.5
_FIXED_SHARE = 0.5
"""Of a local step's seconds, what does not depend on the batch (assumed)."""


@dataclass(frozen=True)
class OptimiserSearch:
    """Whose optimiser is tuned, and who plays.

    Attributes:
        world: the scenario's name or YAML file.
        schedulers: who plays every trial; its score is the mean of theirs.
        trials: settings tried.
        episodes: validation episodes.
        seed: of the search and of the episodes.
    """

    world: str
    schedulers: tuple[str, ...] = MEASURED_BY
    trials: int = 60
    episodes: int = 64
    seed: int = 0

    def check(self) -> OptimiserSearch:
        """Return the search if it can be begun; ValueError naming the field that is wrong."""
        check_budget("val", trials=self.trials, episodes=self.episodes)
        allow_own_modules()
        optimiser_of(load_scenario(self.world))
        for name in self.schedulers:
            make_scheduler(name)
        return self


def tune_optimiser(search: OptimiserSearch, log: Path, engine: Engine) -> Tuned:
    """Search a world's optimiser; resumed from its journal.

    Args:
        search: what to tune.
        log: folder of the journal.
        engine: who plays.

    Returns:
        The trials, as those of a scheduler called "optimiser"; settings as `with_optimiser` takes them, the
        scenario's own where they are missing.

    Raises:
        ValueError: bad settings, a journal of another search, or a trial that crashed twice.
    """
    search.check()
    scenario = load_scenario(search.world)
    own = optimiser_of(scenario)
    ranges = ranges_of(scenario)
    defaults = {name: OFF if value == ranges[name].off else value for name, value in own.items()}
    space = SearchSpace({name: ranges[name] for name in defaults}, defaults)
    head: dict[str, object] = {name: getattr(search, name) for name in _FACTS}
    head |= {"optimiser": list(search.schedulers), "world": fingerprint(scenario)}
    journal = Journal(log / slug(scenario.name) / "optimiser.journal", head)
    generations = Generations("optimiser", space, defaults, search.trials, search.seed)
    found = generations.run(journal, engine, play_trial, lambda number, changes: (search, changes))
    return Tuned("optimiser", found)


def play_trial(search: OptimiserSearch, changes: Mapping[str, Setting]) -> tuple[float, int]:
    """Mean of the schedulers' validation net points under a changed optimiser, and the rounds spent."""
    allow_own_modules()
    scenario = with_optimiser(load_scenario(search.world), changes)
    with np.errstate(over="ignore", invalid="ignore"):  # training may diverge, and is scored as such
        plays = [net_points(name, scenario, search.episodes, search.seed) for name in search.schedulers]
    score = float(np.mean([interquartile_mean(points) for points, _ in plays]))
    return score, sum(rounds for _, rounds in plays)


def net_points(name: str, scenario: Scenario, episodes: int, seed: int) -> tuple[list[float], int]:
    """Validation net points of one scheduler by episode, with the stop that suits it best; rounds spent.

    Where training is faster it pays to stop earlier; a stop that was tuned for another optimiser would hide
    what this one is worth. Schedulers with a judgement of their own when to stop keep it.

    Args:
        name: a scheduler; its settings are those tuned for the world.
        scenario: the world.
        episodes: how many.
        seed: of the episodes.
    """
    scheduler = make_scheduler(name, scenario.name)
    if isinstance(scheduler, Rule):
        scheduler = replace(scheduler, stop_gain=0.0, stop_after_rounds=0)
    world = make_worlds(scenario, "val")(episodes)
    frame, curves, _ = play_batch(name, scheduler, world, episode_seeds(seed, episodes))
    rounds = int(frame["decisions"].sum())
    if not isinstance(scheduler, Rule):
        return frame["val_net_points"].tolist(), rounds
    logs = run_logs(curves)
    stop, _ = best_stop(logs, scenario.max_rounds)
    return [log.stopped(stop) for log in logs], rounds


def ranges_of(scenario: Scenario) -> dict[str, Knob]:
    """What is searched of a world's training; AdamW's steps have a length of their own, hence other rates."""
    return RANGES if scenario.training.adamw is None else RANGES | {"learning_rate": _ADAMW_RATE}


def optimiser_of(scenario: Scenario) -> dict[str, Setting]:
    """A world's optimiser, as far as it is searched: `ranges_of` by name.

    Raises:
        ValueError: the world's aggregator is more than an optimiser over a mean, and so no matter of tuning.
    """
    spec = scenario.late.aggregator or scenario.aggregator
    options = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    servers = {kind: (server, field) for server, (kind, field) in _SERVERS.items()}
    kind = options.pop("kind")
    server, field = servers.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
    if scenario.late.aggregator is not None or not server or set(options) - {field}:
        known = ", ".join(sorted(servers))
        raise ValueError(f"aggregator: {spec!r}, expected one of {known}, where the optimiser is tuned")
    found: dict[str, Setting] = {name: getattr(scenario.training, name) for name in _OWN}
    if scenario.quadratic is not None:
        del found["batch_size"]  # gradients of quadratics are not sampled by rows
    return found | {"server": server, "momentum": float(options.get(field, _MOMENTUM))}


def with_optimiser(scenario: Scenario, settings: Mapping[str, Setting]) -> Scenario:
    """The same world with another optimiser.

    How much a client computes in a second is the workload's, not the optimiser's: of a step's seconds half
    are the same for any batch (launching kernels, moving weights), half grow with the rows.

    Args:
        scenario: the world.
        settings: by name as in `ranges_of`; the world's own where they are missing.

    Raises:
        ValueError: an unknown name, or a value out of range.
    """
    checked: dict[str, Setting] = {}
    ranges = ranges_of(scenario)
    for name, value in settings.items():
        if name not in ranges:
            raise ValueError(f"optimiser: {name!r} is no setting of it, expected {', '.join(ranges)}")
        checked[name] = ranges[name].check(name, value)
    wanted = optimiser_of(scenario) | checked
    kind, field = _SERVERS[str(wanted["server"])]
    changes: dict[str, object] = {
        "training": {name: wanted[name] for name in _OWN if name in wanted},
        "aggregator": {"kind": kind, field: wanted["momentum"]} if field else kind,
    }
    rows = int(wanted.get("batch_size", scenario.training.batch_size))
    factor = _FIXED_SHARE + (1.0 - _FIXED_SHARE) * rows / scenario.training.batch_size
    if factor != 1.0:
        step_s = scenario.workload.step_s
        scaled = tuple(factor * each for each in step_s) if isinstance(step_s, tuple) else factor * step_s
        changes["workload"] = {"step_s": scaled}
    return load_scenario(scenario, **changes)


def search_and_store_optimisers(options: Options, command: str, console: Console) -> None:
    """Tune the training of every world that the options name and store the best settings in full.

    Args:
        options: what to tune.
        command: how to do it again, for the files.
        console: for the results.

    Raises:
        ValueError: unknown world or scheduler, bad numbers, or a trial that crashed twice.
    """
    if options.algorithm is not None:
        raise ValueError(
            f"training: with algorithm {options.algorithm!r}, expected one of them; tune one after the other"
        )
    players = options.schedulers or MEASURED_BY
    budget = (options.trials, options.episodes, options.seed)
    searches = [OptimiserSearch(source, players, *budget).check() for source in options.worlds]
    with make_engine(options.engine, options.jobs, options.address) as engine:
        for search in searches:
            tuned, world = tune_optimiser(search, options.log, engine), load_scenario(search.world)
            full = [
                replace(trial, settings=optimiser_of(with_optimiser(world, trial.settings)))
                for trial in tuned.trials
            ]
            facts: dict[str, Setting] = {name: getattr(search, name) for name in _FACTS}
            facts |= {"schedulers": ", ".join(players), "command": command, "optuna": version("optuna")}
            store_and_tell(world, replace(tuned, trials=full), facts, options.out, TRAINING, console)
