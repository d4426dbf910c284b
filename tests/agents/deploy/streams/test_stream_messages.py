"""What a node that is asked things is told and keeps travels and lies in Flower's records unchanged."""

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.data.streams import Tables
from frugalfl.fl_core.remote import (
    LocalUpdate,
    StreamCall,
    StreamDay,
    StreamMemory,
    TrainOrder,
    check_update,
    keep_stream,
    kept_stream,
    pack_order,
    pack_update,
    read_order,
    read_update,
)

DAY = StreamDay(1_700_000_000.25, 7200.0, (0.0, -7.0, 9.5))
CALL = StreamCall(now_s=12.125, since_s=3.0, heard_s=-1.0, sent_utc_s=1.75e9, scale=60.0, day=DAY)
ORDER = TrainOrder(
    client=1,
    round_index=2,
    local_steps=0,
    seed=9,
    base=0,
    params=np.zeros(0, dtype=np.float32),
    sent_x=np.zeros((0, 3), dtype=np.float32),
    sent_y=np.zeros(0, dtype=np.int32),
    stream=CALL,
)
UPDATE = LocalUpdate(1, 2, np.zeros(0, dtype=np.float32), 0.0, 7, 0.5, answered=5, right=3)
NOTHING = Tables(
    kept=np.zeros(4, dtype=np.int32),
    since_s=np.zeros(4),
    held=np.array(0),
    seen=np.array(0),
    offered=np.zeros(3, dtype=np.int64),
    full=np.zeros(3, dtype=bool),
)
EMPTY = StreamMemory(
    params=np.arange(3, dtype=np.float32),
    session_s=3.0,
    last_s=12.125,
    answered=4,
    known=4,
    pending=np.zeros(0, dtype=np.int8),
    tables=NOTHING,
    report_s=np.zeros(0),
    report_answered=np.zeros(0, dtype=np.int64),
    report_right=np.zeros(0, dtype=np.int64),
)
FULL = replace(
    EMPTY,
    answered=7,
    pending=np.array([1, 0, -1], dtype=np.int8),
    tables=NOTHING._replace(held=np.array(2), seen=np.array(9), full=np.array([True, False, True])),
    report_s=np.array([1.0, 2.0]),
    report_answered=np.array([4, 1]),
    report_right=np.array([3, 0]),
)


def same(one, other):
    mine, its = one.arrays(), other.arrays()
    assert mine.keys() == its.keys()
    for name, values in mine.items():
        assert values.dtype == its[name].dtype and np.array_equal(values, its[name]), name


@pytest.mark.parametrize("memory", [EMPTY, FULL], ids=["empty", "full"])
def test_what_is_kept_is_what_was_there(memory):
    same(StreamMemory.of(memory.arrays()), memory)


def test_only_reports_that_did_not_arrive_are_told_again():
    assert FULL.report == (5, 3) and FULL.heard(1.0).report == (1, 0) and FULL.heard(2.0).report == (0, 0)


@pytest.mark.parametrize("said", [{"right": 6}, {"answered": -1, "right": -1}, {"answered": 2**31}])
def test_a_report_that_is_none_is_refused(said):
    check_update(UPDATE, ORDER)
    with pytest.raises(ValueError, match=r"answered|right"):
        check_update(replace(UPDATE, **said), ORDER)


def test_orders_reports_and_memories_travel():
    flwr = pytest.importorskip("flwr.app")
    assert read_order(pack_order(ORDER)).stream == CALL
    assert read_order(pack_order(replace(ORDER, stream=None))).stream is None
    read = read_update(pack_update(UPDATE, {}), ORDER)
    assert (read.answered, read.right) == (5, 3)
    state = flwr.RecordDict()
    assert kept_stream(state) is None
    for memory in (EMPTY, FULL):
        keep_stream(state, memory)
        same(kept_stream(state), memory)


@pytest.mark.parametrize(
    ("name", "value", "words"), [("now_s", "soon", "a number"), ("utc_offset_h", 3.0, "a list of hours")]
)
def test_a_call_that_is_none_is_refused_with_what_was_expected(name, value, words):
    said = {**CALL.numbers(), f"stream_{name}": value}
    with pytest.raises(ValueError, match=f"expected {words}"):
        StreamCall.of(said)
    assert StreamCall.of(CALL.numbers()) == CALL and StreamCall.of({}) is None
