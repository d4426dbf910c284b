"""What every worker's optimiser remembers from round to round, until its session ends."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Bools, Ints
from ...common.sizes import check_values
from ..training import Moments

MOST_VALUES = 2**31
"""Numbers of one table; 8 GiB."""


class WorkerMemory:
    """`Moments` of N workers in each of E environments; who has just joined remembers nothing.

    A worker's moments are never sent: they stay where they are, and are gone with its session. They are those
    of its last update that arrived; a worker whose work was cancelled goes on from there.

    Args:
        num_envs: E.
        num_clients: N.
        num_parameters: P.

    Attributes:
        tables: the moments' arrays by name, `[E, N, P]`, and the steps they have seen, `[E, N]`.

    Raises:
        ValueError: if they would not fit into the memory.
    """

    def __init__(self, num_envs: int, num_clients: int, num_parameters: int) -> None:
        shape = (num_envs, num_clients, num_parameters)
        check_values(
            f"training: optimiser: moments of {num_envs} x {num_clients} workers",
            *shape,
            do="use fewer environments or clients, or optimiser: sgd",
            most=MOST_VALUES,
        )
        self.tables = {
            "first": np.zeros(shape, np.float32),
            "second": np.zeros(shape, np.float32),
            "steps": np.zeros(shape[:2], np.int64),
        }

    def of(self, env: Ints, client: Ints) -> Moments:
        """A copy of what these workers remember."""
        return Moments(*(table[env, client] for table in self.tables.values()))

    def keep(self, env: Ints, client: Ints, moments: Moments, sound: Bools) -> None:
        """Store what these workers remember now; those whose training was not `sound` begin anew."""
        for name, table in self.tables.items():
            table[env, client] = getattr(moments, name)
        broken = ~sound
        self._clear((env[broken], client[broken]))

    def forget(self, gone: Bools) -> None:
        """The sessions of these workers `[E, N]` have ended."""
        self._clear(np.nonzero(gone))

    def reset(self, env: int) -> None:
        """Everybody in an environment begins anew."""
        self._clear((env,))

    def _clear(self, where: tuple[AnyArray | int, ...]) -> None:
        for table in self.tables.values():
            table[where] = 0
