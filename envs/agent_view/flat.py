"""Observations as one vector: the parts of the Dict one after another, as Gymnasium flattens them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats32
from ...common.units import SECONDS_PER_HOUR
from ..scenario import ScenarioSource, load_scenario
from .features import ZONE_FEATURES, features_of

Observation: TypeAlias = dict[str, Floats32]
"""The parts of an observation by name."""
AnyObservation: TypeAlias = Observation | Floats32
"""By parts, or as one vector."""

PARTS = ("clients", "server", "zones")
"""The parts of an observation, in the order in which they stand in the flat one."""
OBSERVATIONS = ("dict", "flat")
"""Values of the keyword `observation=`."""


def flatten(observation: Mapping[str, Floats32], batch_shape: tuple[int, ...] = ()) -> Floats32:
    """Float32 `[*batch_shape, D]` from the parts of observations, each `[*batch_shape, ...]`."""
    return np.concatenate(
        [observation[part].reshape(*batch_shape, -1) for part in sorted(observation)], axis=-1
    )


def flat_space(space: spaces.Dict) -> spaces.Box:
    """The space of the flat observations of a space of those by parts."""
    size = sum(int(np.prod(part.shape or ())) for part in space.spaces.values())
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def one_of(observation: AnyObservation, env: int) -> AnyObservation:
    """The observation of one environment of a batch, a copy."""
    if isinstance(observation, dict):
        return {name: rows[env].copy() for name, rows in observation.items()}
    return np.array(observation[env])


def observation_columns(scenario: ScenarioSource) -> tuple[str, ...]:
    """A name for every number of a scenario's flat observation, in its order.

    Such as `clients[3].loss_rank`, `server.accuracy` and `zones[0].carbon_in_3h`; what they mean stands in
    `docs/environments.md`.

    Args:
        scenario: anything `load_scenario` takes; `env.unwrapped.scenario` of an environment.
    """
    world = load_scenario(scenario)
    hours = [lead_s / SECONDS_PER_HOUR for lead_s in world.forecasting.carbon_leads_s]
    zone_names = [*ZONE_FEATURES, *(f"carbon_in_{each:g}h" for each in hours)]
    shown = features_of(world)
    return (
        *(f"clients[{client}].{name}" for client in range(world.clients) for name in shown["clients"]),
        *(f"server.{name}" for name in shown["server"]),
        *(f"zones[{zone}].{name}" for zone in range(world.zones) for name in zone_names),
    )
