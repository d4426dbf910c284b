"""From the folder of a training run to a scheduler that can be shipped."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import __version__
from ...envs.base import layout_of
from ...envs.encoder import ObservationEncoder
from ...envs.registration import find_entry
from ...envs.scenario import load_scenario
from ..experiment import CURVE, MODEL, TEST, load_tensors, read_config
from ..jsonfile import read_json, write_json
from ..settings import TrainingSettings
from .card import CARD, README, WEIGHTS, Card, sha256
from .loading import choices_of, features_of
from .readme import card_page

_LEARNERS = ("ppo", "maskable-ppo", "a2c")


def export_run(run: Path | str, name: str, into: Path | str = "zoo") -> Path:
    """Write the best policy of a finished run as a scheduler of its own.

    Args:
        run: folder of the run.
        name: what it will be called.
        into: folder that will hold `<name>/`; an older one of that name is replaced.

    Returns:
        The folder `<into>/<name>`.

    Raises:
        ValueError: no finished run, one without a set policy, or no usable name.
    """
    from safetensors.torch import save_file

    run, into = Path(run), Path(into)
    if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
        raise ValueError(f"name: {name!r}, expected letters, digits, - and _")
    settings, config = read_config(run)
    if settings.algo not in _LEARNERS:
        raise ValueError(
            f"run: {run}: {settings.algo!r} has no set policy, expected one of {', '.join(_LEARNERS)}"
        )
    state = load_tensors(run / MODEL, "cpu")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=into) as draft_name:
        draft = Path(draft_name) / name
        draft.mkdir()
        weights = {key: tensor.detach().float().contiguous() for key, tensor in state.items()}
        save_file(weights, draft / WEIGHTS, metadata={"name": name})
        card = make_card(run, name, settings, config, sha256(draft / WEIGHTS))
        write_json(draft / CARD, card.to_json())
        (draft / README).write_text(card_page(card), encoding="utf-8")
        shutil.rmtree(into / name, ignore_errors=True)
        draft.rename(into / name)
    return into / name


def make_card(
    run: Path, name: str, settings: TrainingSettings, config: dict[str, Any], weights_sha256: str
) -> Card:
    """The card of a run."""
    from ..algorithms import set_policy_arguments

    kwargs = {**find_entry(settings.env).kwargs, **dict(settings.world)}
    scenario = kwargs.pop("scenario")
    world = load_scenario(scenario, **kwargs)
    best = config["best"]
    curve = _curve(run / CURVE)
    test = read_json(run / TEST, "run") if (run / TEST).is_file() else {}
    return Card(
        name=name,
        env=settings.env,
        scenario=world.name,
        algo=settings.algo,
        decision=str(best["decision"]),
        features=features_of(ObservationEncoder(world)),
        choices=choices_of(world),
        policy=set_policy_arguments(settings, layout_of(world).space),
        weights_sha256=weights_sha256,
        settings=settings.to_json(),
        command=str(config.get("command", "")),
        version=str(config.get("version", __version__)),
        git=config.get("git"),
        rounds_trained=int(config["rounds_trained"]),
        validation={"net_points": best["net_points"], "segment": best["segment"]},
        curve=curve,
        test=test,
    )


def _curve(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    frame = pd.read_csv(path)[["rounds_trained", "net_points", "val_net_points"]]
    rows = json.loads(frame.replace({np.nan: None}).round(3).to_json(orient="records"))
    return list(rows)
