"""Compressed updates and the bytes they really take; top-k sparsification."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools, Floats32
from ...common.registry import Registry
from ...common.settings import Settings
from .base import Aggregator, Arrivals, DType, State

VALUE_BYTES, _INDEX_BYTES = 4, 4

Parcel: TypeAlias = tuple[AnyArray, ...]
"""One update as it travels."""


class Compression(ABC):
    """What happens to an update between the client and the server.

    Attributes:
        name: the name it is known by.
        takes_bits: whether `upload_bytes` and `send` take the bits of a coordinate from the plan.
        feeds_back: whether a client adds what was not sent of an update to its next one.
    """

    name = ""
    takes_bits = False
    feeds_back = False

    def __init__(self) -> None:
        self.memory: State = {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """Allocate memory, if any; called once by the core."""
        self.memory = {}

    def reset(self, env: int) -> None:
        """Forget everything about one environment."""
        for table in self.memory.values():
            table[env] = 0

    def forget(self, gone: Bools) -> None:
        """The sessions of these clients `[E, N]` have ended, and with them whatever they remember."""
        for table in self.memory.values():
            table[gone] = 0

    def check(self, aggregator: Aggregator) -> None:
        """Refuse an aggregator that makes no sense of compressed updates; ValueError."""
        if not aggregator.accepts_compression:
            raise ValueError(
                f"compression: {self.name!r}, expected none: aggregator {aggregator.name!r} needs exact "
                "updates"
            )

    def share(self, num_parameters: int, bits: int = 0) -> float:
        """Bytes of one update of P parameters over those of plain float32."""
        choice = (bits,) if self.takes_bits else ()
        return self.upload_bytes(num_parameters, *choice) / (VALUE_BYTES * num_parameters)

    def sent(self, arrivals: Arrivals, bits: AnyArray | None) -> AnyArray:
        """What the server decodes `[J, P]`; at `bits [E, N]`, where this compression takes them."""
        job = (arrivals.env, arrivals.client)
        choice = (bits[job],) if bits is not None and self.takes_bits else ()
        return self.send(*job, arrivals.delta, *choice)

    @abstractmethod
    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """Bytes of one update of P parameters on the wire, at so many bits each; 0 = its own."""

    @abstractmethod
    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
        """What the server decodes from the updates `delta [J, P]`, of `bits [J]`; 0, or None, are its own."""

    def parcel(self, num_parameters: int, bits: int = 0) -> tuple[tuple[str, int], ...]:
        """Dtype and length of the arrays of one update of P parameters on a real wire; () = it cannot travel.

        Their bytes are `upload_bytes`.
        """
        return ()

    def encode(self, delta: Floats32, bits: int = 0) -> Parcel:
        """One update `[P]`, with what its client adds to it, as the arrays of `parcel`."""
        raise NotImplementedError(f"compression: {self.name!r} does not say how updates travel")

    def decode(self, parcel: Parcel, num_parameters: int, bits: int = 0) -> Floats32:
        """The update `[P]` in a parcel: what `send` says the server decodes.

        Raises:
            ValueError: the arrays are those of `parcel`, and yet no update.
        """
        raise NotImplementedError(f"compression: {self.name!r} does not say how updates travel")


COMPRESSIONS: Registry[Compression] = Registry("compression", Compression)
"""Compressions of updates by name."""


@COMPRESSIONS.register("top-k")
class TopK(Compression):
    """Sends the `share` of coordinates with the largest absolute values, each with its index.

    With error feedback a client adds what it could not send to its next update (Stich et al., "Sparsified SGD
    with Memory", NeurIPS 2018), as long as its session lasts.

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
        self._share, self.feeds_back = share, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self.feeds_back else {}

    def _count(self, num_parameters: int) -> int:
        return max(1, math.ceil(self._share * num_parameters))

    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """See `Compression.upload_bytes`."""
        return self._count(num_parameters) * (VALUE_BYTES + _INDEX_BYTES)

    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
        """See `Compression.send`."""
        if self.feeds_back:
            delta = delta + self.memory["unsent"][env, client]
        count = self._count(delta.shape[1])
        sent = np.zeros_like(delta)
        if count < delta.shape[1]:
            largest = np.argpartition(-np.abs(delta), count - 1, axis=1)[:, :count]
            np.put_along_axis(sent, largest, np.take_along_axis(delta, largest, axis=1), axis=1)
        else:
            sent[...] = delta
        if self.feeds_back:
            self.memory["unsent"][env, client] = delta - sent
        return sent

    def parcel(self, num_parameters: int, bits: int = 0) -> tuple[tuple[str, int], ...]:
        """See `Compression.parcel`: the indices, then the values."""
        count = self._count(num_parameters)
        return (("int32", count), ("float32", count))

    def encode(self, delta: Floats32, bits: int = 0) -> Parcel:
        """See `Compression.encode`."""
        count = self._count(delta.size)
        largest = np.sort(np.argpartition(-np.abs(delta), count - 1)[:count]).astype(np.int32)
        return largest, delta[largest]

    def decode(self, parcel: Parcel, num_parameters: int, bits: int = 0) -> Floats32:
        """See `Compression.decode`."""
        index, values = parcel
        if index.size and not 0 <= index.min() <= index.max() < num_parameters:
            raise ValueError(
                f"delta: indices {index.min()} to {index.max()}, expected 0 to {num_parameters - 1}"
            )
        sent = np.zeros(num_parameters, dtype=np.float32)
        sent[index] = values
        return sent
