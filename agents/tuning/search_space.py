"""Hyperparameters as Optuna's parameters, what a world leaves of them, and the sampler of the next ones.

Source of the sampler: Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", NeurIPS 2011 (tree-structured Parzen estimator).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from ...envs.any_world import AnyScenario
from ...envs.scenario import Scenario
from ...envs.serving import ServingScenario
from ..schedulers import make_scheduler
from ..schedulers.base import OFF, OWN, Knob, Setting, knobs_of, offered_refresh, original, settings_of
from ..schedulers.serving import make_policy, policy_knobs
from .stopping import STOP_KNOBS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Parameters: TypeAlias = dict[str, Setting]
"""What Optuna samples, by name."""

_ON = ".on"
"""Ending of the parameter that says whether a knob with an "off" value is switched on."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class SearchSpace:
    """Translates between settings (what a scheduler takes) and parameters (what Optuna samples).

    Args:
        knobs: what is searched, by name.
        defaults: value of every knob, `OFF` where a mechanism is switched off.
    """

    def __init__(self, knobs: Mapping[str, Knob], defaults: Mapping[str, Setting]):
        self.knobs = dict(knobs)
        self._defaults = defaults
        self.distributions: dict[str, BaseDistribution] = {}
        for name, declared in self.knobs.items():
            self.distributions[name] = _distribution(declared)
            if declared.off is not None:
                self.distributions[name + _ON] = CategoricalDistribution([False, True])

    def parameters(self, settings: Mapping[str, Setting]) -> Parameters:
        """Every parameter for settings that may leave out knobs at their defaults; cut to the space."""
        found: Parameters = {}
        for name, declared in self.knobs.items():
            value, scale = settings.get(name, self._defaults[name]), self.distributions[name]
            if declared.off is not None:
                found[name + _ON] = value != OFF and value != declared.off
                value = value if found[name + _ON] else _middle(scale)
            if isinstance(scale, IntDistribution):
                value = int(np.clip(round(float(value)), scale.low, scale.high))
            elif isinstance(scale, FloatDistribution):
                value = float(np.clip(float(value), scale.low, scale.high))
            found[name] = value
        return found

    def settings(self, parameters: Mapping[str, Setting]) -> dict[str, Setting]:
        """The knobs of a full set of parameters; numbers with four digits."""
        found: dict[str, Setting] = {}
        for name, scale in self.distributions.items():
            if name not in self.knobs:
                continue
            value = parameters[name]
            if not parameters.get(name + _ON, True):
                value = OFF
            elif isinstance(scale, FloatDistribution):
                value = float(np.clip(float(f"{value:.4g}"), scale.low, scale.high))
            found[name] = value
        return found

    def draw(self, rng: np.random.Generator) -> dict[str, Setting]:
        """Random settings of every knob."""
        return {name: knob.draw(rng) for name, knob in self.knobs.items()}

    def frozen(self, settings: Mapping[str, Setting], score: float, rounds: int = 0) -> FrozenTrial:
        """A finished trial as Optuna keeps it; settings and rounds spent stand in its user attributes."""
        return optuna.trial.create_trial(
            params=self.parameters(settings),
            distributions=self.distributions,
            value=score,
            user_attrs={"settings": dict(settings), "rounds": rounds},
        )

    def suggest(self, past: Sequence[FrozenTrial], seed: int) -> Parameters:
        """The parameters that the sampler wants next; depends on nothing but the arguments."""
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, n_startup_trials=1)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(past)
        return dict(study.ask(self.distributions).params)


def tunable_part(name: str) -> DataclassInstance:
    """The object behind a scheduler's name that declares hyperparameters.

    Raises:
        ValueError: there is nothing to tune.
    """
    own = original(make_scheduler(name))
    if not is_dataclass(own) or isinstance(own, type) or not knobs_of(own):
        raise ValueError(
            f"schedulers: {name!r} has no hyperparameters; declare some with `knob` of "
            "frugalfl.agents.schedulers.base"
        )
    return own


def declared_of(name: str, scenario: AnyScenario) -> tuple[dict[str, Knob], dict[str, Setting]]:
    """The hyperparameters of a scheduler's name in a world, and their defaults.

    Raises:
        ValueError: there is nothing to tune.
    """
    if not isinstance(scenario, ServingScenario):
        part = tunable_part(name)
        return knobs_of(part), settings_of(part)
    knobs = policy_knobs(name)
    if not knobs:
        raise ValueError(f"schedulers: {name!r} has no hyperparameters; its parts declare none with `knob`")
    return knobs, make_policy(name).settings


def _distribution(declared: Knob) -> BaseDistribution:
    if declared.choices:
        return CategoricalDistribution(list(declared.choices))
    assert declared.low is not None
    assert declared.high is not None
    if declared.integer:
        return IntDistribution(round(declared.low), round(declared.high), log=declared.log)
    return FloatDistribution(declared.low, declared.high, log=declared.log)


def _middle(scale: BaseDistribution) -> float:
    """A value for a knob that is switched off, where the sampler wants one all the same."""
    assert isinstance(scale, IntDistribution | FloatDistribution)
    return math.sqrt(scale.low * scale.high) if scale.log else 0.5 * (scale.low + scale.high)


@dataclass(frozen=True)
class Limits:
    """Of the settings of any scheduler in one world.

    Attributes:
        room: least and largest value of settings.
        offered: the choices that the world offers.
        pinned: settings that its levels of actions fix.
        later: settings that are found after the search, from its plays.
    """

    room: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    offered: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    pinned: Mapping[str, Setting] = field(default_factory=dict)
    later: tuple[str, ...] = ()

    def narrowed(self, knobs: Mapping[str, Knob]) -> dict[str, Knob]:
        """Those that are searched, within the limits."""
        searched = {}
        for key, each in knobs.items():
            if key in self.pinned or key in self.later:
                continue
            offered = each.among(self.offered[key]) if key in self.offered else each
            searched[key] = offered.within(*self.room[key]) if key in self.room else offered
        return searched


def limits_of(scenario: AnyScenario) -> Limits:
    """Nobody gets settings that a learning agent's menu in this world does not have."""
    if isinstance(scenario, ServingScenario):
        return Limits()
    levels, steps = scenario.levels, scenario.levels.local_steps[-1]
    room = {"participants": (0.0, float(scenario.clients)), "local_steps": (0.0, float(steps))}
    pinned: dict[str, Setting] = {"most_steps": int(steps)}
    if scenario.hub.rows_per_client:
        room["transfer_samples"] = (0.0, float(scenario.hub.rows_per_client))
    if len(levels.server_step) > 1:
        span = (levels.server_step[0], levels.server_step[-1])
        room |= dict.fromkeys(("server_step", "last_server_step"), span)
    else:
        pinned |= {"server_step": 1.0, "last_server_step": OFF}
    if levels.upload_bits:
        room["upload_bits"] = (float(levels.upload_bits[0]), float(levels.upload_bits[-1]))
    else:
        pinned["upload_bits"] = OFF
    if len(scenario.refresh_levels) < 2:
        pinned["refresh"] = OWN
    if len(levels.ask_below) > 1:
        room["ask_below"] = (levels.ask_below[0], levels.ask_below[-1])
    else:
        pinned["ask_below"] = OFF
    return Limits(
        room, {"refresh": offered_refresh(scenario)}, pinned, () if earns_on(scenario) else STOP_KNOBS
    )


def earns_on(scenario: Scenario) -> bool:
    """Whether a run goes on earning after its last round: where models serve."""
    return scenario.arrivals is not None
