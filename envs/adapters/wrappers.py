"""Other action spaces around an environment made with levels; the `action=` keyword does the same."""

from __future__ import annotations

import gymnasium as gym

from ...common.arrays import AnyArray
from ..agent_view import DEFAULT_MENU, AnyObservation, Menu
from .federated_env import FederatedEnv


class SchedulerMenu(gym.Wrapper[AnyObservation, AnyArray, AnyObservation, AnyArray]):
    """`Discrete(K)` actions: which scheduler of a menu plans the round (for DQN and the like).

    Args:
        env: a `FederatedEnv`, wrapped or not.
        menu: see `MenuMode`.
    """

    def __init__(self, env: gym.Env[AnyObservation, AnyArray], menu: Menu = DEFAULT_MENU):
        _federated(env).use_action("discrete", menu)
        super().__init__(env)


class ClientScores(gym.Wrapper[AnyObservation, AnyArray, AnyObservation, AnyArray]):
    """`Box` actions: a score per client and four numbers for the round (for SAC, TD3 and the like).

    Args:
        env: a `FederatedEnv`, wrapped or not.
    """

    def __init__(self, env: gym.Env[AnyObservation, AnyArray]):
        _federated(env).use_action("scores")
        super().__init__(env)


def _federated(env: gym.Env[AnyObservation, AnyArray]) -> FederatedEnv:
    inner = env.unwrapped
    if not isinstance(inner, FederatedEnv):
        raise ValueError(f"env: {type(inner).__name__}, expected an environment of frugalfl")
    return inner
