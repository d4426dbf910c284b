"""Clients that lie in a core: how, and who in which episode."""

from __future__ import annotations

from abc import ABC
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Bools, Ints
from ...common.settings import Spec
from ..aggregation import ATTACKS, Attack, lengths_of
from ..training import LocalUpdates
from .snapshots import Snapshots


class Threatened(Snapshots, ABC):
    """A core some of whose clients may lie.

    Attributes:
        attack: what liars do; None, the default: nobody lies.
    """

    attack: Attack | None = None
    _params: AnyArray

    def threaten(self, attack: Spec | Attack) -> None:
        """Let some clients lie from now on: name, mapping with settings, or an `Attack`; see `mark_liars`.

        Raises:
            ValueError: one line: an attack that is unknown, or makes no sense here.
        """
        self.attack = ATTACKS.make(attack)
        self.attack.bind(self.num_envs, self.num_clients, self._params.shape[1], self._params.dtype)

    def mark_liars(self, env: int, liars: Bools) -> None:
        """Say who of the clients `[N]` lies in the episode that begins; nobody does until then.

        Raises:
            ValueError: nothing was said of how they lie.
        """
        if self.attack is None:
            raise ValueError("attack: None, expected one, see `threaten`")
        self.attack.reset(env, liars)

    @property
    def liars(self) -> Bools:
        """Bool `[E, N]`, who lies; for evaluators only (a fresh copy)."""
        if self.attack is None:
            return np.zeros(self._held.shape, dtype=np.bool_)
        return np.array(self.attack.memory["liars"])

    def _trust(self, env: int) -> None:
        """Nobody lies in the episode that begins."""
        if self.attack is not None:
            self.attack.reset(env, np.zeros(self.num_clients, dtype=np.bool_))

    def _sent(self, env: Ints, client: Ints, updates: LocalUpdates) -> LocalUpdates:
        """The updates of jobs as they are sent: honest ones as they are, lies with their own lengths."""
        if self.attack is None:
            return updates
        delta, lies = self.attack.send(env, client, updates.delta)
        length = lengths_of(delta).astype(np.float32)
        return replace(updates, delta=delta, norm=np.where(lies, length, updates.norm))
