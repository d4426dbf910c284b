"""Availability formats on hand-made files: what each row means, and what is refused where."""

from __future__ import annotations

import json
import pickle
import subprocess

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frugalfl.traces.analysis import read_any
from frugalfl.traces.formats.availability import read_availability, write
from frugalfl.traces.formats.parsing import load_plain
from frugalfl.traces.records import flat_trace

DAY = 86400.0
START_MS = 1402358400000


def put(tmp_path, content, name="trace.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def spans(trace, user=0):
    rows = trace.user[trace.session_recording] == user
    return list(zip(trace.session_start_s[rows], trace.session_end_s[rows], strict=True))


def test_stunner_durations_alternate_from_the_first_state(tmp_path):
    text = (
        f"a 1 {START_MS} 2 3600000 1000 86400000\nb 0 {START_MS} -5 1000 2000\nc 1 {START_MS} 0 604800000\n"
    )
    trace = read_availability(put(tmp_path, text))
    begin = START_MS / 1000
    assert spans(trace, 0) == [(begin, begin + 3600), (begin + 3601, begin + 3601 + DAY)]
    assert spans(trace, 1) == [(begin + 1, begin + 3)]
    assert spans(trace, 2) == [(begin, begin + 7 * DAY)], "a single number: the state never changed"
    assert trace.utc_offset_h.tolist() == [2.0, -5.0, 0.0]
    assert trace.clock == "utc"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("b 1 1402358400000 2", "4 fields"),
        ("b 7 1402358400000 2 5", "state 7"),
        ("b 1 1402358400000 99 5", "offset 99"),
        ("b 1 1402358400000 2 x", "no number"),
        ("b 1 1402358400000 2 -5", "none is negative"),
        ("b 1 14023584000000000 2 5", "outside 1900-2200"),
    ],
)
def test_stunner_refuses_with_the_line(tmp_path, line, why):
    text = f"a 1 {START_MS} 2 3600000 5\n{line}\n"
    with pytest.raises(ValueError, match=rf"trace.txt:2: .*{why}"):
        read_availability(put(tmp_path, text), "stunner")


def test_flash_keeps_the_phones_own_clock_and_leaves_out_the_never_ready(tmp_path):
    entry = {
        "isSuccess": True,
        "trace_start": 3600.0,
        "trace_end": 3600.0 + DAY,
        "ready_time": [[7200, 9000], [9000, 9000]],
    }
    never = {"isSuccess": False, "trace_start": None, "trace_end": None, "ready_time": []}
    trace = read_availability(put(tmp_path, json.dumps({"g": entry, "n": never}), "t.json"))
    assert trace.users == ("g",)
    # 2020-01-02 was a Thursday: three days after a Monday.
    assert spans(trace) == [(3 * DAY + 7200, 3 * DAY + 9000)]
    assert trace.clock == "local"
    assert "1 of 2 devices were never ready" in trace.notes[0]
    assert any("1 zero-length" in note for note in trace.notes)


def test_fedscale_windows_without_time_of_day(tmp_path):
    document = {
        7: {"duration": 10, "active": [5, 50], "inactive": [20, 50], "finish_time": 86400, "model": "x"}
    }
    trace = read_availability(put(tmp_path, pickle.dumps(document, protocol=3), "t.pkl"))
    assert spans(trace) == [(5.0, 20.0)]
    assert trace.end_s.tolist() == [86400.0]
    assert trace.clock == "none"


def test_numpy_scalars_in_pickles_come_as_plain_numbers(tmp_path):
    data = {1: {"computation": np.float64(153.0), "communication": np.float32(2.5)}}
    loaded = load_plain(put(tmp_path, pickle.dumps(data, protocol=3), "t.pkl"))
    assert loaded == {1: {"computation": 153.0, "communication": 2.5}}
    assert type(loaded[1]["computation"]) is float


class Bomb:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "bomb",
    [
        Bomb(eval, "1/0"),
        Bomb(exec, "raise SystemExit"),
        Bomb(subprocess.call, "true"),
        Bomb(np.load, "x"),
        np.zeros(3),
    ],
    ids=["eval", "exec", "subprocess", "numpy.load", "array"],
)
def test_hostile_pickles_are_refused_and_nothing_runs(tmp_path, bomb, protocol, monkeypatch):
    path = put(tmp_path, pickle.dumps({1: bomb}, protocol=protocol), "t.pkl")
    monkeypatch.setattr(subprocess, "call", lambda *_: pytest.fail("the pickle ran"))
    with pytest.raises(ValueError, match=r"refused pickle|not a pickle") as caught:
        load_plain(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"\x96\x00\x00\x00\x00\x02\x00\x00\x00.",  # a bytearray of 8 GiB
        b"})" + b"2\x86" * 64 + b"K\x01s.",  # a key whose hash takes 2^64 steps
        b"(" + b")" + b"2\x86" * 64 + b"\x91.",  # a set of it
        b"cnumpy\ndtype\n}b.",  # state for a class
        b"\x82\x01.",
        b"Pabc\n.",
    ],
)
def test_pickle_bombs_are_refused_at_once(tmp_path, body):
    with pytest.raises(ValueError, match=r"pickle"):
        load_plain(put(tmp_path, b"\x80\x04" + body, "t.pkl"))


def test_a_memo_index_asks_for_no_memory(tmp_path):
    assert load_plain(put(tmp_path, b"\x80\x04}r\xff\xff\xff\x7f.", "t.pkl")) == {}


def test_nested_values_do_not_flood_messages(tmp_path):
    deep = b"\x80\x04}K\x01}(\x8c\x0bcomputation)" + b"2\x86" * 64 + b"\x8c\x0dcommunicationK\x01us."
    with pytest.raises(ValueError, match=r"computation") as caught:
        read_any(put(tmp_path, deep, "t.pkl"))
    assert len(str(caught.value)) < 500


def test_object_arrays_cannot_be_smuggled_as_scalars(tmp_path):
    hostile = (
        b"\x80\x03cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x01\x00\x00\x00O\x85RC\x08aaaaaaaa\x86R."
    )
    with pytest.raises(ValueError, match="not a plain number"):
        load_plain(put(tmp_path, hostile, "t.pkl"))


def test_skypilot_counts_become_nodes_of_a_zone(tmp_path):
    text = json.dumps({"metadata": {"gap_seconds": 10}, "data": [0, 2, 1, 0, 1]})
    trace = read_availability(put(tmp_path, text, "us-east-1a.json"))
    assert trace.users == ("us-east-1a/0", "us-east-1a/1")
    assert spans(trace, 0) == [(10.0, 30.0), (40.0, 50.0)]
    assert spans(trace, 1) == [(10.0, 20.0)]
    assert trace.simultaneous
    turned = read_availability(tmp_path / "us-east-1a.json", "skypilot-inverted")
    assert spans(turned, 0) == [(0.0, 10.0), (20.0, 50.0)]


def test_skypilot_zones_watched_together_are_one_trace(tmp_path):
    paths = []
    for zone in ("a", "b"):
        text = json.dumps({"metadata": {"gap_seconds": 10}, "data": [1, 0]})
        paths.append(put(tmp_path, text, f"{zone}.json"))
    trace = read_availability(paths)
    assert trace.users == ("a", "b")
    assert trace.group == ("a", "b")


@pytest.mark.parametrize(
    "document",
    [{"metadata": {}, "data": [1]}, {"metadata": {"gap_seconds": 1}, "data": [1, -1]},
     {"metadata": {"gap_seconds": 1}, "data": [True]}, {"metadata": {"gap_seconds": 1}, "data": []}],
)  # fmt: skip
def test_skypilot_refusals(tmp_path, document):
    with pytest.raises(ValueError, match="expected"):
        read_availability(put(tmp_path, json.dumps(document), "t.json"), "skypilot")


def test_bamboo_events_and_repeated_ones(tmp_path):
    text = "0,add,n1\n1000,add,n2\n2000,add,n1\n3000,remove,n1\n3500,remove,n1\n5000,add,n1\n9000,remove,n2\n"
    trace = read_availability(put(tmp_path, text, "t.csv"))
    assert spans(trace, 0) == [(0.0, 3.0), (5.0, 9.0)]
    assert spans(trace, 1) == [(1.0, 9.0)]
    assert trace.notes == ("2 events changed nothing",)


def test_bamboo_counts_step_curve_and_dated(tmp_path):
    trace = read_availability(put(tmp_path, "0,0\n10,0\n10,2\n30,2\n30,1\n40,1\n", "t.csv"))
    assert spans(trace, 0) == [(10.0, 40.0)]
    assert spans(trace, 1) == [(10.0, 30.0)]
    hours = read_availability(put(tmp_path, "0.000,1\n1.500,1\n", "h.csv"))
    assert spans(hours) == [(0.0, 5400.0)]
    back = (
        "2021-12-10, 13:00:00, 1\n2021-12-10, 13:02:00, 0\n2021-12-10, 13:01:00, 2\n2021-12-10, 13:05:00, 1\n"
    )
    dated = read_availability(put(tmp_path, back, "d.txt"))
    assert "1 steps back in time put in order" in dated.notes
    begin = dated.begin_s[0]
    assert spans(dated, 1) == [(begin + 60, begin + 120)]
    with pytest.raises(ValueError, match="one count only"):
        read_availability(put(tmp_path, "0.000,8\n", "one.csv"))


def test_fta_with_and_without_hash_mixed_blanks_and_zero_length(tmp_path):
    header = (
        "event_id component_id node_id platform_id node_name event_type event_start_time event_stop_time r"
    )
    rows = "0\t 0 655 3 10.0 0 1000 2000 NULL\n1 0 655 3 10.0  1\t\t2000 5000 8000\n"
    rows += "2 0 655 3 10.0 1 5000 5000 NULL\n3 0 7 3 x 1 9 9 NULL\n"
    for sign in ("", "# "):
        trace = read_availability(put(tmp_path, f"{sign}{header}\n{rows}", "t.tab"))
        assert trace.users == ("655",)
        assert spans(trace) == [(2000.0, 5000.0)]
        assert any("1 nodes without a span" in note for note in trace.notes)
    with pytest.raises(ValueError, match=r"t.tab:2: event_type is '5'"):
        read_availability(put(tmp_path, f"{header}\n0 0 655 3 x 5 1 2 NULL\n", "t.tab"))


def test_own_csv_of_the_documentation(tmp_path):
    text = "client,start,end\nann,2024-05-01T08:00:00Z,2024-05-01T09:30:00Z\n"
    text += "bob,2024-05-01T08:30:00Z,2024-05-02T08:00:00Z\n"
    trace = read_availability(put(tmp_path, text, "t.csv"))
    assert trace.clock == "utc"
    assert trace.users == ("ann", "bob")
    begin = trace.begin_s[0]
    assert spans(trace) == [(begin, begin + 5400.0)]


times = st.floats(0, 3 * DAY, allow_nan=False).map(lambda x: round(x, 3))
rows = st.lists(st.tuples(st.integers(0, 2), times, st.floats(0.5, DAY)), max_size=12)
names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1),
    min_size=3,
    max_size=3,
    unique=True,
)


@given(rows, names)
@example([(0, 1.0, 2.0)], ["#a", "# clock", "client"])
@settings(max_examples=60, deadline=None)
def test_own_csv_is_read_back_without_loss(tmp_path_factory, raw, users):
    owner = np.array([r[0] for r in raw], dtype=np.int64)
    start = np.array([r[1] for r in raw], dtype=np.float64)
    trace = flat_trace(
        tuple(users), np.arange(3), np.zeros(3), np.full(3, 4 * DAY), owner, start,
        start + np.array([r[2] for r in raw], dtype=np.float64),
        clock="local", utc_offset_h=np.zeros(3), simultaneous=True, group=("x", "", "y"),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("own") / "t.csv"
    write(trace, path)
    again = read_availability(path, "csv")
    assert again.users == trace.users
    assert again.group == trace.group
    for name in ("user", "begin_s", "end_s", "session_recording", "session_start_s", "session_end_s"):
        assert np.array_equal(getattr(again, name), getattr(trace, name)), name
    assert (again.clock, again.simultaneous) == ("local", True)


def test_debounce_closes_gaps_first_and_then_drops_short_sessions():
    start = np.array([0.0, 400.0, 5000.0, 9000.0])
    end = np.array([200.0, 450.0, 5100.0, 10000.0])
    trace = flat_trace(
        ("a",), np.zeros(1, dtype=np.int64), np.array([-10.0]), np.array([DAY]), np.zeros(4, dtype=np.int64),
        start, end, clock="none",
    )  # fmt: skip
    clean = trace.debounced(300.0)
    assert spans(clean) == [(0.0, 450.0), (9000.0, 10000.0)]
    assert spans(trace.debounced(0.0)) == spans(trace)


def test_unknown_formats_and_content(tmp_path):
    path = put(tmp_path, "hello world\n")
    with pytest.raises(ValueError, match="not an availability file that is known"):
        read_availability(path)
    with pytest.raises(ValueError, match=r"format: 'stuner'.*did you mean 'stunner'"):
        read_availability(path, "stuner")


def test_own_csv_names_the_line_of_a_session_without_recording(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("# recording,a,0,100,0\nclient,start,end\na,0,5\nb,0,5\n")
    with pytest.raises(ValueError, match=r"f.csv:4: client 'b' has sessions but no recording"):
        read_availability(path)
    path.write_text("# recording,a,50,100,0\nclient,start,end\na,60,65\na,0,5\n")
    with pytest.raises(ValueError, match=r"f.csv:4: a session lies before"):
        read_availability(path)


def test_zones_of_the_same_name_are_told_apart_by_their_folders(tmp_path):
    paths = []
    for folder in ("one/spot", "two/spot"):
        (tmp_path / folder).mkdir(parents=True)
        text = json.dumps({"metadata": {"gap_seconds": 10}, "data": [1, 0]})
        paths.append(put(tmp_path / folder, text, "a.json"))
    assert read_availability(paths).users == ("one/spot/a", "two/spot/a")
    with pytest.raises(ValueError, match="two clients are named"):
        read_availability([paths[0], paths[0]])


def test_a_key_of_json_is_given_once(tmp_path):
    text = '{"metadata": {"gap_seconds": 30}, "data": [0, 1], "data": [1, 1]}'
    with pytest.raises(ValueError, match="key 'data' comes twice"):
        read_availability(put(tmp_path, text, "t.json"))
