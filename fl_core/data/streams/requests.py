"""The contents of requests: rows by a client's label mix and present concept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....common.arrays import Floats, Ints, Ints32
from ..client_rows import ClientRows
from ..dataset import Dataset
from .requests_kernels import Sources, rows_asked, which_labelled

_LABELLED = np.uint64(0x1ABE1)


@dataclass(frozen=True)
class StreamTask:
    """What N clients are asked; a `Task` of which nobody holds a row at first."""

    dealt: ClientRows  # the rows of concept 0 that each client's requests are like
    mixes: Floats  # [N, M, L] label frequencies, before each change of them

    @property
    def own(self) -> Ints32:
        """`[N]`, rows that each client has from the start: none."""
        return np.zeros(self.dealt.own.size, dtype=np.int32)

    @property
    def capacity(self) -> Ints32:
        """`[N]`, rows that the hub could make it hold: none."""
        return self.own

    @property
    def target_weight(self) -> Floats:
        """`[N]`, share of each client in the objective."""
        return self.dealt.target_weight


def in_order(dealt: ClientRows, first: int) -> ClientRows:
    """The same rows, each client's in the order of the data set, from the first at or behind `first` on."""
    client = np.repeat(np.arange(dealt.own.size), dealt.capacity)
    order = np.lexsort((dealt.rows, dealt.rows < first, client))
    return replace(dealt, rows=dealt.rows[order])


class RequestRows:
    """Which rows the clients of E environments are asked.

    Args:
        dataset: the rows of concept 0.
        num_envs: E.
        num_clients: N.
        mixed: every request is any row of the data set with a label by the client's mix; else a client's own
            rows come in their order, again and again.
    """

    def __init__(self, dataset: Dataset, num_envs: int, num_clients: int, mixed: bool) -> None:
        labels, classes = dataset.y_train[: dataset.num_rows], dataset.num_classes
        self._mixed = mixed
        self._sources = Sources(
            seeds=np.zeros(num_envs, dtype=np.uint64),
            rows=np.zeros((num_envs, 1), dtype=np.int32),
            offset=np.zeros((num_envs, num_clients + 1), dtype=np.int64),
            cumulative=np.zeros((num_envs, num_clients, 1, classes)),
            by_label=np.argsort(labels, kind="stable").astype(np.int32),
            label_first=np.searchsorted(np.sort(labels), np.arange(classes + 1)).astype(np.int64),
        )

    def reset(self, env: int, task: StreamTask, seed: np.uint64) -> None:
        """Begin a new episode in an environment."""
        self._widen(task.dealt.rows.size, task.mixes.shape[1])
        s = self._sources
        s.seeds[env] = seed
        s.rows[env, : task.dealt.rows.size] = task.dealt.rows
        s.offset[env] = task.dealt.offset
        stages = task.mixes.shape[1]
        s.cumulative[env, :, :stages] = np.cumsum(task.mixes, axis=2)
        s.cumulative[env, :, stages:] = s.cumulative[env, :, stages - 1, None]

    def asked(self, env: Ints, client: Ints, begin: Ints, first: Ints, stage: Ints) -> Ints32:
        """Rows of concept 0, `[R]`, of the requests of J spans; see `rows_asked`."""
        stage = np.minimum(stage, self._sources.cumulative.shape[2] - 1)
        return rows_asked(env, client, begin, first, stage, self._mixed, self._sources)

    def labelled(self, env: Ints, client: Ints, number: Ints, share: float) -> Ints:
        """Positions of those requests `[R]` whose label is ever known, a share of all."""
        if share >= 1.0:
            return np.arange(env.size)
        return which_labelled(self._sources.seeds ^ _LABELLED, env, client, number, share)

    def label_mix(self) -> Floats:
        """Label frequencies `[E, N, L]` of what the clients are asked before anything drifts."""
        return np.diff(self._sources.cumulative[:, :, 0], axis=2, prepend=0.0)

    def _widen(self, rows: int, stages: int) -> None:
        """Make room for episodes of so many rows and stages."""
        s = self._sources
        if rows > s.rows.shape[1]:
            s = s._replace(rows=np.pad(s.rows, ((0, 0), (0, rows - s.rows.shape[1]))))
        missing = stages - s.cumulative.shape[2]
        if missing > 0:
            s = s._replace(
                cumulative=np.pad(s.cumulative, ((0, 0), (0, 0), (0, missing), (0, 0)), mode="edge")
            )
        self._sources = s
