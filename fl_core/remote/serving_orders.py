"""What a server asks of a node that answers, and what comes back; how the node carries it out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats32, Ints32
from ..models import Reader
from .border import PackedArray, real_number, unpack_array, whole_number

_CLOCKS_S = 1.0
"""By how much the clocks of node and server may differ on the length of an order."""


@dataclass(frozen=True)
class ModelLoad:
    """A model for a slot, which keeps it until it is told another one or its node ends."""

    slot: int  # of the node's own
    model: int  # what the server calls the model
    reader: Reader  # how it answers
    parameters: Floats32  # [P]


@dataclass(frozen=True)
class Questions:
    """Rows for a slot to answer with the model that it holds."""

    slot: int  # of the node's own
    model: int  # that the server believes it holds; with any other it does not answer
    classes: int  # of the answers
    rows: Floats32  # [R, d]


@dataclass(frozen=True)
class ServeOrder:
    """What one node is asked to do: first to answer with what it holds, then to load."""

    number: int  # of the order, among those of its run
    questions: tuple[Questions, ...] = ()
    loads: tuple[ModelLoad, ...] = ()

    @property
    def rows(self) -> int:
        """Rows to answer."""
        return sum(len(each.rows) for each in self.questions)


@dataclass(frozen=True)
class SlotAnswers:
    """A slot's answers to its rows."""

    slot: int  # of the node's own
    choice: Ints32  # [R] the class answered
    confidence: Floats32  # [R] its probability
    took_s: float  # measured by the node, for all of them


@dataclass(frozen=True)
class ServeReply:
    """What came back from one node."""

    number: int  # of the order
    answers: tuple[SlotAnswers, ...]  # of the slots that held what they were asked about
    holds: Mapping[int, int]  # the model of each of its slots, by the server's numbers


def answer_order(
    order: ServeOrder,
    held: Mapping[int, ModelLoad],
    pace_s: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[ServeReply, dict[int, ModelLoad]]:
    """Carry out one order: the answers, and what the node's slots hold from now on.

    Args:
        order: what to do.
        held: what the slots hold.
        pace_s: seconds that an answer takes at least, so that a fast machine can stand for a slow one.
        clock: seconds of a clock that never goes back.
        sleep: lets seconds pass.
    """
    answers = []
    for asked in order.questions:
        mine = held.get(asked.slot)
        if mine is None or mine.model != asked.model:
            continue
        began_s = clock()
        choice, confidence = mine.reader.answers(mine.parameters, asked.rows)
        sleep(max(pace_s * len(asked.rows) - (clock() - began_s), 0.0))
        took_s = clock() - began_s
        answers.append(SlotAnswers(asked.slot, choice.astype(np.int32), confidence, took_s))
    now = dict(held) | {load.slot: load for load in order.loads}
    holds = {slot: load.model for slot, load in now.items()}
    return ServeReply(order.number, tuple(answers), holds), now


def unpack_reply(
    numbers: Mapping[str, object], packed: Mapping[int, Sequence[PackedArray]], order: ServeOrder
) -> ServeReply:
    """The answers to an order.

    Args:
        numbers: what was said beside the arrays.
        packed: choices and confidences by place of the question; of slots that did not answer none.
        order: what was asked.

    Raises:
        ValueError: they do not fit the order; other exceptions where the bytes themselves are broken.
    """
    answers = []
    for place, asked in enumerate(order.questions):
        if place not in packed:
            continue
        choice, confidence = packed[place]
        answers.append(
            SlotAnswers(
                asked.slot,
                unpack_array("choice", choice, "int32", len(asked.rows)),
                unpack_array("confidence", confidence, "float32", len(asked.rows)),
                real_number("took_s", numbers[f"took_s/{place}"]),
            )
        )
    slots, models = (_list(name, numbers.get(name, [])) for name in ("slots", "models"))
    if len(slots) != len(models):
        raise ValueError(f"models: {len(models)} of them, expected {len(slots)}, one for each slot")
    holds = dict(zip(slots, models, strict=True))
    return ServeReply(whole_number("number", numbers["number"]), tuple(answers), holds)


def check_reply(reply: ServeReply, order: ServeOrder, passed_s: float) -> None:
    """Refuse, by ValueError, answers that do not fit their order.

    Args:
        reply: what came.
        order: what was asked.
        passed_s: real seconds since it was sent.
    """
    if reply.number != order.number:
        raise ValueError(f"number: {reply.number}, expected {order.number}")
    asked = {each.slot: each for each in order.questions}
    for each in reply.answers:
        question = asked[each.slot]
        if each.choice.size and not (each.choice.min() >= 0 and each.choice.max() < question.classes):
            raise ValueError(f"choice: beyond the {question.classes} classes, expected 0 to their last")
        if not bool(((each.confidence >= 0) & (each.confidence <= 1.0 + 1e-5)).all()):
            raise ValueError("confidence: not a probability, expected 0 to 1")
        if not 0 <= each.took_s <= passed_s + _CLOCKS_S:
            raise ValueError(
                f"took_s: {each.took_s:g}, expected 0 to the {passed_s:.1f} s since the order was sent"
            )


def _list(name: str, value: object) -> list[int]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: no list, expected one of whole numbers")
    return [whole_number(name, each) for each in value]
