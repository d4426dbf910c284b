"""Aggregators around others: what they remember, accept and send is the inner one's as well."""

from __future__ import annotations

from ...common.arrays import AnyArray, Bools, Ints
from .base import Aggregator, Arrivals, DType, Start, State

_INNER = "inner."


class Around(Aggregator):
    """An aggregator that changes what goes into another one, or what comes out of it.

    It accepts what both accept. The inner one's memory is part of its own, so that snapshots and resets hold
    for both.

    Args:
        inner: the other one.
    """

    def __init__(self, inner: Aggregator) -> None:
        super().__init__()
        self.inner = inner
        self.accepts_weights = self.accepts_weights and inner.accepts_weights
        self.accepts_late = self.accepts_late and inner.accepts_late
        self.accepts_decay = self.accepts_decay and inner.accepts_decay
        self.accepts_compression = self.accepts_compression and inner.accepts_compression
        self.moves_alone = inner.moves_alone
        self.traffic = inner.traffic

    @property
    def innermost(self) -> Aggregator:
        """The one that others are around."""
        return self.inner.innermost if isinstance(self.inner, Around) else self.inner

    def tables(self, num_envs: int, num_parameters: int, dtype: DType) -> State:
        """What it remembers itself, one row per environment."""
        return {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.inner.bind(num_envs, num_clients, num_parameters, dtype)
        kept = {f"{_INNER}{name}": table for name, table in self.inner.memory.items()}
        self.memory = self.tables(num_envs, num_parameters, dtype) | kept

    def reset(self, env: int, params: AnyArray, seed: int) -> None:
        """See `Aggregator.reset`."""
        self.inner.reset(env, params, seed)
        for name, table in self.memory.items():
            if not name.startswith(_INNER):
                table[env] = 0

    def prepare(self, env: Ints, client: Ints, params: AnyArray) -> Start:
        """See `Aggregator.prepare`."""
        return self.inner.prepare(env, client, params)

    def moves(self, arrivals: Arrivals) -> Bools:
        """See `Aggregator.moves`."""
        return self.inner.moves(arrivals)
