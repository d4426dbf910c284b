"""What Gymnasium writes down of an environment, and what it may be made with."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from gymnasium.envs.registration import EnvSpec

from ...common.spelling import suggest
from ..agent_view import AgentView
from ..scenario import plain
from .viewer import Viewer


class UnknownKeyword(TypeError, ValueError):
    """A constructor was given a keyword that it does not have.

    Python raises a TypeError for it, and TorchRL leaves a keyword out that was refused in its words; of this
    package one expects a ValueError.
    """


def refuse_unknown_keywords(made: type[HasSpec], changes: Iterable[str]) -> None:
    """Refuse keywords that are neither arguments of an environment's class nor fields of a scenario.

    Args:
        made: the class.
        changes: names of the keywords that its signature does not have.

    Raises:
        UnknownKeyword: one line with a suggestion.
    """
    known = made.view_type.scenario_type.model_fields
    for name in changes:
        if name not in known:
            own = [
                each.name
                for source in (made, made.view_type)
                for each in inspect.signature(source).parameters.values()
                if each.kind is not each.VAR_KEYWORD
            ]
            hint = suggest(name, [*own, *known])
            raise UnknownKeyword(f"{made.__name__} got an unexpected keyword argument {name!r}; {hint}")


class HasSpec:
    """What Gymnasium's environments, single and batched, and our VecEnv have in common: a spec made true."""

    view_type: type[AgentView] = AgentView
    """What stands between the world and the agent; another class of worlds brings its own."""

    viewer_type: type[Viewer] = Viewer
    """What draws an episode."""

    agent_view: AgentView
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How Gymnasium makes one of the environments, with the limit of steps; None without an id."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = completed_spec(spec, self.agent_view.max_episode_steps)


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
