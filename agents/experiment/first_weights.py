"""Weights of a trained scheduler with which another training begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from ...envs.agent_view import features_of
from ...envs.any_world import AnyScenario
from ...envs.serving import ServingScenario
from ..learning.checkpoint import StateDict, load_tensors
from ..learning.run_folder import MODEL, read_config
from ..policies.widening import widened
from ..zoo import CARD, features_read, find_card, is_shipped, load_scheduler


@dataclass(frozen=True)
class FirstWeights:
    """Weights of another training, of any number of clients.

    Attributes:
        source: whose they are.
        tensors: by name.
        rounds: of training behind them.
    """

    source: str
    tensors: StateDict
    rounds: int

    @classmethod
    def of(cls, source: str, scenario: AnyScenario) -> FirstWeights:
        """Weights of a scheduler by name, or of the folder of one or of a run.

        Args:
            source: `volunteers-ppo`, or a folder.
            scenario: the world of the new training. What its observation shows beyond what the scheduler saw
                is not looked at to begin with, see `widened`.
        """
        folder = Path(source)
        if not (is_shipped(source) or (folder / CARD).is_file()):
            _, config = read_config(folder)
            tensors = dict(load_tensors(folder / MODEL, "cpu"))
            return cls(source, tensors, int(config["rounds_trained"]))
        _, card = find_card(source)
        tensors = dict(load_scheduler(source, scenario).policy.state_dict())
        if not isinstance(scenario, ServingScenario):
            tensors = widened(tensors, features_read(card), features_of(scenario))
        return cls(source, tensors, card.rounds_trained)

    def load_into(self, model: BaseAlgorithm) -> None:
        """Put them into a fresh model; ValueError where they do not fit."""
        try:
            model.policy.load_state_dict(self.tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(
                f"warm_start: {self.source}: its weights do not fit this run ({reason})"
            ) from None
