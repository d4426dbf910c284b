"""Weights of a trained scheduler with which another training begins."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from ...envs.agent_view import features_of
from ...envs.any_world import AnyScenario
from ...envs.serving import ServingScenario
from ..learning.checkpoint import StateDict, load_tensors
from ..learning.run_folder import MODEL, read_config
from ..policies.widening import widened
from ..zoo import CARD, find_card, is_shipped, load_scheduler


def first_weights(source: str, scenario: AnyScenario) -> StateDict:
    """Weights of a scheduler by name, or of the folder of one or of a run.

    Args:
        source: `volunteers-ppo`, or a folder.
        scenario: the world of the new training. What its observation shows beyond what the scheduler saw is
            not looked at to begin with, see `widened`.
    """
    folder = Path(source)
    if not (is_shipped(source) or (folder / CARD).is_file()):
        read_config(folder)
        return dict(load_tensors(folder / MODEL, "cpu"))
    weights: StateDict = dict(load_scheduler(source, scenario).policy.state_dict())
    if isinstance(scenario, ServingScenario):
        return weights
    features = find_card(source)[1].features
    known = {part: names for part, names in features.items() if isinstance(names, list)}
    return widened(weights, known, features_of(scenario))


def load_first_weights(model: BaseAlgorithm, weights: StateDict, source: str) -> None:
    """Put another run's weights, of any number of clients, into a fresh model."""
    try:
        model.policy.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"warm_start: {source}: its weights do not fit this run ({reason})") from None
