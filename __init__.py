"""frugalfl: schedule a real federated training run on volatile resources.

Importing the package registers its environments with Gymnasium:

    import gymnasium as gym
    import frugalfl

    env = gym.make("frugalfl/Volunteers-v0")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .envs.registration import make_vec_env, register_all

if TYPE_CHECKING:
    from pathlib import Path

    from .agents.learned.scheduler import LearnedScheduler

__version__ = "0.1.0"
__all__ = ["__version__", "load_scheduler", "make_vec_env", "register_all"]


def load_scheduler(
    source: str | Path, scenario: Any = None, decision: str | None = None, **changes: Any
) -> LearnedScheduler:
    """A trained scheduler: "volunteers-ppo", "phones-ppo", "spotmarket-ppo", or a folder with a model card.

    Args:
        source: name of one that comes with the package, or a folder that `frugalfl export` has written.
        scenario: the world to play in, anything `load_scenario` takes; None: the one it was trained in.
        decision: how plans are taken from its probabilities: count, mode or sample; None: what did best.
        **changes: fields of the scenario to replace, such as `clients=2400`.

    Raises:
        ValueError: one line: nobody of that name, a damaged file, or a world that the weights do not fit.
    """
    # Imported late: registration needs no torch.
    from .agents.zoo import load_scheduler as load

    return load(source, scenario, decision, **changes)


register_all()
