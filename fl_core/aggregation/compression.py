"""Compressed updates and the bytes they really take: top-k sparsification, 8-bit quantisation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray
from ...common.registry import Registry
from ...common.settings import Settings
from .base import DType, State

_VALUE_BYTES, _INDEX_BYTES = 4, 4


class Compression(ABC):
    """What happens to an update between the client and the server.

    Attributes:
        name: the name it is known by.
    """

    name = ""

    def __init__(self) -> None:
        self.memory: State = {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """Allocate memory, if any; called once by the core."""
        self.memory = {}

    def reset(self, env: int) -> None:
        """Forget everything about one environment."""
        for table in self.memory.values():
            table[env] = 0

    @abstractmethod
    def upload_bytes(self, num_parameters: int) -> int:
        """Bytes of one update of P parameters on the wire."""

    @abstractmethod
    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """What the server decodes from the updates `delta [J, P]`."""


COMPRESSIONS: Registry[Compression] = Registry("compression", Compression)
"""Compressions of updates by name."""


@COMPRESSIONS.register("top-k")
class TopK(Compression):
    """Sends the `share` of coordinates with the largest absolute values, each with its index.

    With error feedback a client adds what it could not send to its next update (Stich et al., "Sparsified SGD
    with Memory", NeurIPS 2018).

    Args:
        share: share of the coordinates that is sent.
        error_feedback: whether clients remember the rest; costs a table of one update per client.
    """

    name = "top-k"

    class Options(Settings):
        """Settings of the compression, see the class."""

        share: float = Field(default=0.1, gt=0, le=1)
        error_feedback: bool = False

    def __init__(self, share: float = 0.1, error_feedback: bool = False) -> None:
        super().__init__()
        self._share, self._feedback = share, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self._feedback else {}

    def _count(self, num_parameters: int) -> int:
        return max(1, math.ceil(self._share * num_parameters))

    def upload_bytes(self, num_parameters: int) -> int:
        """See `Compression.upload_bytes`."""
        return self._count(num_parameters) * (_VALUE_BYTES + _INDEX_BYTES)

    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """See `Compression.send`."""
        if self._feedback:
            delta = delta + self.memory["unsent"][env, client]
        count = self._count(delta.shape[1])
        sent = np.zeros_like(delta)
        if count < delta.shape[1]:
            largest = np.argpartition(-np.abs(delta), count - 1, axis=1)[:, :count]
            np.put_along_axis(sent, largest, np.take_along_axis(delta, largest, axis=1), axis=1)
        else:
            sent[...] = delta
        if self._feedback:
            self.memory["unsent"][env, client] = delta - sent
        return sent


@COMPRESSIONS.register("8-bit")
class EightBit(Compression):
    """Rounds coordinates to 255 levels between plus and minus the largest; one float gives the scale."""

    name = "8-bit"

    def upload_bytes(self, num_parameters: int) -> int:
        """See `Compression.upload_bytes`."""
        return num_parameters + _VALUE_BYTES

    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """See `Compression.send`."""
        scale = np.abs(delta).max(axis=1, keepdims=True, initial=0) / delta.dtype.type(127)
        levels = np.rint(np.divide(delta, scale, out=np.zeros_like(delta), where=scale > 0)).astype(np.int8)
        return np.asarray(levels * scale)
