"""The true future, shown to a critic while a policy is trained; whoever acts never sees it.

A critic that knows what will happen tells luck from skill, so that advantages are less noisy (asymmetric
actor-critic: Pinto et al., "Asymmetric Actor Critic for Image-Based Robot Learning", 2018).
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats, Floats32
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import Situation
from ..policies.set_policy import TRUE_CLIENTS, TRUE_ZONES


def with_foresight(space: spaces.Dict, carbon_leads: int) -> spaces.Dict:
    """The observations of a world of training, and what is to come of clients and grids beside them."""
    clients, zones = (space[name].shape or () for name in ("clients", "zones"))
    return spaces.Dict(
        {
            **space.spaces,
            TRUE_CLIENTS: spaces.Box(-1.0, 1.0, (clients[0], 2), np.float32),
            TRUE_ZONES: spaces.Box(-1.0, 1.0, (zones[0], carbon_leads), np.float32),
        }
    )


def foresight(situation: Situation) -> dict[str, Floats32]:
    """What is to come, bounded.

    Args:
        situation: with its future.

    Returns:
        `[E, N, 2]`, hours until the running session ends and until the next one begins, h / (1 + h); and
        `[E, Z, H]`, the hyperbolic tangent of the logarithm of the true intensity at each lead over the
        present one.
    """
    future = situation.future
    if future is None:
        raise ValueError("situation: no future, expected that of a simulated world")
    ends = np.stack([_share(future.session_left_s), _share(future.next_start_s)], axis=2)
    now = np.maximum(situation.zones.carbon_g_per_kwh, 1.0)[:, :, None]
    carbon = np.tanh(np.log(np.maximum(future.carbon_g_per_kwh, 1.0) / now))
    return {TRUE_CLIENTS: ends.astype(np.float32), TRUE_ZONES: carbon.astype(np.float32)}


def _share(seconds: Floats) -> Floats:
    """0 for none, one half for an hour, 1 for ever."""
    return np.asarray(1.0 - 1.0 / (1.0 + np.maximum(seconds, 0.0) / SECONDS_PER_HOUR))
