"""Who holds which rows: N clients in each of E environments, and their shares of the objective."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints, Ints32


class Task(Protocol):
    """What N clients train on in one episode: a partition of rows, or quadratics."""

    @property
    def own(self) -> Ints32:
        """`[N]`, rows each client has from the start."""

    @property
    def capacity(self) -> Ints32:
        """`[N]`, rows each client holds once everything has been sent."""

    @property
    def target_weight(self) -> Floats:
        """`[N]`, share alpha_k of each client in the objective; sums to 1."""


class Holdings:
    """How many rows of its sequence each client holds: own rows first, then those that the hub sent.

    Args:
        num_envs: E.
        num_clients: N.

    Raises:
        ValueError: if either is below 1.
    """

    def __init__(self, num_envs: int, num_clients: int) -> None:
        for name, count in (("num_envs", num_envs), ("num_clients", num_clients)):
            if count < 1:
                raise ValueError(f"{name}: {count}, expected at least 1")
        self.num_envs, self.num_clients = num_envs, num_clients
        self._offset = np.zeros((num_envs, num_clients + 1), dtype=np.int64)
        # The differences of the offsets, asked for several times a step.
        self._capacity = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._own = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._held = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._target_weight = np.full((num_envs, num_clients), 1.0 / num_clients)

    @property
    def capacity(self) -> Ints32:
        """`[E, N]`, rows each client holds once everything has been sent (a fresh copy)."""
        return self._capacity.copy()

    @property
    def own(self) -> Ints32:
        """`[E, N]`, rows each client has from the start (a fresh copy)."""
        return self._own.copy()

    @property
    def held(self) -> Ints32:
        """`[E, N]`, rows each client holds now (a fresh copy)."""
        return self._held.copy()

    @property
    def target_weight(self) -> Floats:
        """`[E, N]`, share alpha_k of each client in the objective (a fresh copy)."""
        return self._target_weight.copy()

    def hold(self, held: AnyArray) -> None:
        """Say how many rows of its sequence each client holds now.

        Args:
            held: int `[E, N]` with `own <= held <= capacity`.

        Raises:
            ValueError: naming the first client that is out of range.
        """
        held = np.asarray(held)
        if held.shape != self._held.shape:
            raise ValueError(f"held: shape {held.shape}, expected {self._held.shape}")
        bad = (held < self._own) | (held > self._capacity)
        if bad.any():
            e, k = np.argwhere(bad)[0]
            low, high = self._own[e, k], self._offset[e, k + 1] - self._offset[e, k]
            raise ValueError(f"held[{e}, {k}]: {held[e, k]}, expected own={low} to capacity={high}")
        self._held[...] = held

    def _deal(self, env: int, task: Task) -> None:
        """Start one environment afresh: everyone holds its own rows."""
        if task.own.size != self.num_clients:
            raise ValueError(f"client_rows: {task.own.size} clients, expected {self.num_clients}")
        self._offset[env] = np.concatenate([[0], np.cumsum(task.capacity, dtype=np.int64)])
        self._capacity[env] = task.capacity
        self._own[env] = self._held[env] = task.own
        self._target_weight[env] = task.target_weight

    def _workers(self, asked: Bools) -> tuple[Ints, Ints]:
        """Environments and clients asked for that hold any rows."""
        env, client = np.nonzero(asked)
        holds = self._held[env, client] > 0
        return env[holds], client[holds]

    def _spread(self, env: AnyArray, client: AnyArray, values: AnyArray) -> AnyArray:
        """`float32 [E, N]` with the jobs' values in place and nan elsewhere."""
        out: AnyArray = np.full((self.num_envs, self.num_clients), np.nan, dtype=np.float32)
        out[env, client] = values
        return out
