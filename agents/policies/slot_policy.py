"""Actor-critic policies for worlds of serving, that fit any number of slots."""

from __future__ import annotations

import math

import torch as th
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from ...envs.serving_view import SLOT_TABLE
from .client_set import Observation, is_available
from .element_policy import ElementPolicyMixin
from .initial_logits import share_logits
from .packed import level_mask
from .set_network import SetShape, flat_logits, fresh_networks

_COLUMNS = tuple(SLOT_TABLE)
LOADING = _COLUMNS.index("loading")
"""Index of the slot feature that is 1 while a model is on its way."""
_AFTER = len(_COLUMNS) - 1 - _COLUMNS.index("proposed_rung")
"""Slot features behind those that say what a slot is proposed."""
_FOLLOWED = 0.8
"""Probability that the untrained policy takes what a slot is proposed."""
_PARTS = ("slots", "tasks", "server", "zones")


class SlotPolicyMixin(ElementPolicyMixin):
    """The set policy with slots in the place of clients; not a policy by itself.

    It reads `slots`, `tasks`, `server` and `zones` of the observation and gives one categorical per dimension
    of `[release] + [threshold] * I + [1 + I M] * S`. The tasks, of which there are as many in every world of
    its kind, stand beside the server's numbers. It forbids by itself what the observation shows to be
    impossible: orders to slots that are away or loading. A learned number is added to the logit of the load
    that a slot is proposed, so that it begins by taking four proposals of five, whatever they are of.

    Args:
        observation_space: `Dict` with `slots [S, F]`, `tasks [I, G]`, `server [H]` and `zones [Z, K]`.
        action_space: `MultiDiscrete` as above.
        lr_schedule: learning rate by remaining progress (Stable-Baselines3 sets it).
        hidden: width of the networks.
        pooling: `mean-max` or `attention`.
        initial_share: probability that the untrained policy orders a slot to load that is proposed nothing,
            all models alike.
        **kwargs: passed on to Stable-Baselines3's `ActorCriticPolicy`.
    """

    elements = "slots"

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        hidden: int = 64,
        pooling: str = "mean-max",
        initial_share: float = 0.3,
        **kwargs: object,
    ):
        if not isinstance(observation_space, spaces.Dict) or set(observation_space.spaces) != set(_PARTS):
            raise ValueError(
                f"observation_space: {observation_space}, expected a Dict of {', '.join(_PARTS)}"
            )
        if not isinstance(action_space, spaces.MultiDiscrete):
            raise ValueError(f"action_space: {type(action_space).__name__}, expected MultiDiscrete")
        self.hidden, self.pooling, self.initial_share = hidden, pooling, initial_share
        self.num_clients = observation_space["slots"].shape[0]  # type: ignore[index]
        sizes = [int(size) for size in action_space.nvec]
        self._first = len(sizes) - self.num_clients  # the server's heads stand before the slots'
        self._server, self._loads = sum(sizes[: self._first]), sizes[-1]
        self._tasks = observation_space["tasks"].shape[0]  # type: ignore[index]
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)  # type: ignore[arg-type]

    def _build(self, lr_schedule: Schedule) -> None:
        sizes = {key: space.shape or () for key, space in self.observation_space.spaces.items()}
        tasks, features = sizes["tasks"]
        shape = SetShape(sizes["slots"][1], sizes["server"][0] + tasks * features, sizes["zones"][1])
        logits = share_logits(self._loads, self.initial_share)
        self.actor, self.critic = fresh_networks(
            shape, self._server, self._loads, self.hidden, self.pooling, [0.0], logits
        )
        keep = logits[0] + math.log(_FOLLOWED / (1.0 - _FOLLOWED))
        self.follow = nn.Parameter(th.tensor(keep))
        self._fresh_optimizer(lr_schedule)

    def _get_constructor_parameters(self) -> dict[str, object]:
        data = super()._get_constructor_parameters()
        data.update(hidden=self.hidden, pooling=self.pooling, initial_share=self.initial_share)
        return data

    def logits(self, obs: Observation) -> th.Tensor:
        """Flat logits `[B, sum(nvec)]` before any masking; zeros for the slots that are away."""
        found = flat_logits(self.actor, self.as_set(obs), self._loads)
        return th.cat([found[:, : self._server], found[:, self._server :] + self._proposed(obs)], dim=1)

    def possible(self, obs: Observation) -> th.Tensor:
        """Bool `[B, sum(nvec)]`: the choices that the observation does not rule out."""
        loadable = self.available(obs) & (obs["slots"][..., LOADING] < 0.5)
        server = loadable.new_ones((loadable.shape[0], self._server))
        return th.cat([server, level_mask(loadable, self._loads)], dim=1)

    def available(self, obs: Observation) -> th.Tensor:
        """Bool `[B, S]`: whose machine's session runs."""
        return is_available({"clients": obs["slots"]})

    def levels_of(self, actions: th.Tensor) -> th.Tensor:
        """What the slots load `[B, S]`, as a view of actions `[B, D]`."""
        return actions[:, self._first :]

    def _proposed(self, obs: Observation) -> th.Tensor:
        """`[B, S * loads]`, what proposals add to the logits of the loads that are proposed."""
        tasks, rungs = self._tasks, (self._loads - 1) // self._tasks
        last = obs["slots"].shape[-1] - _AFTER
        task = obs["slots"][..., last - rungs - tasks : last - rungs, None]
        rung = obs["slots"][..., None, last - rungs : last]
        models = (task * rung).flatten(2)
        return th.cat([th.zeros_like(models[..., :1]), self.follow * models], dim=2).flatten(1)

    def as_set(self, obs: Observation) -> Observation:
        """Slots for clients, the tasks' numbers beside the server's."""
        server = th.cat([obs["server"], obs["tasks"].flatten(1)], dim=1)
        return {"clients": obs["slots"], "server": server, "zones": obs["zones"]}
