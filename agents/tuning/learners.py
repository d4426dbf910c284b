"""Hyper-parameters of learning algorithms: short trainings, each judged on the validation episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from ...common.files import remove_folder, slug
from ...common.saying import say
from ...envs.registration import WORLDS, find_entry
from ...envs.scenario import Scenario, load_scenario
from ..execution import Engine, hold_folder, make_engine
from ..learning import ALGORITHMS, RunSettings
from ..schedulers.base import Knob, Setting
from .generations import Generations
from .options import Options
from .search import Tuned, fingerprint
from .search_space import SearchSpace
from .stored import LEARNERS, store_and_tell
from .trial_log import Journal

_RATE = Knob("Adam's step at the start", 1e-4, 5e-3, log=True)
_ACTOR_CRITIC = {
    "learning_rate": _RATE,
    "rollout_steps": Knob("rounds per environment between two updates", choices=(16, 32, 64, 128)),
    "gamma": Knob("discount per round", 0.9, 1.0),
    "gae_lambda": Knob("bias against variance of the advantages", 0.8, 1.0),
    "entropy": Knob("weight of the entropy bonus", 0.0, 5e-3),
}
_REPLAY = {
    "learning_rate": _RATE,
    "batch_size": Knob("rounds per minibatch", choices=(64, 128, 256, 512)),
    "gradient_steps": Knob("minibatches per step of all environments", 1, 4, integer=True),
    "gamma": Knob("discount per round", 0.9, 1.0),
}
RANGES: dict[str, dict[str, Knob]] = {
    "ppo": {
        **_ACTOR_CRITIC,
        "batch_size": Knob("rounds per minibatch", choices=(128, 256, 512, 1024)),
        "epochs": Knob("passes over every rollout", 2, 10, integer=True),
        "clip_range": Knob("how far a probability ratio may move", 0.1, 0.4),
    },
    "a2c": _ACTOR_CRITIC,
    "dqn": {
        **_REPLAY,
        "exploration_share": Knob("share of the training with random actions", 0.1, 0.8),
        "final_exploration": Knob("probability of a random action after that", 0.01, 0.2, log=True),
    },
    "sac": {**_REPLAY, "tau": Knob("speed of the target networks", 1e-3, 5e-2, log=True)},
}
"""What is searched of each algorithm's settings; `maskable-ppo` has those of `ppo`."""
_FACTS = ("trials", "episodes", "seed", "timesteps")
_FACES = {"dqn": "frugalfl/{}-discrete-v0", "sac": "frugalfl/{}-scores-v0"}


@dataclass(frozen=True)
class LearnerSearch:
    """Which algorithm is tuned where, and how long each trial trains.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        world: the scenario's name or YAML file.
        trials: settings tried.
        timesteps: rounds of each training.
        episodes: validation episodes.
        seed: of the search and of every training.
    """

    algorithm: str
    world: str
    trials: int = 12
    timesteps: int = 30_000
    episodes: int = 32
    seed: int = 0

    def check(self) -> LearnerSearch:
        """Return the search if it can be begun; ValueError naming the field that is wrong."""
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm: {self.algorithm!r}, expected one of {', '.join(ALGORITHMS)}")
        for name in ("trials", "timesteps", "episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)}, expected at least 1")
        return self

    @property
    def part(self) -> str:
        """The field of `RunSettings` that is searched."""
        return "ppo" if self.algorithm == "maskable-ppo" else self.algorithm

    def settings(self, changes: Mapping[str, Setting]) -> RunSettings:
        """The training of one trial."""
        pattern = _FACES.get(self.algorithm, "frugalfl/{}-v0")
        scenario = load_scenario(self.world)
        name = next((name for name, each in WORLDS.items() if each == scenario.name), "Volunteers")
        env = find_entry(pattern.format(name)).id
        learner = replace(getattr(RunSettings(), self.part), **changes)
        return RunSettings(
            env=env,
            algo=self.algorithm,
            timesteps=self.timesteps,
            seed=self.seed,
            val_episodes=self.episodes,
            segment_steps=min(RunSettings.segment_steps, max(self.timesteps // 4, 256)),
            world={"scenario": self.world},
            **{self.part: learner},
        ).check()


def tune_learner(search: LearnerSearch, log: Path, engine: Engine) -> Tuned:
    """Search an algorithm's hyper-parameters; resumed from its journal, and trainings from their checkpoints.

    Args:
        search: what to tune.
        log: folder of the journal and of the trainings that are not over.
        engine: who trains.

    Raises:
        ValueError: bad settings, a journal of another search, or a training that crashed twice.
    """
    search.check()
    defaults = vars(getattr(RunSettings(), search.part))
    space = SearchSpace(RANGES[search.part], defaults)
    scenario = load_scenario(search.world)
    folder = log / slug(scenario.name)
    journal = Journal(folder / f"{search.algorithm}.journal", _head(search, scenario))

    def place(number: int) -> Path:
        return folder / f"{search.algorithm}-{number:03d}"

    found = Generations(search.algorithm, space, defaults, search.trials, search.seed).run(
        journal,
        engine,
        train_trial,
        lambda number, changes: (search, changes, place(number)),
        lambda number: remove_folder(place(number)),
    )
    return Tuned(search.algorithm, found)


def train_trial(search: LearnerSearch, changes: Mapping[str, Setting], folder: Path) -> tuple[float, int]:
    """Train with these settings; the best validation net points on the way, and the rounds it took."""
    from ..experiment.main_job import Experiment
    from ..learning.run_folder import CONFIG, read_config

    settings = search.settings(changes)
    experiment = Experiment(settings, folder, rivals=("none",))
    with hold_folder(folder, "log"):
        if (folder / CONFIG).is_file():
            if read_config(folder)[1]["settings"] != settings.to_json():
                raise ValueError(f"{folder}: a training with other settings; delete the folder")
            experiment.resume()
        else:
            experiment.begin()
        experiment.train()
    score = experiment.run.best["net_points"]
    assert score is not None
    return score, search.timesteps


def _head(search: LearnerSearch, scenario: Scenario) -> dict[str, object]:
    kept = ("algorithm", "trials", "timesteps", "episodes", "seed")
    return {name: getattr(search, name) for name in kept} | {"world": fingerprint(scenario)}


def search_and_store_learners(options: Options, command: str, console: Console) -> None:
    """Tune the learning algorithm that the options name, one world after the other, and store the best.

    Args:
        options: what to tune.
        command: how to do it again, for the files.
        console: for the results.

    Raises:
        ValueError: unknown world or algorithm, bad numbers, or a training that crashed twice.
    """
    budget = (options.trials, options.timesteps, options.episodes, options.seed)
    searches = [LearnerSearch(str(options.algorithm), source, *budget).check() for source in options.worlds]
    with make_engine(options.engine, options.jobs, options.address) as engine:
        for search in searches:
            tuned = tune_learner(search, options.log, engine)
            world = load_scenario(search.world)
            facts: dict[str, Setting] = {name: getattr(search, name) for name in _FACTS}
            facts |= {"command": command, "optuna": version("optuna")}
            store_and_tell(world, tuned, facts, options.out, LEARNERS, console)
            flags = " ".join(
                f"--{search.part}.{name.replace('_', '-')} {value}"
                for name, value in tuned.best.settings.items()
            )
            say(console, f"Train with: --algo {search.algorithm} {flags}")
