"""The one table of environment ids, and the doors that open them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, cast

import gymnasium as gym

from ..common.spelling import suggest

if TYPE_CHECKING:
    from .adapters.sb3_vec_env import FederatedVecEnv

_SINGLE = "frugalfl.envs.adapters.federated_env:FederatedEnv"
_VECTOR = "frugalfl.envs.adapters.vector_env:FederatedVectorEnv"

WORLDS = {
    "Phones": "phones",
    "Volunteers": "volunteers",
    "SpotMarket": "spotmarket",
    "Outposts": "outposts",
    "Roaming": "roaming",
    "Quadratic": "quadratic",
    "Language": "language",
    "Streams": "streams",
    "QuadraticStreams": "quadraticstreams",
    "Mixture": "mixture",
}
"""Name in the id, and the packaged scenario behind it."""

SERVING_WORLDS = {"Serving": "serving"}
"""The same of worlds of serving, which have one face."""

_SERVING = "frugalfl.envs.adapters.serving_env:ServingEnv"
_SERVING_VECTOR = "frugalfl.envs.adapters.serving_env:ServingVectorEnv"

_REWARDS: dict[str, dict[str, object]] = {"": {}, "mo-": {"vector_reward": True}}
_OBSERVATIONS: dict[str, dict[str, object]] = {"": {}, "-flat": {"observation": "flat"}}
_ACTIONS: dict[str, dict[str, object]] = {
    "": {},
    "-discrete": {"action": "discrete"},
    "-scores": {"action": "scores"},
}


@dataclass(frozen=True)
class Entry:
    """One registered id."""

    id: str
    scenario: str  # the packaged scenario behind it
    kwargs: dict[str, object]  # of the environment, the scenario included


def entries() -> Iterator[Entry]:
    """Every id of the suite, `frugalfl/(mo-)<Name>(-flat)(-discrete|-scores)-v0`."""
    for (name, scenario), reward, observation, action in product(
        WORLDS.items(), _REWARDS, _OBSERVATIONS, _ACTIONS
    ):
        kwargs = {**_REWARDS[reward], **_OBSERVATIONS[observation], **_ACTIONS[action]}
        env_id = f"frugalfl/{reward}{name}{observation}{action}-v0"
        yield Entry(env_id, scenario, {"scenario": scenario, **kwargs})


def serving_entries() -> Iterator[Entry]:
    """Every id of worlds of serving, `frugalfl/(mo-)<Name>(-flat)-v0`."""
    for (name, scenario), reward, observation in product(SERVING_WORLDS.items(), _REWARDS, _OBSERVATIONS):
        kwargs = {**_REWARDS[reward], **_OBSERVATIONS[observation]}
        yield Entry(f"frugalfl/{reward}{name}{observation}-v0", scenario, {"scenario": scenario, **kwargs})


def register_all() -> None:
    """Register every id with Gymnasium; calling it again changes nothing."""
    training = [(entry, _SINGLE, _VECTOR) for entry in entries()]
    serving = [(entry, _SERVING, _SERVING_VECTOR) for entry in serving_entries()]
    for entry, single, vector in training + serving:
        if entry.id in gym.registry:
            continue
        gym.register(
            id=entry.id,
            entry_point=single,
            vector_entry_point=vector,
            kwargs=entry.kwargs,
            # A vector reward is not Gymnasium's scalar; MO-Gymnasium's wrappers expect the raw environment.
            disable_env_checker="vector_reward" in entry.kwargs,
            order_enforce=True,
        )


def find_entry(env_id: str) -> Entry:
    """The entry of an id, of training or of serving; ValueError with a suggestion if there is none."""
    known = {entry.id: entry for entry in (*entries(), *serving_entries())}
    if env_id in known:
        return known[env_id]
    raise ValueError(f"env: {env_id!r} is not an environment of frugalfl; {suggest(env_id, known)}")


def make_vec_env(env_id: str, num_envs: int = 1, split: str = "train", **kwargs: object) -> FederatedVecEnv:
    """A Stable-Baselines3 `VecEnv` of an id, all environments in one batch.

    Args:
        env_id: an id of the table with a scalar reward.
        num_envs: E.
        split: "train", "val" or "test".
        **kwargs: as for `FederatedVecEnv`: `render_mode`, `max_episode_steps`, and those of `FederatedEnv`;
            `n_envs`, Stable-Baselines3's word for `num_envs`.
    """
    from .adapters.sb3_serving_env import ServingVecEnv
    from .adapters.sb3_vec_env import FederatedVecEnv

    entry = find_entry(env_id)
    if entry.kwargs.get("vector_reward"):
        scalar = env_id.replace("mo-", "")
        raise ValueError(f"env: {env_id!r} has a vector reward; use {scalar!r}")
    if "n_envs" in kwargs:
        num_envs = cast(int, kwargs.pop("n_envs"))
    given = {"split": split, **entry.kwargs, **kwargs}
    made = ServingVecEnv if entry in serving_entries() else FederatedVecEnv
    venv = made(num_envs=num_envs, **given)  # type: ignore[arg-type]
    given.pop("max_episode_steps", None)  # a field of the spec itself
    venv.spec = replace(gym.spec(env_id), kwargs=given)
    return venv
