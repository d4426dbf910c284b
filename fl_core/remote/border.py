"""The border between a node's bytes and an update: what is declared is compared with the order, then decoded.

Whatever comes from a node may be wrong or a lie. Nothing is decoded whose declared type, shape and length are
not those of the answer to the order, and nothing enters a sum that does not fit it or is not finite.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...common.arrays import AnyArray
from ...common.spelling import printable
from .orders import LocalUpdate, TrainOrder

LARGEST_CHANGE = 1e4
"""Root mean square of the change of a parameter beyond which no training can have made an update."""

_HEADER_BYTES = 1024
_MOST_COUNTED = 2**31 - 1


@dataclass(frozen=True)
class PackedArray:
    """An array as it travelled: what its sender says of it, and the bytes of an `.npy` file."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def unpack_update(
    numbers: dict[str, object], packed: Sequence[PackedArray], order: TrainOrder
) -> LocalUpdate:
    """The update in an answer to an order.

    Args:
        numbers: what was said beside the arrays.
        packed: the arrays of `TrainOrder.answer`.
        order: what was asked.

    Raises:
        ValueError: it is not of the types, shapes or sizes of an answer to this order; other exceptions
            where the bytes themselves are broken.
    """
    declared = order.answer
    if len(packed) != len(declared):
        raise ValueError(f"delta: {len(packed)} arrays, expected {len(declared)}")
    arrays = tuple(unpack_array("delta", each, *one) for each, one in zip(packed, declared, strict=True))
    compression = order.compression if order.local_steps else None
    delta = arrays[0]
    if compression is not None:
        delta = compression.decode(arrays, order.params.size, order.upload_bits)
    return LocalUpdate(
        client=whole_number("client", numbers["client"]),
        round_index=whole_number("round_index", numbers["round_index"]),
        delta=np.asarray(delta, dtype=np.float32),
        loss=real_number("loss", numbers["loss"]),
        held=whole_number("held", numbers["held"]),
        compute_s=real_number("compute_s", numbers["compute_s"]),
        moment_steps=whole_number("moment_steps", numbers["moment_steps"]),
        parcel=() if compression is None else arrays,
        answered=whole_number("answered", numbers["answered"]),
        right=whole_number("right", numbers["right"]),
    )


def check_update(update: LocalUpdate, order: TrainOrder) -> float:
    """The length of an update that fits its order, in float64.

    Raises:
        ValueError: it does not fit, is not finite, or is larger than any training makes it.
    """
    for name in ("client", "round_index"):
        said, asked = getattr(update, name), getattr(order, name)
        if said != asked:
            raise ValueError(f"{name}: {_shown(said)}, expected {asked}")
    counted = {"held": "rows", "moment_steps": "steps", "answered": "requests", "right": "requests"}
    for name, what in counted.items():
        if not 0 <= whole_number(name, getattr(update, name)) <= _MOST_COUNTED:
            raise ValueError(f"{name}: {_shown(getattr(update, name))}, expected 0 to {_MOST_COUNTED} {what}")
    if update.right > update.answered:
        raise ValueError(f"right: {update.right}, expected at most the {update.answered} answered")
    real_number("loss", update.loss)
    real_number("compute_s", update.compute_s)
    size = answer_size(order)
    if update.delta.shape != (size,) or update.delta.dtype != np.float32:
        raise ValueError(f"delta: {update.delta.dtype} {update.delta.shape}, expected float32 ({size},)")
    length = math.sqrt(float(np.square(update.delta, dtype=np.float64).sum()))
    most = LARGEST_CHANGE * math.sqrt(max(size, 1))
    if not length <= most:  # also where it is not a number
        raise ValueError(f"delta: of length {length:.3g}, expected at most {most:.3g}")
    return length


def answer_size(order: TrainOrder) -> int:
    """Parameters in the answer to an order; none for a probe."""
    return order.params.size if order.local_steps else 0


def unpack_array(name: str, array: PackedArray, dtype: str, size: int) -> AnyArray:
    """The numbers of an `.npy` file, once all that is said of them has been found right.

    Args:
        name: what complaints call it.
        array: as it travelled.
        dtype: what is expected.
        size: likewise.

    Raises:
        ValueError: it is not of this type and size; other exceptions where the bytes themselves are broken.
    """
    expected, wanted = f"expected {dtype} ({size},)", np.dtype(dtype)
    if array.dtype != dtype or tuple(array.shape) != (size,):
        raise ValueError(f"{name}: {_shown(array.dtype)} {_shown(array.shape)}, {expected}")
    body = wanted.itemsize * size
    if not body < len(array.data) <= body + _HEADER_BYTES:
        raise ValueError(f"{name}: {len(array.data)} bytes, {expected}")
    head = io.BytesIO(array.data[:_HEADER_BYTES])
    np.lib.format.read_magic(head)
    shape, _, said = np.lib.format.read_array_header_1_0(head, max_header_size=_HEADER_BYTES)
    same = said.kind == wanted.kind and said.itemsize == wanted.itemsize
    if shape != (size,) or not same or len(array.data) != head.tell() + body:
        raise ValueError(f"delta: a header of {_shown(said)} {_shown(shape)}, {expected}")
    return np.frombuffer(array.data, dtype=said, offset=head.tell()).astype(wanted)


def whole_number(name: str, value: object) -> int:
    """A stranger's whole number; ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name}: {_shown(value)}, expected a whole number")
    return int(value)


def real_number(name: str, value: object) -> float:
    """A stranger's number; ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"{name}: {_shown(value)}, expected a number")
    return float(value)


def _shown(value: object) -> str:
    """A stranger's value as a message may show it."""
    if isinstance(value, int) and value.bit_length() > 100:
        return "a number of more than 100 bits"
    return printable(repr(value), 60)
