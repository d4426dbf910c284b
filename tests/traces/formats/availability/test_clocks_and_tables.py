"""Tables of sessions as people have them: one clock to a file, quotes, separators, encodings, open ends."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.traces.analysis import convert_file, read_any
from frugalfl.traces.formats.availability import read_availability

DAY = 86400.0
MONDAY_S = 1736121600  # 2025-01-06T00:00:00Z
SECONDS = f"client,start,end\nann,{MONDAY_S},{MONDAY_S + 28800}\nbob,{MONDAY_S + 3600},{MONDAY_S + 172800}\n"
ISO = (
    "client,start,end\nann,2025-01-06T00:00:00Z,2025-01-06T08:00:00Z\n"
    "bob,2025-01-06T01:00:00Z,2025-01-08T00:00:00Z\n"
)
FTA = "event_id\tnode_id\tnode_name\tevent_type\tevent_start_time\tevent_stop_time\tevent_end_reason\n"


def put(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(one, other):
    columns = ("begin_s", "end_s", "session_start_s", "session_end_s")
    return (one.users, one.clock) == (other.users, other.clock) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in columns
    )


class TestOneClock:
    def test_unix_seconds_are_utc_and_it_is_noted(self, tmp_path):
        seconds = read_availability(put(tmp_path, SECONDS, "s.csv"))
        assert same(seconds, read_availability(put(tmp_path, ISO, "i.csv")))
        assert seconds.notes == ("times count as Unix seconds (UTC)",)
        assert seconds.unit == "Unix seconds"

    def test_few_seconds_have_no_time_of_day_and_it_is_noted(self, tmp_path):
        trace = read_availability(put(tmp_path, "client,start,end\na,0,7200\nb,60,90000\n"))
        assert trace.clock == "none"
        assert "no time of day is known" in trace.notes[0]

    def test_what_we_write_carries_its_clock_and_no_note(self, tmp_path):
        convert_file(put(tmp_path, SECONDS), tmp_path / "out.csv")
        again = read_availability(tmp_path / "out.csv")
        assert (again.clock, again.notes) == ("utc", ())

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            (f"cid,{MONDAY_S},{MONDAY_S + 9}", r"t.csv:4: start is '1736121600', expected UTC as in line 2"),
            (f"cid,2025-01-06T00:00:00Z,{MONDAY_S + 9}", "t.csv:4: end is '1736121609', expected UTC as in"),
            ("cid,2025-01-06T00:00:00,2025-01-06T08:00:00Z", "t.csv:4: 'start' is .*expected one clock"),
            ("cid,2025-01-06T00:00:00Z,", "t.csv:4: end is '', expected UTC"),
        ],
    )
    def test_clocks_are_not_mixed(self, tmp_path, row, why):
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, ISO + row + "\n"))

    @pytest.mark.parametrize("clock", ["local", "none"])
    def test_dates_on_a_clock_without_dates_are_refused(self, tmp_path, clock):
        with pytest.raises(
            ValueError, match=rf"t.csv:3: a date and time, expected seconds on the clock '{clock}'"
        ):
            read_availability(put(tmp_path, f"# clock,{clock}\n{ISO}"))

    @pytest.mark.parametrize("unit", [1e3, 1e6, 1e9])
    def test_other_units_of_unix_time_are_refused_with_the_line(self, tmp_path, unit):
        text = f"client,start,end\nann,{MONDAY_S * unit:.0f},{(MONDAY_S + 9) * unit:.0f}\n"
        with pytest.raises(ValueError, match=r"t.csv:2: Unix time .* is the unit another one"):
            read_availability(put(tmp_path, text))

    def test_stamps_of_java_go_and_journald_are_read(self, tmp_path):
        text = (
            "client,start,end\na,2025-01-06T00:00:00.5Z,2025-01-07T02:00:00.123456789Z\n"
            "b,20250106T000000Z,2025-01-07T03:00Z\nc,2025-01-06T00:00:00+0000,2025-01-07T02:00:00+01:00\n"
            "d,2025-01-06 00:00:00 UTC,2025-01-07 00:00:00 UTC\n"
        )
        trace = read_availability(put(tmp_path, text))
        assert (trace.session_start_s - MONDAY_S).tolist() == [0.5, 0, 0, 0]
        ends_h = (trace.session_end_s - MONDAY_S) / 3600.0
        assert ends_h == pytest.approx([26 + 0.123456789 / 3600, 27, 25, 24], abs=1e-9)


class TestTables:
    @pytest.mark.parametrize(
        "content",
        [
            ISO.replace("client,start,end", '"client","start","end"'),
            "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in ISO.splitlines()),
            ISO.replace(",", ";"),
            ISO.replace(",", "\t"),
            ISO.replace("\n", ",\n"),
            ISO.replace("\n", "\r\n"),
            "\n\n" + ISO + "\n\n",
            ISO.replace("client,start,end", "Client, Start , END"),
            ISO + ISO,
            "\ufeff" + ISO,
            ISO.encode("utf-16"),
        ],
    )
    def test_re_saved_copies_say_the_same(self, tmp_path, content):
        path = put(tmp_path, content)
        expected = read_availability(put(tmp_path, ISO, "plain.csv"))
        assert same(read_availability(path), expected)
        assert same(read_any(path).trace, expected)
        assert same(read_any(path, "csv").trace, expected)
        convert_file(path, tmp_path / "out.csv", format="csv")
        assert same(read_availability(tmp_path / "out.csv"), expected)

    def test_decimal_commas(self, tmp_path):
        trace = read_availability(put(tmp_path, "client;start;end\nann;0,5;7200,25\n"))
        assert trace.session_end_s.tolist() == [7200.25]
        assert "numbers have decimal commas" in trace.notes

    def test_thousands_of_recordings_stand_above_the_header(self, tmp_path):
        windows = "".join(f"# recording,c{number},0,100,0\n" for number in range(3000))
        trace = read_availability(put(tmp_path, f"# clock,none\n{windows}client,start,end\nc7,5,50\n"))
        assert len(trace.users) == 3000

    def test_a_forced_name_of_two_tables_says_what_neither_finds(self, tmp_path):
        with pytest.raises(ValueError) as caught:
            read_any(put(tmp_path, "who,from,to\na,1,2\n"), "csv")
        assert "\n" not in str(caught.value)


class TestFailureTraceArchive:
    ROWS = "0\t0\tlab 0\t0\t1000000000\t1000003600\tNULL\n1\t0\tlab 0\t1\t1000003600\t1000010800\tNULL\n"

    def test_blanks_in_names_of_tab_separated_tables(self, tmp_path):
        trace = read_availability(put(tmp_path, "# " + FTA + self.ROWS, "t.tab"))
        assert (trace.users, trace.session_end_s.tolist()) == (("0",), [1000010800.0])
        assert trace.end_s[0] - trace.begin_s[0] == 10800

    def test_blanks_in_names_of_blank_separated_tables_are_refused_with_the_line(self, tmp_path):
        text = (FTA + self.ROWS).replace("\t", " ")
        with pytest.raises(ValueError, match=r"t.tab:2: 8 cells separated by blanks, expected 7"):
            read_availability(put(tmp_path, text, "t.tab"), "fta")

    def test_comments_above_the_header(self, tmp_path):
        text = "# Failure Trace Archive\n# http://example.org\n\n# " + FTA + self.ROWS
        assert read_availability(put(tmp_path, text, "t.tab")).users == ("0",)

    def test_an_open_event_lasts_until_the_latest_time(self, tmp_path):
        text = (
            FTA + self.ROWS.replace("1000010800", "NULL") + "2\t1\tlab 1\t1\t1000000000\t1000090000\tNULL\n"
        )
        trace = read_availability(put(tmp_path, text, "t.tab"))
        assert trace.session_end_s.tolist() == [1000090000.0, 1000090000.0]
        assert any("1 open events" in note for note in trace.notes)

    def test_an_open_event_before_others_is_refused_with_the_line(self, tmp_path):
        text = FTA + self.ROWS.replace("1000003600\tNULL", "NULL\tNULL")
        with pytest.raises(
            ValueError, match=r"t.tab:2: event_stop_time is NULL and the node has later events"
        ):
            read_availability(put(tmp_path, text, "t.tab"))


def test_unix_seconds_and_numbers_are_no_curve_of_nodes(tmp_path):
    path = put(tmp_path, "".join(f"{MONDAY_S + 3600 * hour},{200 + hour}\n" for hour in range(48)))
    with pytest.raises(ValueError, match="formats are"):
        read_any(path)
    with pytest.raises(ValueError, match=r"t.csv:1: time is '1736121600', a Unix time"):
        read_any(path, "bamboo-counts")
