"""frugalfl: schedule a real federated training run on volatile resources.

Importing the package registers its environments with Gymnasium:

    import gymnasium as gym
    import frugalfl

    env = gym.make("frugalfl/Volunteers-v0")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .common.doors import lazy_door
from .envs.registration import make_vec_env, register_all

if TYPE_CHECKING:
    from pathlib import Path

    from .agents.evaluation import evaluate
    from .agents.learned.scheduler import LearnedScheduler
    from .agents.players import as_policy
    from .agents.reports import print_report
    from .agents.schedulers import make_scheduler
    from .agents.schedulers.base import plan_for, top_m
    from .envs.agent_view import observation_columns
    from .envs.scenario import load_scenario

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "as_policy",
    "evaluate",
    "load_scenario",
    "load_scheduler",
    "make_scheduler",
    "make_vec_env",
    "observation_columns",
    "plan_for",
    "print_report",
    "register_all",
    "top_m",
]

# Loaded when asked for: registration needs neither torch nor numba.
__getattr__, __dir__ = lazy_door(
    __name__,
    {
        "as_policy": ".agents.players",
        "evaluate": ".agents.evaluation",
        "load_scenario": ".envs.scenario",
        "make_scheduler": ".agents.schedulers",
        "observation_columns": ".envs.agent_view",
        "plan_for": ".agents.schedulers.base",
        "print_report": ".agents.reports",
        "top_m": ".agents.schedulers.base",
    },
)


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
