"""Refusals of JSON files name the line of the entry, as those of tables do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.traces.analysis import read_any
from frugalfl.traces.formats.parsing import line_of, lines_of

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, min_size=1, max_size=6), st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_entries_are_found_whatever_stands_before_them(tmp_path_factory, entries, before):
    """Every entry of the list is written on a line of its own, which is the one found."""
    path = tmp_path_factory.mktemp("json") / "f.json"
    rows = ",\n".join(json.dumps(entry) for entry in entries)
    before.pop("data", None)
    head = json.dumps(before)[:-1] + (", " if before else "")
    path.write_text(f'{head}\n"data" : [\n{rows}\n]}}')
    expected = [3 + index for index in range(len(entries))]
    assert lines_of(path, len(entries), "data").tolist() == expected
    assert [line_of(path, "data", index) for index in range(len(entries))] == expected
    path.write_text(f"[\n{rows}]")
    assert lines_of(path, len(entries), "data").tolist() == [line - 1 for line in expected]


def test_steps_that_do_not_exist_end_at_the_last_that_does(tmp_path):
    path = tmp_path / "f.json"
    path.write_text('\n{"a": 1,\n"b": {\n"c": []}, "b": 3}')
    assert line_of(path, "a") == 2
    assert line_of(path, "b") == 4  # The last one counts, as it does to the reader.
    assert line_of(path, "z", 4) == 2


UK = '{"data": [\n%s,\n{"from": "2023-03-15T12:30Z", "intensity": {"forecast": 95, "actual": %s}}]}'
FIRST = '{"from": "2023-03-15T12:00Z", "intensity": {"forecast": 95, "actual": 95}}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"metadata": {"gap_seconds": 30},\n"data": [0,\n1,\n-1]}', r"f.json:4: data\[2\] is -1"),
        ('{"data": [0],\n"metadata": {\n"gap_seconds": 0}}', r"f.json:3: metadata.gap_seconds is 0"),
        (
            '{"a": {"trace_start": 0, "trace_end": 86400, "ready_time": []},\n'
            '"b": {"trace_start": 0, "trace_end": 86400, "ready_time": [[1, 2],\n[9, 3]]}}',
            r"f.json:3: device 'b': ready_time\[1\] ends before it starts",
        ),
        (
            '{"a": {"trace_start": 9, "trace_end": 1,\n"ready_time": []}}',
            r"f.json:1: device 'a': trace_start 9 and trace_end 1",
        ),
        (UK % (FIRST, '"x"'), r"f.json:3: data\[1\].actual is 'x', expected a number"),
        (UK % (FIRST, 9000), r"f.json:3: intensity 9000, expected 0 to 3000"),
        (UK % ("7", 5), r"f.json:2: \[0\] is 7, expected an object"),
        (
            '[{"point_time": "2019-02-21T00:15:00Z", "value": 1, "ba": "X"},\n'
            '{"point_time": "noon", "value": 1, "ba": "X"}]',
            r"f.json:2: data\[1\].point_time is 'noon'",
        ),
        (
            '[{"point_time": "1019-02-21T00:15:00Z", "value": 1, "ba": "X"}]',
            r"f.json:1: Unix time .* is outside 1900-2200",
        ),
        (
            '{"zone": "FR", "history": [\n{"carbonIntensity": 1, "datetime": "2023-01-23T17:00:00Z"},\n'
            '{"carbonIntensity": 1, "datetime": "2023-01-23T16:00:00Z"}]}',
            r"f.json:3: time goes back by 3600 s",
        ),
        (
            '[{"Location": "eu", "Time": "2021-10-25T14:00:00Z", "Rating": 1},\n'
            '{"Location": "eu", "Time": "2021-10-25T15:00:00Z", "Rating": 1},\n'
            '{"Location": "eu", "Time": "2021-10-27T14:00:00Z", "Rating": 1}]',
            r"f.json:3: a gap of 47 h before this row",
        ),
    ],
)
def test_refusals_name_the_line(tmp_path, text, why):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=why) as caught:
        read_any(path)
    assert "\n" not in str(caught.value)
