"""E worlds of serving stepped in one call as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

from ..serving_view import ServingView
from .sb3_vec_env import FederatedVecEnv
from .serving_env import ServingViewer


class ServingVecEnv(FederatedVecEnv):
    """What SB3's algorithms train on; see `ServingEnv` and `FederatedVecEnv`.

    Args:
        scenario: see `ServingEnv`.
        num_envs: E.
        **keywords: as of `FederatedVecEnv`.
    """

    view_type = ServingView  # type: ignore[assignment]  # of other situations, plans and outcomes
    viewer_type = ServingViewer

    def __init__(self, scenario: object = "serving", num_envs: int = 1, **keywords: object):
        super().__init__(scenario, num_envs, **keywords)  # type: ignore[arg-type]
