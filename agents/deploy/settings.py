"""Settings of a live federation: one JSON-able document that travels with the Flower run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from ...common.settings import Settings, parse_settings
from ...common.splits import Split
from ...envs.scenario import Scenario, load_scenario
from ...envs.serving import ServingScenario, load_serving

RUN_CONFIG_KEY = "deployment"
"""Key of Flower's run configuration under which the document lies."""


class Defence(Settings):
    """What a federation does about nodes whose answers are wrong.

    Attributes:
        norm_bound: an update longer than so many medians of the latest ones is its node's failure; 0 = any
            length is taken. It stops updates that are scaled up, not those of an ordinary length that point
            the wrong way.
        most_faults: a node of which so many answers could not be read or did not fit their order is not asked
            any more; 0 = however many.
        own_samples: a node may bring rows of its own, of which so many count at most; 0 = nodes play parts of
            the scenario's data.
    """

    norm_bound: float = Field(default=50.0, ge=0)
    most_faults: int = Field(default=3, ge=0)
    own_samples: int = Field(default=0, ge=0)

    @field_validator("norm_bound")
    @classmethod
    def _more_than_the_median(cls, factor: float) -> float:
        if 0 < factor < 1:
            raise ValueError(f"{factor}, expected 0 (none) or at least 1: half of all updates are longer")
        return factor


DEFENCE = Defence()
"""The default."""


class LiveSettings(Settings):
    """What every live run has.

    Attributes:
        scenario: fields of the scenario, all of them, so that nodes need no file of the coordinator's.
        scheduler: who decides.
        scheduler_settings: hyper-parameters of a handcrafted one.
        seed: of everything that the scenario draws, and of the scheduler.
        split: which part of populations and traces to draw from.
        out: folder for checkpoints, the table of decisions and the dashboard, on the SuperLink's machine.
        min_nodes: nodes to wait for before the first decision; later ones wait for nobody.
        gather_s: real seconds after which the run is given up if they do not come.
        poll_s: real seconds between two looks for answers.
        time_scale: seconds of federation time per real second, for rehearsals.
        skip_waits: whether waits pass at once, as in simulations.
        resume: whether to go on from the last checkpoint in `out`.
        defence: what is done about nodes whose answers are wrong.
    """

    scenario: dict[str, object]
    scheduler: str
    scheduler_settings: dict[str, bool | int | float | str] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    split: Split = "test"
    out: str
    min_nodes: int = Field(default=1, ge=1)
    gather_s: float = Field(default=600.0, gt=0)
    poll_s: float = Field(default=0.2, gt=0)
    time_scale: float = Field(default=1.0, gt=0)
    skip_waits: bool = False
    resume: bool = False
    defence: Defence = DEFENCE

    def text(self) -> str:
        """The document as one line of JSON."""
        return json.dumps(_plain(self.model_dump()), separators=(",", ":"))

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.out)

    def world(self) -> Scenario | ServingScenario:
        """The validated scenario."""
        raise NotImplementedError


class DeploySettings(LiveSettings):
    """One live federation.

    Attributes:
        scheduler: name of a handcrafted or shipped scheduler, `package.module:Class`, or the folder of a run
            of `frugalfl train`.
    """

    scheduler: str = "frugal-ppo"

    @model_validator(mode="after")
    def _own_rows_or_streams(self) -> DeploySettings:
        if self.defence.own_samples and self.scenario.get("arrivals") is not None:
            raise ValueError(
                f"own_samples: {self.defence.own_samples}, expected 0 where nodes are asked things: they "
                "train on what they remember"
            )
        return self

    def world(self) -> Scenario:
        """The validated scenario."""
        return load_scenario(self.scenario)


class ServeSettings(LiveSettings):
    """One live world of serving.

    Attributes:
        scheduler: a policy of serving, one part or several ("online-greedy+hi-lcb"), a shipped one,
            `package.module:Class`, or the folder of a run of `frugalfl train`.
        steps: decisions after which the run ends; 0 = at the end of the scenario's day.
        patience_s: real seconds that a node has for the rows of an order; then they are answered elsewhere.
    """

    scheduler: str = "online-greedy"
    steps: int = Field(default=0, ge=0)
    patience_s: float = Field(default=20.0, gt=0)

    def world(self) -> ServingScenario:
        """The validated scenario."""
        return load_serving(self.scenario)


def read_settings(text: str) -> DeploySettings | ServeSettings:
    """Settings from `LiveSettings.text`; ValueError naming what is wrong."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{RUN_CONFIG_KEY}: not JSON ({error}); start the run with `frugalfl deploy`"
        ) from None
    if not isinstance(document, dict) or not document:
        raise ValueError(f"{RUN_CONFIG_KEY}: empty; start the run with `frugalfl deploy`")
    scenario = document.get("scenario")
    if isinstance(scenario, dict) and scenario.get("kind") == "serving":
        return parse_settings(ServeSettings, document, RUN_CONFIG_KEY)
    return parse_settings(DeploySettings, document, RUN_CONFIG_KEY)


def _plain(value: object) -> object:
    """A document as JSON has it, infinities as "inf", which `load_scenario` reads."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
