"""`frugalfl deploy`: a scheduler drives a live federation on Flower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...common.settings import parse_settings
from ...common.splits import Split
from ...envs.scenario import Scenario, load_scenario
from ...envs.serving import ServingScenario
from ...fl_core.remote import require_flower
from ..deploy import DEFENCE, DeploySettings, ServeSettings
from ..deploy.federation import check_deployable
from ..deploy.rehearsal import simulate
from ..deploy.run import follow_run, named_policy, named_scheduler, start_run, write_app
from ..execution import hold_folder
from ..players import any_scenario_of, run_folder, scenario_of
from .running import run_command
from .terminal import say

_STOPPING_S = 60.0
"""How long to wait for a coordinator that was told to stop."""


@dataclass(frozen=True)
class Options:
    """Let a scheduler drive a federation of real nodes on Flower.

    Start a SuperLink and SuperNodes first (docs/deployment.md has the commands), then point this command at
    the SuperLink. The folder --out, on the SuperLink's machine, gets a checkpoint after every round,
    rounds.csv (steps.csv), dashboard.txt and TensorBoard scalars. Ctrl-C stops the run; with --resume the
    same command goes on. Telemetry, update checks and the installation of dependencies at run time are off.
    """

    serve: bool = False
    """nodes do not train but answer: trained models are placed on them, and rows sent to be answered"""
    scheduler: str | None = None
    """a name, package.module:Class, or the folder of a trained run; the default, frugal-ppo, was trained for
    all kinds of federations and goes by the prices of --env: where hours cost little it may wait for cleaner
    ones. With --serve who decides in worlds of serving, by default online-greedy"""
    superlink: str | None = None
    """address of the SuperLink, HOST:PORT"""
    simulate: int | None = None
    """instead of a SuperLink: Flower's simulation engine with so many nodes (needs flwr[simulation])"""
    env: str | None = None
    """what is trained, on what data and at which prices: an id, a packaged scenario or a YAML file; by
    default frugalfl/Volunteers-v0, or with --serve frugalfl/Serving-v0, whose machines are the nodes"""
    clients: int | None = None
    """clients of the partition; by default the scenario's"""
    rounds: int | None = None
    """training rounds after which the run ends, or steps of serving; by default the scenario's"""
    deadline_s: float | None = None
    """a round is closed at the latest after this; a process start at the nodes, some 6 s, is part of it"""
    min_nodes: int | None = None
    """nodes to wait for before the first round; by default 1, or all of a simulation"""
    seed: int = 0
    """of partition, model, minibatches, carbon window and scheduler"""
    split: Split = "test"
    """which part of populations and traces to draw from"""
    out: Path = Path("runs/deployment")
    """folder of the federation"""
    root_certificates: Path | None = None
    """PEM file of the authority behind the SuperLink's certificate; without it there is no TLS"""
    time_scale: float = 1.0
    """seconds of federation time per real second, for rehearsals of waits and carbon"""
    poll_s: float | None = None
    """real seconds between two looks for answers; by default 0.2, or 0.02 in a simulation"""
    norm_bound: float = DEFENCE.norm_bound
    """an update longer than so many medians of the latest ones is its node's failure; 0 takes any length"""
    most_faults: int = DEFENCE.most_faults
    """a node with so many answers that were wrong is not asked any more; 0 = however many"""
    own_samples: int = DEFENCE.own_samples
    """nodes may bring rows of their own (data="package.module:name" in their --node-config), of which so many
    of each count at most; 0 = nodes play parts of the scenario's data"""
    patience_s: float | None = None
    """with --serve: real seconds that a node has for the rows of an order; then they are answered elsewhere;
    by default 20"""
    resume: bool = False
    """go on with the federation in --out"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl deploy`; returns the exit code."""
    return run_command(Options, _deploy, "frugalfl deploy", argv)


def _deploy(options: Options) -> None:
    try:
        require_flower()
    except ImportError as error:
        raise ValueError(str(error)) from None
    if (options.superlink is None) == (options.simulate is None):
        raise ValueError("superlink: expected either --superlink HOST:PORT or --simulate NODES")
    settings = settings_of(options)
    if isinstance(settings, ServeSettings):
        named_policy(settings)
    else:
        check_deployable(settings.world())
        named_scheduler(settings)
    if options.simulate is not None:
        simulate(settings, options.simulate)
        return
    assert options.superlink is not None
    if options.root_certificates is not None and not options.root_certificates.is_file():
        raise ValueError(f"root_certificates: {options.root_certificates}: no such file")
    with hold_folder(settings.folder):  # then it is the coordinator's, a process of the SuperLink
        written = write_app(settings, settings.folder, options.superlink, options.root_certificates)
    try:
        follow_run(start_run(written), written)
    except KeyboardInterrupt:
        _await_end(settings.folder)
        say(
            f"Stopped; finished rounds are kept in {settings.folder}. The same command with --resume goes on."
        )
        raise


def _await_end(folder: Path) -> None:
    """Wait until the coordinator has left its folder: a SuperLink ends a stopped run some seconds later."""
    try:
        with hold_folder(folder, patience_s=_STOPPING_S):
            pass
    except ValueError as error:
        say(f"frugalfl deploy: {error}")


def settings_of(options: Options) -> DeploySettings | ServeSettings:
    """The run that the options ask for; ValueError naming the one that is wrong."""
    simulated = options.simulate is not None
    nodes = options.min_nodes or (options.simulate if simulated else None) or 1
    said: dict[str, object] = {
        "seed": options.seed,
        "split": options.split,
        "out": str(options.out.expanduser().resolve()),
        "min_nodes": nodes,
        "poll_s": options.poll_s or (0.02 if simulated else 0.2),
        "time_scale": options.time_scale,
        "skip_waits": simulated,
        "resume": options.resume,
        "defence": {
            "norm_bound": options.norm_bound,
            "most_faults": options.most_faults,
            "own_samples": options.own_samples,
        },
    }
    if options.scheduler is not None:
        folder = run_folder(options.scheduler)
        said["scheduler"] = options.scheduler if folder is None else str(folder)
    if options.serve:
        if options.own_samples:
            raise ValueError(f"own_samples: {options.own_samples}, expected 0 with --serve: nobody trains")
        return parse_settings(ServeSettings, said | _serving(options), "deploy")
    if options.patience_s is not None:
        raise ValueError(f"patience_s: {options.patience_s:g}, expected none where nodes train; add --serve")
    said["scenario"] = _scenario(options).model_dump()
    return parse_settings(DeploySettings, said, "deploy")


def _scenario(options: Options) -> Scenario:
    changes: dict[str, object] = {}
    if options.clients is not None or options.simulate is not None:
        changes["clients"] = options.clients or options.simulate
    if options.rounds is not None:
        changes["max_rounds"] = options.rounds
    if options.deadline_s is not None:
        changes["workload"] = {"deadline_s": options.deadline_s}
    return load_scenario(scenario_of(options.env or "frugalfl/Volunteers-v0"), **changes)


def _serving(options: Options) -> dict[str, object]:
    """What settings of serving have of their own."""
    for name in ("clients", "deadline_s"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"{name}: {getattr(options, name)}, expected none with --serve: the machines are those "
                "of --env"
            )
    said = {"steps": options.rounds, "patience_s": options.patience_s}
    env = options.env or "frugalfl/Serving-v0"
    world = any_scenario_of(env)
    if not isinstance(world, ServingScenario):
        raise ValueError(
            f"env: {env!r} is no world of serving; use frugalfl/Serving-v0 or a file based on it"
        )
    return {"scenario": world.model_dump()} | {
        name: value for name, value in said.items() if value is not None
    }
