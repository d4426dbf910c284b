"""Actions by levels (MultiDiscrete): their layout, and from an action to a `RoundPlan` and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...common.arrays import AnyArray, Bools, Floats, Ints, Ints32
from ..contract import LEFT_OPEN, STOP_S, RoundPlan, Situation, said_of
from .actions_kernels import look_up

Levels = tuple[float, ...]

FURTHER = ("server_step", "upload_bits", "refresh", "ask_below")
"""Decisions of the server that a world may offer beside wait and quorum, in the order of an action."""
_WHOLE = ("upload_bits", "refresh")
"""Those whose levels are whole numbers."""


@dataclass(frozen=True)
class ActionLayout:
    """The levels behind a `MultiDiscrete` action, the server's heads before the clients'.

    `[wait, quorum] (+ [server step]) (+ [upload bits]) (+ [refresh]) (+ [ask below])
    + [steps] * N (+ [transfer] * N)`

    Attributes:
        num_clients: N.
        wait_s: seconds to wait; the first is 0 (train now), infinity ends the run.
        quorum: shares of the invited updates to wait for.
        local_steps: local SGD steps; the first is 0 (not invited).
        transfer_samples: samples to send along; the first is 0. A single level means that no data is moved
            and the action has no such part.
        server_step: factors on the server's learning rate. A single level means that the server's step is no
            decision and the action has no such part.
        upload_bits: of the updates' coordinates. None: no decision, and the action has no such part.
        first_stop: training rounds before which the end of the run is masked.
        refresh: who may be sent the new model after a round, as `RoundPlan.refresh`. None or a single level:
            no decision, and the action has no such part.
        ask_below: confidences below which clients ask the hub. None or a single level: no decision, and the
            action has no such part.
    """

    num_clients: int
    wait_s: Levels
    quorum: Levels
    local_steps: tuple[int, ...]
    transfer_samples: tuple[int, ...] = (0,)
    server_step: Levels = (1.0,)
    upload_bits: tuple[int, ...] = ()
    first_stop: int = 0
    refresh: tuple[int, ...] = ()
    ask_below: Levels = ()

    @property
    def further(self) -> tuple[str, ...]:
        """The fields of a plan that are decisions of the server beside wait and quorum, in their order."""
        return tuple(name for name in FURTHER if len(getattr(self, name)) > 1)

    @property
    def server_heads(self) -> int:
        """Entries of an action that stand before the clients'."""
        return 2 + len(self.further)

    @property
    def moves_data(self) -> bool:
        """Whether the action has a transfer part."""
        return len(self.transfer_samples) > 1

    @property
    def nvec(self) -> Ints:
        """Int `[D]`, the number of choices of every dimension."""
        nvec = [len(self.wait_s), len(self.quorum)]
        nvec += [len(getattr(self, name)) for name in self.further]
        nvec += [len(self.local_steps)] * self.num_clients
        if self.moves_data:
            nvec += [len(self.transfer_samples)] * self.num_clients
        return np.array(nvec, dtype=np.int64)

    @property
    def space(self) -> spaces.MultiDiscrete:
        """The Gymnasium space of one environment's action."""
        return spaces.MultiDiscrete(self.nvec)


class ActionCodec:
    """Turns batches of actions into plans, and plans into the nearest actions."""

    def __init__(self, layout: ActionLayout):
        self.layout = layout
        self._wait_s = np.array(layout.wait_s, dtype=np.float64)
        self._quorum = np.array(layout.quorum, dtype=np.float64)
        self._steps = np.array(layout.local_steps, dtype=np.int32)
        self._transfer = np.array(layout.transfer_samples, dtype=np.int32)
        self._further = {name: further_levels(layout, name) for name in layout.further}
        self._nvec = layout.nvec

    def decode(self, actions: NDArray[np.integer]) -> RoundPlan:
        """Plan of the integer actions `[E, D]`; raises ValueError if one is outside the space."""
        layout = self.layout
        actions = np.asarray(actions)
        if actions.ndim != 2 or actions.shape[1] != self._nvec.size:
            raise ValueError(f"action: shape {actions.shape}, expected [E, {self._nvec.size}]")
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"action: dtype {actions.dtype}, expected integers")
        first = layout.server_heads
        local_steps, transfer, legal = look_up(actions, self._nvec, first, self._steps, self._transfer)
        if not legal:
            raise ValueError(f"action: {actions.tolist()}, expected 0 <= action < {layout.nvec.tolist()}")
        return RoundPlan(
            local_steps=local_steps,
            transfer_samples=transfer,
            quorum=self._quorum[actions[:, 1]],
            wait_s=self._wait_s[actions[:, 0]],
            **{
                name: levels[actions[:, 2 + place]]  # type: ignore[arg-type]
                for place, (name, levels) in enumerate(self._further.items())
            },
        )

    def encode(self, plan: RoundPlan) -> Ints:
        """The action `[E, D]` nearest to the plan, in which an invitation stays one and a wait a wait."""
        wait = nearest_level(self._wait_s, plan.wait_s)
        parts = [
            np.where((plan.wait_s > 0) & (wait == 0), 1, wait)[:, None],
            nearest_level(self._quorum, plan.quorum)[:, None],
        ]
        for name, levels in self._further.items():
            parts.append(nearest_level(levels.astype(np.float64), further_of(plan, name, levels))[:, None])
        parts.append(_nearest_positive(self._steps, plan.local_steps))
        if self.layout.moves_data:
            parts.append(nearest_level(self._transfer.astype(np.float64), plan.transfer_samples))
        return np.concatenate(parts, axis=1)

    def encode_legal(self, plan: RoundPlan, situation: Situation) -> Ints:
        """As `encode`, with the first legal choice where a head's own is forbidden."""
        actions, masks = self.encode(plan), self.masks(situation)
        first = np.concatenate([[0], np.cumsum(self._nvec)[:-1]])
        allowed = np.take_along_axis(masks, actions + first, axis=1)
        lowest = np.stack([part.argmax(axis=1) for part in np.split(masks, first[1:], axis=1)], axis=1)
        return np.where(allowed, actions, lowest)

    def masks(self, situation: Situation) -> Bools:
        """Legal choices, bool `[E, sum(nvec)]`, as sb3-contrib's MaskablePPO wants them.

        Clients that are unavailable can only be left out, clients with full storage can be sent nothing,
        training now is not offered when nobody is available, and neither is the end of the run before the
        layout's `first_stop` (where nothing else is left, a round without anybody is).
        """
        layout = self.layout
        num_envs, n = situation.clients.available.shape
        wait = np.ones((num_envs, len(layout.wait_s)), dtype=bool)
        wait[:, self._wait_s == 0] = np.any(situation.clients.available, axis=1, keepdims=True)
        wait[:, self._wait_s == STOP_S] = ~too_early(situation, layout.first_stop)[:, None]
        wait[:, 0] |= ~wait.any(axis=1)
        quorum = np.ones((num_envs, len(layout.quorum)), dtype=bool)
        parts = [wait, quorum]
        parts += [np.ones((num_envs, levels.size), dtype=bool) for levels in self._further.values()]
        parts.append(_level_mask(situation.clients.available, n, len(layout.local_steps)))
        if layout.moves_data:
            sendable = situation.clients.available & (situation.clients.storage_left > 0)
            parts.append(_level_mask(sendable, n, len(layout.transfer_samples)))
        return np.concatenate(parts, axis=1)


def further_levels(layout: ActionLayout, name: str) -> AnyArray:
    """The levels of one of `ActionLayout.further`, in the type of the plan's field."""
    return np.array(getattr(layout, name), dtype=np.int64 if name in _WHOLE else np.float64)


def further_of(plan: RoundPlan, name: str, levels: AnyArray) -> Floats:
    """What a plan says of one of `ActionLayout.further`, `[E]`; where it leaves it open, what that means.

    A plan without a factor means 1, one without refreshes or a threshold the last of the levels. The world's
    own bits are not known here: the most precise are taken.
    """
    said = said_of(plan, name)
    if name == "server_step":
        return np.asarray(said)
    return np.where(said == LEFT_OPEN[name], levels[-1], said).astype(np.float64)


def too_early(situation: Situation, first_stop: int) -> Bools:
    """Bool `[E]`: where an agent may not end the run yet."""
    return np.asarray(situation.run.round_index < first_stop)


def without_early_stops(plan: RoundPlan, situation: Situation, first_stop: int) -> RoundPlan:
    """The plan without the masked ends of a run: like an invitation to somebody who is away, one is dropped.

    What remains is a round in which nobody trains, as nobody does where a plan waits or stops.
    """
    early = (plan.wait_s == STOP_S) & too_early(situation, first_stop)
    if not early.any():
        return plan
    steps = np.where(early[:, None], 0, plan.local_steps).astype(np.int32)
    return replace(plan, wait_s=np.where(early, 0.0, plan.wait_s), local_steps=steps)


def _level_mask(allowed: Bools, num_clients: int, levels: int) -> Bools:
    mask = np.repeat(allowed[:, :, None], levels, axis=2)
    mask[:, :, 0] = True
    return mask.reshape(-1, num_clients * levels)


def nearest_level(levels: Floats, values: AnyArray) -> Ints:
    """Index of the nearest level; infinity matches only infinity."""
    finite = np.where(np.isfinite(levels), levels, 1e300)
    wanted = np.where(np.isfinite(values), values, 1e300)
    nearest: Ints = np.abs(finite - wanted[..., None]).argmin(axis=-1)
    return nearest


def _nearest_positive(levels: Ints32, values: Ints32) -> Ints:
    nearest = 1 + np.abs(levels[1:].astype(np.int64) - values[..., None]).argmin(axis=-1)
    return np.where(values > 0, nearest, 0)
