"""Orders and answers of serving as Flower's records; needs `flwr` (`pip install "frugalfl[flower]"`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from ...common.arrays import AnyArray
from ..models import Reader
from .flower_messages import ARRAYS, Profile, arrays_of, declared_array, make_record, numbers_of, with_profile
from .serving_orders import ModelLoad, Questions, ServeOrder, ServeReply, unpack_reply

if TYPE_CHECKING:
    from flwr.app import RecordDict

_HELD = "held"
Numbers: TypeAlias = dict[str, int | float | list[int]]


def pack_serve_order(order: ServeOrder) -> RecordDict:
    """The `RecordDict` of an order."""
    arrays: dict[str, AnyArray] = {}
    numbers: Numbers = {
        "number": order.number,
        "questions": len(order.questions),
        "loads": len(order.loads),
    }
    for place, asked in enumerate(order.questions):
        arrays[f"rows/{place}"] = asked.rows
        numbers[f"asked/{place}"] = [asked.slot, asked.model, asked.classes]
    for place, load in enumerate(order.loads):
        _pack_load(load, place, arrays, numbers)
    return make_record(arrays, numbers)


def read_serve_order(record: RecordDict) -> ServeOrder:
    """The order in a `RecordDict`; ValueError naming what is missing."""
    numbers = numbers_of(record, ("number", "questions", "loads"), "order")
    said, arrays = record.config_records["numbers"], arrays_of(record)
    try:
        questions = [
            _read_question(place, arrays, said) for place in range(int(cast(int, numbers["questions"])))
        ]
        loads = [_read_load(place, arrays, said) for place in range(int(cast(int, numbers["loads"])))]
    except (KeyError, TypeError) as error:
        raise ValueError(f"order: {error} is missing") from None
    return ServeOrder(int(cast(int, numbers["number"])), tuple(questions), tuple(loads))


def pack_reply(reply: ServeReply, order: ServeOrder, profile: Profile) -> RecordDict:
    """The `RecordDict` of the answers to an order, with what the node says of itself."""
    places = {asked.slot: place for place, asked in enumerate(order.questions)}
    arrays: dict[str, AnyArray] = {}
    numbers: Numbers = {"number": reply.number}
    for answer in reply.answers:
        place = places[answer.slot]
        arrays |= {f"choice/{place}": answer.choice, f"confidence/{place}": answer.confidence}
        numbers[f"took_s/{place}"] = answer.took_s
    if reply.holds:
        numbers |= {"slots": list(reply.holds), "models": list(reply.holds.values())}
    return with_profile(make_record(arrays, numbers), profile)


def read_reply(record: RecordDict, order: ServeOrder) -> ServeReply:
    """The answers in a `RecordDict`; nothing is decoded that does not fit the order.

    Raises:
        ValueError: something does not fit; other exceptions where the bytes are broken.
    """
    numbers_of(record, ("number",), "reply")
    arrays, packed = record.array_records.get(ARRAYS, {}), {}
    for place in range(len(order.questions)):
        names = (f"choice/{place}", f"confidence/{place}")
        if all(name in arrays for name in names):
            packed[place] = [declared_array(name, arrays[name]) for name in names]
    return unpack_reply(dict(record.config_records["numbers"]), packed, order)


def keep_models(state: RecordDict, held: Mapping[int, ModelLoad]) -> None:
    """Put what a node's slots hold into its `Context.state`, which Flower keeps between messages of a run."""
    arrays: dict[str, AnyArray] = {}
    numbers: Numbers = {"loads": len(held)}
    for place, load in enumerate(held.values()):
        _pack_load(load, place, arrays, numbers)
    record = make_record(arrays, numbers)
    state[f"{_HELD}/arrays"], state[f"{_HELD}/numbers"] = record[ARRAYS], record["numbers"]


def kept_models(state: RecordDict) -> dict[int, ModelLoad]:
    """What is kept in a node's `Context.state`, by slot."""
    if f"{_HELD}/numbers" not in state:
        return {}
    said = state.config_records[f"{_HELD}/numbers"]
    arrays = {name: array.numpy() for name, array in state.array_records[f"{_HELD}/arrays"].items()}
    loads = [_read_load(place, arrays, said) for place in range(int(cast(int, said["loads"])))]
    return {load.slot: load for load in loads}


def _pack_load(load: ModelLoad, place: int, arrays: dict[str, AnyArray], numbers: Numbers) -> None:
    arrays[f"parameters/{place}"] = load.parameters
    numbers[f"load/{place}"] = [load.slot, load.model, load.reader.pool or 0]
    numbers[f"shape/{place}"] = list(load.reader.shape)
    numbers[f"widths/{place}"] = list(load.reader.widths)
    numbers[f"yes/{place}"] = list(load.reader.yes)


def _read_question(place: int, arrays: Mapping[str, AnyArray], said: Mapping[str, object]) -> Questions:
    slot, model, classes = _whole(said[f"asked/{place}"])
    return Questions(slot, model, classes, np.asarray(arrays[f"rows/{place}"], dtype=np.float32))


def _read_load(place: int, arrays: Mapping[str, AnyArray], said: Mapping[str, object]) -> ModelLoad:
    slot, model, pool = _whole(said[f"load/{place}"])
    shape, widths, yes = (tuple(_whole(said[f"{name}/{place}"])) for name in ("shape", "widths", "yes"))
    parameters = np.asarray(arrays[f"parameters/{place}"], dtype=np.float32)
    return ModelLoad(slot, model, Reader(shape, widths, pool or None, yes), parameters)


def _whole(value: object) -> list[int]:
    return [int(each) for each in cast(list[int], value)]
