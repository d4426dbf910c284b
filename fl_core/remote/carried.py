"""Compression that has been done where the update was made."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray
from ..aggregation import Compression, DType


class Carried(Compression):
    """What a compression is to a server whose clients really compress: it gets what was decoded.

    What a client adds to its next update stays with the client. The server notes in which round its last
    update counted, since the rest of any other is not to be added.

    Args:
        inner: what the clients do.

    Attributes:
        inner: likewise.
        memory: `counted [E, N]`, the round of the last update that entered the model, plus 1; 0 = none.
        round_index: of the round whose updates come next.
    """

    def __init__(self, inner: Compression) -> None:
        super().__init__()
        self.inner, self.name, self.takes_bits = inner, inner.name, inner.takes_bits
        self.round_index = 0

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        self.memory = {"counted": np.zeros((num_envs, num_clients), dtype=np.int64)}

    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """See `Compression.upload_bytes`."""
        choice = (bits,) if self.takes_bits else ()
        return self.inner.upload_bytes(num_parameters, *choice)

    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
        """See `Compression.send`; it was decoded before."""
        self.memory["counted"][env, client] = self.round_index + 1
        return delta

    def last_round(self, client: int) -> int:
        """The round in which this client's last update counted; -1 = none since its session began."""
        return int(self.memory["counted"][0, client]) - 1
