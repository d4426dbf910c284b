"""Compressed updates and the bytes they really take: top-k sparsification, rounding to a few bits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools
from ...common.registry import Registry
from ...common.settings import Settings, Spec
from .base import Aggregator, Arrivals, DType, State

_VALUE_BYTES, _INDEX_BYTES = 4, 4

FEWEST_BITS, MOST_BITS = 2, 16
"""Bits of a rounded coordinate: one would leave no level but 0, more than 16 are floats."""


class Compression(ABC):
    """What happens to an update between the client and the server.

    Attributes:
        name: the name it is known by.
        takes_bits: whether `upload_bytes` and `send` take the bits of a coordinate from the plan.
    """

    name = ""
    takes_bits = False

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
        return self.upload_bytes(num_parameters, *choice) / (_VALUE_BYTES * num_parameters)

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
        self._share, self._feedback = share, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self._feedback else {}

    def _count(self, num_parameters: int) -> int:
        return max(1, math.ceil(self._share * num_parameters))

    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """See `Compression.upload_bytes`."""
        return self._count(num_parameters) * (_VALUE_BYTES + _INDEX_BYTES)

    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
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


class _Rounding(Compression):
    """Rounds coordinates to `2^bits - 1` levels between plus and minus the largest of their block.

    With error feedback a client adds what rounding has changed to its next update, so that all that it sent
    and what is left come to all that it wanted to send (Seide et al., "1-Bit Stochastic Gradient Descent",
    Interspeech 2014; Karimireddy et al., "Error Feedback Fixes SignSGD", ICML 2019).
    """

    def __init__(self, bits: int, block: int, error_feedback: bool) -> None:
        super().__init__()
        self.bits, self._block, self._feedback = bits, block, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self._feedback else {}

    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """See `Compression.upload_bytes`: the levels, and a float for each block's scale."""
        blocks = -(-num_parameters // self._block) if self._block else 1
        return -(-num_parameters * (bits or self.bits) // 8) + blocks * _VALUE_BYTES

    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
        """See `Compression.send`."""
        if self._feedback:
            delta = delta + self.memory["unsent"][env, client]
        own = np.full(len(delta), self.bits)
        each = own if bits is None else np.where(np.asarray(bits) > 0, bits, own)
        sent = self._rounded(delta, (2.0 ** (each - 1) - 1).astype(delta.dtype)[:, None, None])
        if self._feedback:
            self.memory["unsent"][env, client] = delta - sent
        return sent

    def _rounded(self, delta: AnyArray, levels: AnyArray) -> AnyArray:
        """The nearest of so many levels `[J, 1, 1]` on each side of 0, block by block."""
        (jobs, size), block = delta.shape, self._block or max(1, delta.shape[1])
        count = -(-size // block)
        padded: AnyArray = np.zeros((jobs, count * block), dtype=delta.dtype)
        padded[:, :size] = delta
        blocks = padded.reshape(jobs, count, block)
        scale = np.abs(blocks).max(axis=2, keepdims=True, initial=0) / levels
        whole = np.rint(np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale > 0))
        return np.ascontiguousarray((whole * scale).reshape(jobs, count * block)[:, :size])


@COMPRESSIONS.register("8-bit")
class EightBit(_Rounding):
    """Rounds coordinates to 255 levels between plus and minus the largest; one float gives the scale.

    Args:
        error_feedback: whether clients remember what rounding has changed, see `_Rounding`.
    """

    name = "8-bit"

    class Options(Settings):
        """Settings of the compression, see the class."""

        error_feedback: bool = False

    def __init__(self, error_feedback: bool = False) -> None:
        super().__init__(8, 0, error_feedback)


@COMPRESSIONS.register("4-bit")
class FourBit(_Rounding):
    """Rounds coordinates to 15 levels between plus and minus the largest of their block.

    Outer gradients in 4 bits are what Streaming DiLoCo exchanges (Douillard et al., arXiv 2501.18512; in its
    case as floats of 3 exponent bits).

    Args:
        block: coordinates that share a scale, one float each.
        error_feedback: whether clients remember what rounding has changed, see `_Rounding`.
    """

    name = "4-bit"

    class Options(Settings):
        """Settings of the compression, see the class."""

        block: int = Field(default=128, ge=1)
        error_feedback: bool = False

    def __init__(self, block: int = 128, error_feedback: bool = False) -> None:
        super().__init__(4, block, error_feedback)


@COMPRESSIONS.register("rounded")
class Rounded(_Rounding):
    """Rounds coordinates to so many bits each; a plan may say how many, where the levels make it a decision.

    Args:
        bits: of a coordinate, if the plan says nothing.
        block: coordinates that share a scale, one float each; 0 = all.
        error_feedback: whether clients remember what rounding has changed, see `_Rounding`.
    """

    name = "rounded"
    takes_bits = True

    class Options(Settings):
        """Settings of the compression, see the class."""

        bits: int = Field(default=8, ge=FEWEST_BITS, le=MOST_BITS)
        block: int = Field(default=128, ge=0)
        error_feedback: bool = False

    def __init__(self, bits: int = 8, block: int = 128, error_feedback: bool = False) -> None:
        super().__init__(bits, block, error_feedback)


def bits_of(spec: Spec | Compression | None) -> int:
    """Bits per coordinate of a compression that takes them from the plan; 0 for the others and for none."""
    made = None if spec is None else COMPRESSIONS.make(spec)
    return made.bits if isinstance(made, Rounded) else 0
