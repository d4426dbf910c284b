"""A scheduler as a policy of Stable-Baselines3's form, for loops that know only actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...common.arrays import AnyArray, Ints
from ...envs.agent_view import AgentView, AnyObservation, LevelsMode
from ...envs.contract import Preparing, Scheduler, scheduler_seeds
from ...envs.scenario import Scenario


class SchedulerPolicy:
    """Plays a scheduler in an environment with levels, through `predict` as of a Stable-Baselines3 model.

    It looks at the environment, not at the observation, so call it once for each step of that environment.
    Of a plan an action says the nearest levels; a scheduler's own aggregation weights are left to the
    aggregator, and an end of the run before the world's `first_stop` is dropped as of any agent.

    Args:
        make: makes a scheduler for a scenario; asked once for each batch of environments.
        env: a single environment, a batch, or a VecEnv, wrapped or not, in this process.

    Raises:
        ValueError: one line: not such an environment, other actions than levels, or a scheduler that has to
            see its episodes before.
    """

    def __init__(self, make: Callable[[Scenario], Scheduler], env: object):
        self._seats = [_Seat(make(view.scenario), view) for view in _views(env)]

    def predict(
        self,
        observation: AnyObservation,
        state: Any = None,
        episode_start: AnyArray | None = None,
        deterministic: bool = True,
    ) -> tuple[Ints, Any]:
        """The actions of all environments, or of the one if the observation has no row per environment.

        Args:
            observation: what the environment has shown; only its shape is looked at.
            state: handed back as it is.
            episode_start: not needed, the environments know when episodes begin.
            deterministic: not needed, a scheduler draws what it draws.
        """
        actions = np.concatenate([seat.actions() for seat in self._seats])
        return (actions if self._seats[0].is_batch(observation) else actions[0]), state

    __call__ = predict


class _Seat:
    """A scheduler in front of a batch of worlds."""

    def __init__(self, scheduler: Scheduler, view: AgentView):
        if isinstance(scheduler, Preparing):
            raise ValueError(
                f"scheduler: {scheduler.name!r} has to see its episodes before; expected one that just plays"
            )
        if not isinstance(view.action_mode, LevelsMode):
            raise ValueError(
                "env: no action of it can say what a scheduler plans, expected action: 'levels'; "
                "make an id without -discrete or -scores"
            )
        self._scheduler, self._view = scheduler, view
        self._begun = np.zeros(view.world.num_envs, dtype=np.int64)

    def actions(self) -> Ints:
        """Int `[E, D]`, of the present situation."""
        view, scheduler = self._view, self._scheduler
        fresh = view.episodes_begun > self._begun
        if fresh.any():
            scheduler.reset(fresh, scheduler_seeds(view.episode_seeds), view.scenario.clients)
            self._begun = view.episodes_begun.copy()
        if not self._begun.all():
            raise ValueError("predict: no episode has begun; reset the environment first")
        situation = view.world.situation(clairvoyant=True) if scheduler.clairvoyant else view.situation
        plan = scheduler.plan(situation)
        if plan.is_probe.any():
            raise ValueError(
                f"scheduler: {scheduler.name!r} asks clients for their losses, which no action can say; "
                "play it with frugalfl.evaluate or frugalfl.worlds.rollout"
            )
        return view.codec.encode(plan)

    def is_batch(self, observation: AnyObservation) -> bool:
        """Whether an observation has a row for each environment."""
        space = self._view.observation_space
        if isinstance(observation, dict):
            return observation["server"].ndim == 2
        return np.ndim(observation) > len(space.shape or (0,))


def _views(env: object) -> list[AgentView]:
    """The batches of worlds behind an environment, in the order of its rows."""
    inner = getattr(env, "unwrapped", env)
    view = getattr(inner, "agent_view", None)
    if isinstance(view, AgentView):
        return [view]
    members = getattr(inner, "envs", None)
    if isinstance(members, list | tuple) and members:
        return [each for member in members for each in _views(member)]
    raise ValueError(
        f"env: {type(inner).__name__}, expected an environment of frugalfl in this process: single, batched, "
        "from make_vec_env, or in a DummyVecEnv or SyncVectorEnv"
    )
