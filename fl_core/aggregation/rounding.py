"""Rounding of updates to a few bits per coordinate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats32
from ...common.settings import Settings, Spec
from .base import DType
from .compression import COMPRESSIONS, VALUE_BYTES, Compression, Parcel

FEWEST_BITS, MOST_BITS = 2, 16
"""Bits of a rounded coordinate: one would leave no level but 0, more than 16 are floats."""

_AT_ONCE = 2**16
"""Coordinates whose bits are spread out at once: a large update needs little more memory than itself."""


def _parts(values: AnyArray, size: int) -> Iterator[AnyArray]:
    """Views of so many values each."""
    return (values[begin : begin + size] for begin in range(0, values.size, size))


def _packed(codes: AnyArray, bits: int) -> AnyArray:
    """The lowest bits of whole numbers below 2^16, one behind the other, the highest first."""
    pairs = codes.astype(">u2").view(np.uint8).reshape(-1, 2)
    return np.packbits(np.unpackbits(pairs, axis=1)[:, MOST_BITS - bits :])


def _unpacked(packed: AnyArray, count: int, bits: int) -> AnyArray:
    """The numbers of `_packed`."""
    spread = np.zeros((count, MOST_BITS), dtype=np.uint8)
    spread[:, MOST_BITS - bits :] = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return np.packbits(spread, axis=1).view(">u2").ravel().astype(np.float32)


class _Rounding(Compression):
    """Rounds coordinates to `2^bits - 1` levels between plus and minus the largest of their block.

    With error feedback a client adds what rounding has changed to its next update, so that all that it sent
    and what is left come to all that it wanted to send (Seide et al., "1-Bit Stochastic Gradient Descent",
    Interspeech 2014; Karimireddy et al., "Error Feedback Fixes SignSGD", ICML 2019).
    """

    def __init__(self, bits: int, block: int, error_feedback: bool) -> None:
        super().__init__()
        self.bits, self._block, self.feeds_back = bits, block, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self.feeds_back else {}

    def upload_bytes(self, num_parameters: int, bits: int = 0) -> int:
        """See `Compression.upload_bytes`: the levels, and a float for each block's scale."""
        blocks = -(-num_parameters // self._block) if self._block else 1
        return -(-num_parameters * (bits or self.bits) // 8) + blocks * VALUE_BYTES

    def send(
        self, env: AnyArray, client: AnyArray, delta: AnyArray, bits: AnyArray | None = None
    ) -> AnyArray:
        """See `Compression.send`."""
        if self.feeds_back:
            delta = delta + self.memory["unsent"][env, client]
        own = np.full(len(delta), self.bits)
        each = own if bits is None else np.where(np.asarray(bits) > 0, bits, own)
        whole, scale = self._levels(delta, each)
        sent = self._values(whole, scale, delta.shape[1])
        if self.feeds_back:
            self.memory["unsent"][env, client] = delta - sent
        return sent

    def parcel(self, num_parameters: int, bits: int = 0) -> tuple[tuple[str, int], ...]:
        """See `Compression.parcel`: the levels, bit after bit, and a scale for each block."""
        blocks = -(-num_parameters // self._block) if self._block else 1
        return (("uint8", -(-num_parameters * (bits or self.bits) // 8)), ("float32", blocks))

    def encode(self, delta: Floats32, bits: int = 0) -> Parcel:
        """See `Compression.encode`."""
        each = bits or self.bits
        whole, scale = self._levels(delta[None], np.array([each]))
        codes = whole.reshape(-1)[: delta.size] + np.float32(2 ** (each - 1) - 1)
        return np.concatenate([_packed(part, each) for part in _parts(codes, _AT_ONCE)]), scale.ravel()

    def decode(self, parcel: Parcel, num_parameters: int, bits: int = 0) -> Floats32:
        """See `Compression.decode`."""
        (packed, scale), each = parcel, bits or self.bits
        block = self._block or max(1, num_parameters)
        whole = np.zeros(scale.size * block, dtype=np.float32)
        middle = np.float32(2 ** (each - 1) - 1)
        bytes_at_once = _AT_ONCE * each // 8
        for codes, some in zip(
            _parts(whole[:num_parameters], _AT_ONCE), _parts(packed, bytes_at_once), strict=True
        ):
            codes[:] = _unpacked(some, codes.size, each) - middle
        values: Floats32 = self._values(whole.reshape(1, -1, block), scale[None, :, None], num_parameters)[0]
        return values

    def _levels(self, delta: AnyArray, bits: AnyArray) -> tuple[AnyArray, AnyArray]:
        """The nearest of `2^bits - 1` levels, block by block `[J, B, block]`, and the blocks' scales."""
        (jobs, size), block = delta.shape, self._block or max(1, delta.shape[1])
        count = -(-size // block)
        padded: AnyArray = np.zeros((jobs, count * block), dtype=delta.dtype)
        padded[:, :size] = delta
        blocks = padded.reshape(jobs, count, block)
        levels = (2.0 ** (bits - 1) - 1).astype(delta.dtype)[:, None, None]
        scale = np.abs(blocks).max(axis=2, keepdims=True, initial=0) / levels
        return np.rint(np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale > 0)), scale

    @staticmethod
    def _values(whole: AnyArray, scale: AnyArray, size: int) -> AnyArray:
        """The updates `[J, P]` of these levels."""
        jobs, count, block = whole.shape  # none at all while everybody waits
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
