"""A scheduler's declared hyperparameters as Optuna's parameters, and the sampler that proposes the next ones.

Source of the sampler: Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", NeurIPS 2011 (tree-structured Parzen estimator).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
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
from ...envs.serving import ServingScenario
from ..schedulers import make_scheduler
from ..schedulers.base import OFF, Knob, Setting, knobs_of, original, settings_of
from ..schedulers.serving import make_policy, policy_knobs

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


def limits_of(scenario: AnyScenario) -> tuple[dict[str, tuple[float, float]], dict[str, Setting]]:
    """Room for settings in this world, and the settings that its levels of actions fix."""
    if isinstance(scenario, ServingScenario):
        return {}, {}
    most_steps, factors = scenario.levels.local_steps[-1], scenario.levels.server_step
    room = {"participants": (0.0, float(scenario.clients)), "local_steps": (0.0, float(most_steps))}
    if scenario.hub.rows_per_client:
        room["transfer_samples"] = (0.0, float(scenario.hub.rows_per_client))
    pinned: dict[str, Setting] = {"most_steps": int(most_steps)}
    if len(factors) > 1:
        room |= dict.fromkeys(("server_step", "last_server_step"), (factors[0], factors[-1]))
    else:
        pinned |= {"server_step": 1.0, "last_server_step": OFF}
    if scenario.levels.upload_bits:
        room["upload_bits"] = (float(scenario.levels.upload_bits[0]), float(scenario.levels.upload_bits[-1]))
    else:
        pinned["upload_bits"] = OFF
    return room, pinned


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
