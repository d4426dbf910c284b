"""The memories of clients: which of the labelled rows that came they still hold."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ....common.arrays import AnyArray, Bools, Floats, Ints, Ints32
from ....common.settings import Settings
from .memory_kernels import BALANCED, FIFO, RESERVOIR, STATIC, Tables, remember

_RULES = {"fifo": FIFO, "reservoir": RESERVOIR, "static": STATIC, "balanced": BALANCED}
_STREAM = np.uint64(0x3E3042)


class Memory(Settings):
    """What clients keep of what they were asked, once they know the answers.

    `fifo` keeps the last rows, `static` the first, `reservoir` a uniform sample of all so far (Vitter 1985,
    algorithm R), `balanced` one that is as even over labels as the stream allows (class-balancing reservoir
    sampling, Chrysakis and Moens 2020).

    Attributes:
        rule: one of the four.
        rows: most rows that a client keeps.
        label_delay_s: seconds between a request and its true label.
        labelled: share of the requests whose label is ever known.
        ephemeral: whether a client's memory is lost when its session ends.
    """

    rule: Literal["fifo", "reservoir", "static", "balanced"] = "fifo"
    rows: Annotated[int, Field(ge=1, le=1_000_000)] = 40
    label_delay_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1800.0
    labelled: Annotated[float, Field(gt=0, le=1)] = 1.0
    ephemeral: bool = False


class Memories:
    """Labelled rows that N clients of E environments keep.

    Args:
        settings: the rule.
        num_envs: E.
        num_clients: N.
        labels: of all rows of the data set.
        num_classes: L.

    Attributes:
        rows: most that a client keeps.
        tables: what they keep.
    """

    def __init__(
        self, settings: Memory, num_envs: int, num_clients: int, labels: Ints32, num_classes: int
    ) -> None:
        self._rule, self._labels, self.rows = _RULES[settings.rule], labels, settings.rows
        self._seeds = np.zeros(num_envs, dtype=np.uint64)
        shape = (num_envs, num_clients)
        self.tables = Tables(
            kept=np.zeros((*shape, settings.rows), dtype=np.int32),
            since_s=np.zeros((*shape, settings.rows)),
            held=np.zeros(shape, dtype=np.int64),
            seen=np.zeros(shape, dtype=np.int64),
            offered=np.zeros((*shape, num_classes), dtype=np.int64),
            full=np.zeros((*shape, num_classes), dtype=np.bool_),
        )

    def reset(self, env: int, seed: np.uint64) -> None:
        """Nobody in an environment remembers anything; its draws follow the seed."""
        self._seeds[env] = seed ^ _STREAM
        for table in self.tables:
            table[env] = 0

    def of(self, env: int, client: int) -> Tables:
        """What one client keeps, tables without their first two dimensions; copies."""
        return Tables(*(np.array(table[env, client]) for table in self.tables))

    def put(self, env: int, client: int, kept: Tables) -> None:
        """One client keeps what `of` has told, and nothing else."""
        tables: tuple[AnyArray, ...] = self.tables
        for table, mine in zip(tables, kept, strict=True):
            table[env, client] = mine

    def forget(self, who: Bools) -> None:
        """These clients `[E, N]` have lost their memories."""
        for table in self.tables:
            table[who] = 0

    def offer(self, env: Ints, client: Ints, rows: Ints32, moments_s: Floats) -> None:
        """Labelled rows `[R]` that clients have learned of, in this order."""
        remember(self._rule, self._seeds, env, client, rows, moments_s, self._labels, self.tables)

    @property
    def count(self) -> Ints:
        """`[E, N]`, rows kept."""
        return self.tables.held.copy()

    def mean_age_s(self, time_s: Floats) -> Floats:
        """Mean age `[E, N]` of the rows kept at `time_s` `[E]`; 0 without any."""
        count = self.tables.held
        used = np.arange(self.tables.kept.shape[2]) < count[:, :, None]
        since_s = self.tables.since_s.sum(axis=2, where=used)
        age_s: Floats = np.where(count > 0, time_s[:, None] - since_s / np.maximum(count, 1), 0.0)
        return age_s
