"""Folder of a learning run: its files, and the settings, world and scheduler read from them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from gymnasium.spaces import MultiDiscrete
from typing_extensions import NotRequired, TypedDict

from ...common.files import read_json, write_text
from ...common.settings import parse_document
from ...envs.adapters.sb3_vec_env import FederatedVecEnv
from ...envs.any_world import AnyScenario, AnySource, load_any
from ...envs.registration import find_entry, make_vec_env, serving_entries
from ...envs.scenario import Scenario
from ...envs.serving import ServingScenario
from ..learned import Home, first_stop_of
from ..learned.scheduler import LearnedScheduler
from .algorithms import build_model
from .checkpoint import Best, load_tensors
from .learners_view import EPISODE_FIGURES, learners_view
from .settings import RunSettings


class RunConfig(TypedDict):
    """`config.json` of a run."""

    format: str
    version: NotRequired[str]
    git: NotRequired[str | None]
    command: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    processor: NotRequired[str]
    settings: dict[str, object]
    rounds_trained: int
    best: Best


RUN_FORMAT = "frugalfl-run-1"
CONFIG, MODEL, CURVE, TEST = "config.json", "model.pt", "training.csv", "test.json"


def training_worlds(settings: RunSettings, num_envs: int | None = None) -> FederatedVecEnv:
    """The training environments of a run; ValueError naming what is wrong with id, scenario or traces."""
    entry = find_entry(settings.env)
    # Set policies read the parts of an observation, whatever the id shows.
    world = {"observation": "dict", **settings.world}
    levels = world.get("levels")
    serves = entry in serving_entries()
    if not serves and (levels is None or isinstance(levels, Mapping)):
        world["levels"] = {**(levels or {}), "first_stop": first_stop_of(settings.world)}
    return make_vec_env(settings.env, num_envs or settings.num_envs, "train", **world)


def load_scheduler(
    out: Path | str, scenario: AnySource | None = None, decision: str | None = None
) -> LearnedScheduler:
    """The scheduler that a run has learned; it acts on the processor, wherever it was trained.

    Args:
        out: the run's folder, with `config.json` and `model.pt`.
        scenario: another world to play in (anything `load_any` takes), for set policies with any number
            of clients; it takes its menu and its forecasts along, see `Home`. None: the run's own.
        decision: see `LearnedScheduler`; None: what did best in validation.

    Raises:
        ValueError: no finished run there, or its weights do not fit.
    """
    folder = Path(out)
    settings, document = read_config(folder)
    settings = replace(settings, device="cpu")
    own = load_world(settings)
    place = own if scenario is None else load_any(scenario)
    if isinstance(own, ServingScenario) != isinstance(place, ServingScenario):
        raise ValueError(
            f"scenario: {place.name!r} is of another class of worlds than {own.name!r} of {folder}"
        )
    home = Home.of(own, first_stop_of(settings.world)) if isinstance(own, Scenario) else None
    if scenario is not None:
        world: dict[str, object] = {"scenario": place}
        if home is not None:
            world = {"scenario": _seen_from(home, cast(Scenario, place))}
        settings = RunSettings.from_json({**settings.to_json(), "world": world})
    env = training_worlds(settings, num_envs=2)
    frames = settings.policy.frames
    model = build_model(settings, learners_view(settings, env))
    try:
        model.policy.load_state_dict(load_tensors(folder / MODEL, model.device))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{folder / MODEL}: does not fit {settings.env} ({reason})") from None
    view = env.agent_view
    mode = view.action_mode
    if home is not None and isinstance(env.action_space, MultiDiscrete):
        mode = home.action_mode(cast(Scenario, place))
    way = decision or str(document["best"]["decision"])
    rounds = int(document["rounds_trained"])
    return LearnedScheduler(
        model, view.encoder, mode, settings.label, way, elements_of(own), frames, rounds, home
    )


def _seen_from(home: Home, world: Scenario) -> Scenario:
    """A world with the observations and actions of another; it is only looked at, never played in."""
    hub = world.hub
    if (hub.share > 0) != home.moves_data:
        hub = hub.model_copy(update={"share": 0.5 if home.moves_data else 0.0})
    own = {"levels": home.levels, "forecasting": home.forecasting, "budgets": home.budgets}
    return world.model_copy(update={**own, "hub": hub})


def elements_of(scenario: AnyScenario) -> int:
    """N clients, or S slots."""
    return scenario.slots if isinstance(scenario, ServingScenario) else scenario.clients


def load_world(settings: RunSettings) -> AnyScenario:
    """The world of a training run."""
    changes = dict(settings.world)
    source = changes.pop("scenario", find_entry(settings.env).kwargs["scenario"])
    return load_any(cast(AnySource, source), **changes)


def read_config(folder: Path) -> tuple[RunSettings, RunConfig]:
    """Settings and the whole document of a run's `config.json`; ValueError if it is not one."""
    document = read_json(folder / CONFIG, "out")
    if document.get("format") != RUN_FORMAT:
        raise ValueError(
            f"out: {folder / CONFIG}: format {document.get('format')!r}, expected {RUN_FORMAT!r}"
        )
    config = parse_document(RunConfig, document, f"out: {folder / CONFIG}")
    return RunSettings.from_json(config["settings"]), config


def write_curve(path: Path, history: Sequence[Mapping[str, float | None]]) -> None:
    """One line per segment of the training."""
    columns = ["rounds_trained", *EPISODE_FIGURES, "val_net_points"]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())
