"""Parts of the model exchanged in turn while workers keep their own: Streaming DiLoCo.

Douillard et al., "Streaming DiLoCo with overlapping communication" (arXiv 2501.18512): the parameters are cut
into F fragments, each round exchanges one of them, and a worker trains on from its own parameters, in which
the fragment that it exchanged last is mixed with the server's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints
from ...common.settings import Settings
from ...common.sizes import check_values
from ..aggregation import Arrivals, Start
from ..training import LocalUpdates
from .base import Task
from .on_data import FederatedCore
from .worker_memory import MOST_VALUES


class Fragments(Settings):
    """How much of the model a round exchanges.

    Attributes:
        count: F, fragments of equal length, exchanged in turn; 1 = the whole model, always.
        mix: alpha, the share of a worker's own parameters that it keeps of a fragment it has exchanged; 0 =
            it takes the server's.
    """

    count: int = Field(default=1, ge=1, le=64)
    mix: float = Field(default=0.0, ge=0, lt=1)


class FragmentedCore(FederatedCore):
    """A federation whose workers exchange one fragment a round and keep a model of their own.

    A worker that begins a session fetches the whole model. From then on, a round in which it takes part
    begins with the fragment that it exchanged last, and ends with all that it has changed of the round's
    fragment since it got that. Its model is that after its last update that arrived, and is gone with its
    session.
    """

    _fragments = Fragments()

    def fragment(self, fragments: Fragments) -> None:
        """Cut the model; called once, before the first round.

        Raises:
            ValueError: if aggregator or compression remember more than one number for each parameter.
        """
        size = (self.num_envs, self.num_clients, self.model.num_parameters)
        check_values(
            f"fragments: models of {self.num_envs} x {self.num_clients} workers",
            *size,
            do="use fewer environments or clients, or fragments: {count: 1}",
            most=MOST_VALUES,
        )
        if fragments.count > self.model.num_parameters:
            raise ValueError(
                f"fragments: count: {fragments.count}, expected at most {self.model.num_parameters}, the "
                "parameters of the model"
            )
        whole = self._params.shape
        if any(table.shape != whole for table in self.aggregator.memory.values()) or (
            self.aggregator.moves_alone or self.aggregator.traffic != 1
        ):
            raise ValueError(
                f"fragments: count: {fragments.count}, expected 1 with aggregator {self.aggregator.name!r}, "
                "which remembers clients; use by-samples, diloco or another server optimiser"
            )
        if self.compression is not None and self.compression.memory:
            raise ValueError(
                f"fragments: count: {fragments.count}, expected 1 with compression "
                f"{self.compression.name!r} and error feedback; use error_feedback: false"
            )
        self._fragments = fragments
        self._models = np.zeros(size, np.float32)
        self._anchor = np.zeros(size, np.float32)
        self._last = np.full(size[:2], -1, dtype=np.int64)  # fragment exchanged last; -1 = not joined
        self._part_of = np.arange(whole[1]) * fragments.count // whole[1]
        self._anchors = np.zeros((0, whole[1]), np.float32)
        self._now = np.zeros(self.num_envs, dtype=np.int64)

    @property
    def exchange_share(self) -> float:
        """See `RoundEngine.exchange_share`."""
        return 1.0 / self._fragments.count

    @property
    def joining_share(self) -> Floats:
        """See `RoundEngine.joining_share`: the fragments that are not this round's."""
        return np.where(self._last < 0, 1.0 - self.exchange_share, 0.0)

    def upload_share_at(self, bits: int) -> float:
        """See `RoundEngine.upload_share_at`: of one fragment."""
        return super().upload_share_at(bits) * self.exchange_share

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`."""
        super().reset(env, task, seed)
        self._last[env] = -1

    def end_sessions(self, ended: Bools) -> None:
        """See `RoundEngine.end_sessions`: workers' own models, too."""
        super().end_sessions(ended)
        self._last[ended] = -1

    def _memories(self) -> dict[str, AnyArray]:
        own = {"own": self._models, "anchor": self._anchor, "last": self._last}
        return super()._memories() | {f"fragments.{name}": table for name, table in own.items()}

    def _start(self, env: Ints, client: Ints, staleness: AnyArray | None) -> tuple[Start, Ints]:
        """Every worker's own model, in which the fragment that it exchanged last is up to date."""
        start, late = super()._start(env, client, staleness)
        if late.any():
            raise ValueError("staleness: given, expected none where fragments are exchanged")
        last, server = self._last[env, client][:, None], self._params[env]
        mix, exchanged = np.float32(self._fragments.mix), self._part_of == last
        own, joins = self._models[env, client], last < 0
        own = np.where(exchanged, mix * own + (1 - mix) * server, own)
        self._anchors = np.where(exchanged | joins, server, self._anchor[env, client])
        return replace(start, pool=np.where(joins, server, own), origin=np.arange(env.size)), late

    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """What each worker has changed of the round's fragment since it last got it."""
        done = super()._local(env, client, steps, round_index, start)
        part, sound = round_index % self._fragments.count, np.isfinite(done.norm)
        self._models[env, client], self._anchor[env, client] = start.pool + done.delta, self._anchors
        self._last[env, client] = np.where(sound, part, -1)
        self._now[env] = part
        moved: Floats32 = done.delta + (start.pool - self._anchors)
        return replace(done, delta=np.where(self._part_of == part[:, None], moved, np.float32(0)))

    def _move(self, arrivals: Arrivals) -> Bools:
        """Move the round's fragment; the others, and what the aggregator remembers of them, stay."""
        elsewhere = self._part_of != self._now[:, None]
        params = self._params.copy()
        memory = {name: table.copy() for name, table in self.aggregator.memory.items()}
        broken = super()._move(arrivals)
        self._params[elsewhere] = params[elsewhere]
        for name, before in memory.items():
            self.aggregator.memory[name][elsewhere] = before[elsewhere]
        return broken
