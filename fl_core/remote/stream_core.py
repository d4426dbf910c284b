"""The coordinator's half of a federation whose clients answer requests and train on what they remember."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ..data.streams import StreamTask
from ..federation import Task
from .core import RemoteCore
from .orders import TrainOrder


class RemoteStreamCore(RemoteCore):
    """A `RemoteCore` of clients that hold what their memories keep; only how many rows that is is known here.

    Models are evaluated on the coordinator's own rows, which do not drift.
    """

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`; the task is a `StreamTask`, and nobody holds a row."""
        if not isinstance(task, StreamTask):
            raise ValueError(f"task: {type(task).__name__}, expected StreamTask")
        self._begin(env, task, seed, self.model.init(max(seed, 0)))
        if self._memory is not None:
            self._memory.reset(env)
        self._mix = task.mixes[None, :, 0].copy()

    def hold(self, held: AnyArray) -> None:
        """Say how many rows each client remembers `[1, N]`, all of them its own."""
        for table in (self._own, self._capacity, self._held):
            table[...] = held

    def words(self, clients: Ints, receivers: Bools, round_index: int) -> dict[int, TrainOrder]:
        """Orders without any steps, by which nodes tell what became known.

        Args:
            clients: int `[K]`, who is sent one.
            receivers: bool `[N]`, who is sent the present model along with it.
            round_index: index of the round.
        """
        blank = np.zeros(0, dtype=np.float32)
        orders = {client: self._blank_order(client, round_index) for client in clients.tolist()}
        return {
            client: order if receivers[client] else replace(order, params=blank)
            for client, order in orders.items()
        }

    def label_mix(self) -> Floats:
        """Label frequencies `[1, N, C]` of what the clients are asked at first."""
        return np.array(self._mix)
