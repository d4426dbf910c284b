"""frugalfl: schedule a real federated training run on volatile resources.

Importing the package registers its environments with Gymnasium:

    import gymnasium as gym
    import frugalfl

    env = gym.make("frugalfl/Volunteers-v0")
"""

from __future__ import annotations

from .envs.registration import make_vec_env, register_all

__version__ = "0.1.0"
__all__ = ["__version__", "make_vec_env", "register_all"]

register_all()
