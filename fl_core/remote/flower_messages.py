"""Orders and updates as Flower's records; needs `flwr` (`pip install "frugalfl[flower]"`).

A message carries one `ArrayRecord` with the arrays and one `ConfigRecord` with everything else. Flower is
imported when a record is packed or read, never when this module is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from ...common.arrays import AnyArray, Floats32
from ...common.spelling import printable
from ..training import Moments
from .border import PackedArray, unpack_update
from .orders import LocalUpdate, Storage, TrainOrder, Unsent
from .stream_orders import StreamCall, StreamMemory

if TYPE_CHECKING:
    from flwr.app import Array, RecordDict

Profile: TypeAlias = Mapping[str, int | float | str | bytes | list[int] | list[float] | list[str]]
"""What a node says of itself: numbers, texts and lists of them by name."""

INSTALL = 'pip install "frugalfl[flower]"'

_ORDER_NUMBERS = (
    *("client", "round_index", "local_steps", "seed", "base", "probe_samples"),
    *("moment_steps", "upload_bits", "unsent_round"),
)
_UPDATE_NUMBERS = (
    *("client", "round_index", "loss", "held", "compute_s", "moment_steps"),
    *("answered", "right"),
)
ARRAYS, _NUMBERS, _PROFILE = "arrays", "numbers", "profile"
_NPY, _STREAM = "numpy.ndarray", "stream"
_MOMENTS = ("first", "second", "steps")


def require_flower() -> None:
    """Raise ImportError with the command that installs Flower, where it is missing."""
    if importlib.util.find_spec("flwr") is None:
        raise ImportError(f"Flower is not installed, which this needs; {INSTALL}")


def pack_order(order: TrainOrder) -> RecordDict:
    """The `RecordDict` of an order."""
    arrays = {"params": order.params, "sent_x": order.sent_x, "sent_y": order.sent_y}
    if order.correction is not None:
        arrays["correction"] = order.correction
    numbers: dict[str, int | float | list[float]] = {name: getattr(order, name) for name in _ORDER_NUMBERS}
    return make_record(arrays, numbers if order.stream is None else numbers | order.stream.numbers())


def read_order(record: RecordDict) -> TrainOrder:
    """The order in a `RecordDict`; ValueError naming what is missing or does not fit."""
    numbers = {
        name: int(cast(int, each)) for name, each in numbers_of(record, _ORDER_NUMBERS, "order").items()
    }
    arrays = arrays_of(record)
    try:
        return TrainOrder(
            **numbers,  # type: ignore[arg-type]  # the one field that is no number does not travel
            params=_vector(arrays["params"]),
            sent_x=np.asarray(arrays["sent_x"], dtype=np.float32),
            sent_y=np.asarray(arrays["sent_y"], dtype=np.int32),
            correction=_vector(arrays["correction"]) if "correction" in arrays else None,
            stream=StreamCall.of(record.config_records[_NUMBERS]),
        )
    except KeyError as error:
        raise ValueError(f"order: array {error} is missing") from None


def pack_update(update: LocalUpdate, profile: Profile) -> RecordDict:
    """The `RecordDict` of an update, with what the node says of itself."""
    parcel = update.parcel or (update.delta,)
    arrays = {f"delta/{index}": array for index, array in enumerate(parcel)}
    record = make_record(arrays, {name: getattr(update, name) for name in _UPDATE_NUMBERS})
    return with_profile(record, profile)


def read_update(record: RecordDict, order: TrainOrder) -> LocalUpdate:
    """The update in a `RecordDict`, read as the answer to an order; nothing is decoded that does not fit it.

    Raises:
        ValueError: something is missing or does not fit; other exceptions where the bytes are broken.
    """
    numbers = numbers_of(record, _UPDATE_NUMBERS, "update")
    arrays, packed = record.array_records.get(ARRAYS, {}), []
    for index in range(len(order.answer)):
        delta = arrays.get(f"delta/{index}")
        if delta is None:
            raise ValueError(f"update: array 'delta/{index}' is missing")
        packed.append(declared_array("update", delta))
    return unpack_update(numbers, packed, order)


def declared_array(name: str, array: Array) -> PackedArray:
    """An array of a stranger's as it travelled; ValueError where it is not in NumPy's form."""
    if array.stype != _NPY:
        raise ValueError(f"{name}: serialised as {printable(array.stype, 60)}, expected {_NPY}")
    return PackedArray(array.dtype, tuple(array.shape), array.data)


def pack_profile(profile: Profile) -> RecordDict:
    """The `RecordDict` of what a node says of itself; empty for the question."""
    from flwr.app import RecordDict

    return with_profile(RecordDict(), profile)


def read_profile(record: RecordDict) -> dict[str, object]:
    """What a node says of itself; empty if it said nothing."""
    return dict(record.config_records.get(_PROFILE, {}))


def keep_storage(state: RecordDict, storage: Storage) -> None:
    """Put what a node keeps into its `Context.state`, which Flower keeps between messages of a run."""
    from flwr.app import Array, ArrayRecord

    arrays = {"x": Array(storage.x), "y": Array(storage.y)}
    for index, moments in enumerate(storage.moments):
        arrays |= {f"{name}/{index}": Array(getattr(moments, name)) for name in _MOMENTS}
    for index, left in enumerate(storage.unsent):
        arrays |= {
            f"unsent/{index}": Array(left.rest),
            f"unsent_round/{index}": Array(np.array([left.round_index])),
        }
    state["storage"] = ArrayRecord(arrays)


def kept_storage(state: RecordDict) -> Storage | None:
    """What is kept in a node's `Context.state`, or None."""
    if "storage" not in state:
        return None
    record = state["storage"]
    arrays = {name: array.numpy() for name, array in record.items()}
    moments = (
        Moments(*(arrays[f"{name}/{index}"] for name in _MOMENTS))
        for index in range(sum(key.startswith(_MOMENTS[0]) for key in arrays))
    )
    unsent = (
        Unsent(int(arrays[f"unsent_round/{index}"][0]), arrays[f"unsent/{index}"])
        for index in range(sum(key.startswith("unsent_round/") for key in arrays))
    )
    return Storage(arrays["x"], arrays["y"], tuple(moments), tuple(unsent))


def keep_stream(state: RecordDict, memory: StreamMemory) -> None:
    """Put what a node keeps of its stream into its `Context.state`."""
    from flwr.app import Array, ArrayRecord

    state[_STREAM] = ArrayRecord({name: Array(values) for name, values in memory.arrays().items()})


def kept_stream(state: RecordDict) -> StreamMemory | None:
    """What is kept of a stream in a node's `Context.state`, or None."""
    if _STREAM not in state:
        return None
    return StreamMemory.of({name: array.numpy() for name, array in state.array_records[_STREAM].items()})


def record_bytes(record: RecordDict) -> int:
    """Bytes of a `RecordDict` on the wire, without the envelope of the transport."""
    arrays = sum(len(array.data) for group in record.array_records.values() for array in group.values())
    others = [*record.config_records.values(), *record.metric_records.values()]
    return arrays + sum(
        len(str(key)) + _value_bytes(value) for group in others for key, value in group.items()
    )


def _value_bytes(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes, list)) else 8


def make_record(
    arrays: Mapping[str, AnyArray], numbers: Mapping[str, int | float | list[int] | list[float]]
) -> RecordDict:
    """A `RecordDict` of arrays, and of numbers and lists of them."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

    packed = ArrayRecord({name: Array(np.ascontiguousarray(values)) for name, values in arrays.items()})
    return RecordDict({ARRAYS: packed, _NUMBERS: ConfigRecord(dict(numbers))})


def with_profile(record: RecordDict, profile: Profile) -> RecordDict:
    """A record with what a node says of itself."""
    from flwr.app import ConfigRecord

    if profile:
        record[_PROFILE] = ConfigRecord(dict(profile))
    return record


def numbers_of(record: RecordDict, names: tuple[str, ...], what: str) -> dict[str, object]:
    """Numbers of a record by name; ValueError where one is missing."""
    found = record.config_records.get(_NUMBERS, {})
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{what}: {missing[0]!r} is missing, expected {', '.join(names)}")
    return {name: found[name] for name in names}


def arrays_of(record: RecordDict) -> dict[str, AnyArray]:
    """Arrays of a record by name."""
    found = record.array_records.get(ARRAYS, {})
    return {name: array.numpy() for name, array in found.items()}


def _vector(values: AnyArray) -> Floats32:
    if values.ndim != 1:
        raise ValueError(f"array of parameters: shape {values.shape}, expected one dimension")
    return np.asarray(values, dtype=np.float32)
