"""Export of a learning run as a scheduler that can be shipped: weights and model card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import pandas as pd

from ... import __version__
from ...common.files import clear_drafts, read_json, write_bytes, write_folder, write_json, write_text
from ...envs.agent_view import ObservationEncoder, layout_of
from ...envs.scenario import Scenario
from ...envs.serving import ServingScenario
from ..evaluation import git_version, load_result
from ..execution import hold_folder
from ..learned import Home, first_stop_of
from ..learning import RunSettings
from ..learning.checkpoint import load_tensors
from ..learning.run_folder import CURVE, MODEL, TEST, RunConfig, elements_of, load_world, read_config
from ..zoo import (
    CARD,
    README,
    WEIGHTS,
    Card,
    card_page,
    choices_of,
    encoded_features,
    serving_choices,
    serving_features,
    sha256,
)
from .figures import Figures, figures_on_test

_LEARNERS = ("ppo", "maskable-ppo", "a2c")


def export_run(
    run: Path | str,
    name: str,
    into: Path | str = "zoo",
    evaluation: Path | str | None = None,
    label: str | None = None,
) -> Path:
    """Write the best policy of a finished run as a scheduler of its own.

    Args:
        run: folder of the run.
        name: what it will be called.
        into: folder that will hold `<name>/`; an older one of that name is replaced.
        evaluation: result folder of `frugalfl evaluate` whose figures the card tells; None: those of the
            run's own comparison.
        label: what the run is called there; None: the name of its folder.

    Returns:
        The folder `<into>/<name>`.

    Raises:
        ValueError: no finished run, one without a set policy, or no usable name.
    """
    from safetensors.torch import save

    run, into = Path(run), Path(into)
    if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
        raise ValueError(f"name: {name!r}, expected letters, digits, - and _")
    settings, config = read_config(run)
    if settings.algo not in _LEARNERS:
        raise ValueError(
            f"run: {run}: {settings.algo!r} has no set policy, expected one of {', '.join(_LEARNERS)}"
        )
    test = _figures(Path(evaluation), label or run.resolve().name, name) if evaluation else _own_figures(run)
    state = load_tensors(run / MODEL, "cpu")
    weights = {key: tensor.detach().float().contiguous() for key, tensor in state.items()}

    def fill(draft: Path) -> None:
        write_bytes(draft / WEIGHTS, save(weights, metadata={"name": name}))
        card = make_card(run, name, settings, config, sha256(draft / WEIGHTS), test)
        write_json(draft / CARD, card.to_json())
        write_text(draft / README, card_page(card))

    with hold_folder(into, "into"):
        clear_drafts(into)
        write_folder(into / name, fill)
    return into / name


def make_card(
    run: Path,
    name: str,
    settings: RunSettings,
    config: RunConfig,
    weights_sha256: str,
    test: Figures | None,
) -> Card:
    """The card of a run."""
    world = load_world(settings)
    best = config["best"]
    curve = _curve(run / CURVE)
    own = (
        _of_serving(world, settings) if isinstance(world, ServingScenario) else _of_training(world, settings)
    )
    return Card(
        name=name,
        env=settings.env,
        scenario=world.name,
        trained_clients=elements_of(world),
        algo=settings.algo,
        decision=str(best["decision"]),
        features=own["features"],
        choices=own["choices"],
        home=own["home"],
        policy=own["policy"],
        weights_sha256=weights_sha256,
        settings=_settings_to_tell(settings),
        command=str(config.get("command", "")),
        version=str(config.get("version", __version__)),
        git=config.get("git"),
        rounds_trained=int(config["rounds_trained"]),
        validation={"net_points": best["net_points"], "segment": best["segment"]},
        curve=curve,
        test=cast("dict[str, object]", test or {}),
    )


def _settings_to_tell(settings: RunSettings) -> dict[str, object]:
    """The settings of a run; of a scenario's file the name only, as folders are nobody's business."""
    scenario = settings.world.get("scenario")
    if isinstance(scenario, str):
        settings = replace(settings, world={**settings.world, "scenario": Path(scenario).name})
    return settings.to_json()


class _Own(TypedDict):
    """What a card says of the policy's class of worlds."""

    features: dict[str, list[str] | int]
    choices: dict[str, int]
    home: dict[str, object]
    policy: dict[str, object]


def _of_training(world: Scenario, settings: RunSettings) -> _Own:
    from ..learning.algorithms import set_policy_arguments

    layout = layout_of(world)
    return {
        "features": encoded_features(ObservationEncoder(world)),
        "choices": choices_of(layout),
        "home": Home.of(world, first_stop_of(settings.world)).to_json(),
        "policy": set_policy_arguments(settings, layout.space, world.clients),
    }


def _of_serving(world: ServingScenario, settings: RunSettings) -> _Own:
    from ..learning.algorithms import slot_policy_arguments

    return {
        "features": serving_features(world),
        "choices": serving_choices(world),
        "home": {},
        "policy": slot_policy_arguments(settings),
    }


def _own_figures(run: Path) -> Figures | None:
    return cast(Figures, read_json(run / TEST, "run")) if (run / TEST).is_file() else None


def _figures(folder: Path, label: str, name: str) -> Figures:
    """Figures of one learned scheduler, under its new name, and of everyone who is not learned."""
    result = load_result(folder)
    if result.split != "test":
        raise ValueError(f"evaluation: {folder}: split {result.split!r}, expected 'test'")
    if label not in result.kinds:
        raise ValueError(f"evaluation: {folder}: no {label!r} there, expected one of {list(result.kinds)}")
    rows = result.episodes
    rows = rows[(rows["scheduler"] == label) | (rows["kind"] != "learned")]
    kept = replace(result, episodes=rows.replace({"scheduler": {label: name}}), timelines={})
    git = result.config["git"] if "git" in result.config else git_version()  # not in older folders
    return figures_on_test(kept, str(result.config.get("command", "")), cast("str | None", git))


def _curve(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        return []
    frame = pd.read_csv(path)[["rounds_trained", "net_points", "val_net_points"]]
    rows = json.loads(frame.replace({np.nan: None}).round(3).to_json(orient="records"))
    return list(rows)
