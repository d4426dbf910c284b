"""Specifications of environments for Gymnasium, true to the environment that was made."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from gymnasium.envs.registration import EnvSpec

from ..scenario import plain


def completed_spec(spec: EnvSpec | None, max_episode_steps: int) -> EnvSpec | None:
    """A spec with the limit that its episodes have, and with keywords that JSON can hold.

    The limit follows from the scenario and the keywords, hence the registry cannot know it.

    Args:
        spec: as Gymnasium hands it to an environment; None: not made by an id.
        max_episode_steps: the most steps that an episode can have.
    """
    if spec is None:
        return None
    limit = max_episode_steps if spec.max_episode_steps is None else spec.max_episode_steps
    return replace(spec, max_episode_steps=limit, kwargs=cast("dict[str, object]", plain(spec.kwargs)))
