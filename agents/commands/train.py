"""`frugalfl train` and `train_agent.py`: train a scheduler and compare it with the handcrafted ones."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from ..learning import (
    EVAL_EPISODES,
    NO_WARM_START,
    A2CSettings,
    DQNSettings,
    PolicySettings,
    PPOSettings,
    RunSettings,
    SACSettings,
)
from .running import run_command

PROGRAM = "train_agent.py"

_DEFAULT = RunSettings()

_EXAMPLES = """

examples:
  python train_agent.py
  python train_agent.py --env frugalfl/Phones-v0 --reward.price-per-kg 20 --out runs/green
  python train_agent.py --env frugalfl/SpotMarket-discrete-v0 --algo dqn
  python train_agent.py --resume --out runs/green"""


@dataclass(frozen=True)
class Prices:
    """What a run is charged, in accuracy points per unit; by default what the world's scenario says."""

    price_per_hour: float | None = None
    """points per hour"""
    price_per_gb: float | None = None
    """points per GB moved"""
    price_per_kg: float | None = None
    """points per kg CO2e emitted"""
    price_per_auc: float | None = None
    """points per hundredth by which an eavesdropper's chance to tell members is above one half"""
    spread: float | None = None
    """draw each price anew for every episode, log-uniformly between it / spread and it * spread: one policy,
    which observes the prices, then serves the whole trade-off"""


# One record of more than 20 fields: each is an option of the command line, whose help reads this class.
@dataclass(frozen=True)
class Arguments:
    """Train a scheduler for a federated training run, then compare it with the handcrafted ones.

    Trains on the `train` split of a world, keeps what does best on `val`, and plays it and the handcrafted
    schedulers on the same held-out episodes of `test`. The folder --out then holds report.html, report.md
    with its plots, evaluation.csv, model.pt, config.json, training.csv, TensorBoard logs and checkpoints.
    Ctrl-C is safe: the message says how to go on.
    """

    env: str = _DEFAULT.env
    """the world's id, one of those that `frugalfl envs` lists; dqn plays the -discrete- ids (a menu of
    schedulers), sac the -scores- ids"""
    algo: str = _DEFAULT.algo
    """ppo, maskable-ppo, a2c, dqn or sac; nobody searched the settings of the last three, see tables"""
    timesteps: int = _DEFAULT.timesteps
    """rounds to train, counted over all environments"""
    num_envs: int = _DEFAULT.num_envs
    """worlds that are stepped together"""
    seed: int = _DEFAULT.seed
    """of everything random"""
    scenario: Path | None = None
    """a YAML file in place of the id's own scenario"""
    clients: int | None = None
    """another number of clients"""
    availability: str | None = None
    """a file of availability traces in place of the generator"""
    carbon: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """carbon-intensity file of a grid zone, or a zone's name; once for every zone"""
    reward: Prices = field(default_factory=Prices)
    warm_start: str = _DEFAULT.warm_start
    """imitate this handcrafted scheduler before learning; best: the one that did best when it was tuned in
    this world; the folder of a data set of `frugalfl record`: imitate what was recorded; the folder of a
    run, or a trained scheduler's name: begin with its weights, whatever its number of clients; none: learn
    from nothing"""
    eval_episodes: int = EVAL_EPISODES
    """paired test episodes of the comparison"""
    rivals: tuple[str, ...] = ("best",)
    """schedulers of the comparison: names; best: the ten that did best when tuned in this world, random-m
    and the best known in hindsight; all; none"""
    out: Path | None = None
    """folder of the run; by default a new one below runs/"""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """go on with the run in --out; its settings are kept"""
    device: str | None = None
    """of the network: cpu, cuda or auto; these networks are small, cpu is fine. None: cpu, or with --resume
    that of the run"""
    policy: PolicySettings = field(default_factory=PolicySettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    a2c: A2CSettings = field(default_factory=A2CSettings)
    dqn: DQNSettings = field(default_factory=DQNSettings)
    sac: SACSettings = field(default_factory=SACSettings)

    def settings(self) -> RunSettings:
        """The training run these arguments ask for; ValueError naming the one that is wrong."""
        return RunSettings(
            env=self.env,
            algo=self.algo,
            timesteps=self.timesteps,
            num_envs=self.num_envs,
            seed=self.seed,
            device=_DEFAULT.device if self.device is None else self.device,
            warm_start=self.warm_start or NO_WARM_START,
            # Short runs are checkpointed and validated more often.
            segment_steps=min(_DEFAULT.segment_steps, max(self.timesteps // 8, 256)),
            world=self._world(),
            policy=self.policy,
            ppo=self.ppo,
            a2c=self.a2c,
            dqn=self.dqn,
            sac=self.sac,
        ).check()

    def settings_to_resume(self, stored: RunSettings) -> RunSettings:
        """The stored settings, if no argument contradicts them; a run may go on on another device."""
        given, default, kept = (_flat(settings.to_json()) for settings in (self.settings(), _DEFAULT, stored))
        for name in sorted(given.keys() - {"device"}):
            if given[name] != default.get(name) and given[name] != kept.get(name):
                raise ValueError(
                    f"{name}: {given[name]!r} is not the run's {kept.get(name)!r}; leave it out to resume"
                )
        return stored if self.device is None else replace(stored, device=self.device)

    def folder(self) -> Path:
        """--out, or the first free folder below runs/."""
        if self.out is not None:
            return self.out
        name = f"{self.env.rpartition('/')[2]}-{self.algo}-seed{self.seed}"
        stem = Path("runs") / re.sub(r"[^\w.-]", "_", name)
        number, folder = 1, stem
        while folder.exists():
            number += 1
            folder = stem.with_name(f"{stem.name}-{number}")
        return folder

    def _world(self) -> dict[str, object]:
        world: dict[str, object] = {}
        if self.scenario is not None:
            world["scenario"] = str(self.scenario.resolve())
        if self.clients is not None:
            world["clients"] = self.clients
        if self.availability is not None:
            world["availability"] = _absolute(self.availability)
        if self.carbon:
            world["carbon"] = [_absolute(name) for name in self.carbon]
        prices: dict[str, float] = {n: v for n, v in vars(self.reward).items() if v is not None}
        spread = prices.pop("spread", None)
        for name, value in prices.items():
            if not (math.isfinite(value) and value >= 0):
                label = f"reward.{name.replace('_', '-')}"
                raise ValueError(f"{label}: {value}, expected accuracy points per unit, 0 or more")
        if spread is not None:
            world["preferences"] = self._ranges(prices, spread)
        elif prices:
            world["preferences"] = prices
        return world

    def _ranges(self, prices: Mapping[str, float], spread: float) -> dict[str, list[float]]:
        """Ranges around the given prices, and around the scenario's own where none is given."""
        # Imported late: --help should not wait for it.
        from ...envs.registration import find_entry
        from ...envs.scenario import load_scenario

        if not (math.isfinite(spread) and spread > 1):
            raise ValueError(f"reward.spread: {spread}, expected a factor above 1")
        source = str(self.scenario) if self.scenario is not None else find_entry(self.env).scenario
        middle = {**load_scenario(source).preferences.model_dump(), **prices}
        for name, value in middle.items():
            if not isinstance(value, float | int):
                raise ValueError(f"reward.spread: {name} is the range {value} already; leave out the spread")
        return {name: [value / spread, value * spread] for name, value in middle.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join(["python", PROGRAM, *given])
    program = PROGRAM if argv is None else "frugalfl train"
    return run_command(Arguments, lambda arguments: _train(arguments, command), program, given, _EXAMPLES)


def _train(arguments: Arguments, command: str) -> int:
    # Imported after parsing: --help and bad options should not wait for torch.
    from ..execution import hold_folder
    from ..experiment.main_job import Experiment, resume_command
    from ..learning.run_folder import read_config
    from ..learning.training import rounds_on_disk
    from ..reports import print_report
    from .progress import ProgressDisplay

    if arguments.resume and arguments.out is None:
        raise ValueError("out: missing, expected the folder of the run that --resume goes on with")
    out = arguments.folder()
    settings = arguments.settings()
    if arguments.resume:
        settings = arguments.settings_to_resume(read_config(out)[0])
    with hold_folder(out), ProgressDisplay(settings.timesteps, out) as display:
        experiment = Experiment(settings, out, arguments.eval_episodes, display, arguments.rivals, command)
        if arguments.resume:
            display.begin(experiment.resume())
        else:
            experiment.begin()
            display.begin(0)
        try:
            experiment.train()
            display.close()
            outcome = experiment.compare(command)
        except KeyboardInterrupt:
            display.close()
            saved = f"{rounds_on_disk(out):,} of {settings.timesteps:,} rounds"
            display.say(f"Stopped: {saved} are saved in {out}.")
            display.say(f"Go on with: {resume_command(out, arguments.eval_episodes)}")
            raise
    print_report(outcome.result)
    display.say(f"Written: {outcome.report}")
    return 0


def _absolute(name: str) -> str:
    """A path that also holds from another folder; a zone's or generator's name as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.suffix or len(path.parts) > 1 else name


def _flat(document: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
