"""Request traces in their providers' forms: what is counted, what is said, what is refused with its line."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from frugalfl.traces.formats.arrivals import read_arrivals, sniff_arrivals, write_arrivals
from frugalfl.traces.formats.arrivals.counting import MOST_SOURCES, OTHERS, MinuteCounter
from frugalfl.traces.records import RequestTrace

LLM = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
MINUTES = ",".join(map(str, range(1, 1441)))
FUNCTIONS = f"HashOwner,HashApp,HashFunction,Trigger,{MINUTES}\n"


def put(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestAzureLlm:
    def test_ticks_of_100_ns_and_carriage_returns(self, tmp_path):
        rows = ["46.6805900,374,44", "50.9951690,396,109", "59.9999999,879,55"]
        text = (
            LLM
            + "".join(f"2023-11-16 18:15:{row}\r\n" for row in rows)
            + "2023-11-16 18:17:00.0000000,9,9\r\n"
        )
        trace = read_arrivals(put(tmp_path, text, "AzureLLMInferenceTrace_conv.csv"))
        assert trace.sources == ("conv",)
        assert trace.counts.tolist() == [[3, 0, 1]]
        assert (trace.clock, trace.begin_s) == ("utc", 1700158500.0)
        assert trace.resolution_s == pytest.approx(4.314579, abs=1e-5)
        assert trace.notes == ("414 tokens asked and 54 answered on average",)

    def test_zones_and_images_of_later_years(self, tmp_path):
        text = (
            "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
            "2024-10-15 00:00:00.009930+00:00,2,5,6\n2024-10-15 00:00:01+00:00,0,5,0\n"
        )
        path = put(tmp_path, gzip.compress(text.encode()), "AzureLMMInferenceTrace_multimodal.csv.gz")
        trace = read_arrivals(path)
        assert trace.sources == ("multimodal",)
        assert trace.begin_s == 1728950400.0
        assert any("1 of 2 requests (50.0%) were answered with 0 tokens" in note for note in trace.notes)

    def test_services_are_read_together(self, tmp_path):
        a = put(tmp_path, LLM + "2023-11-16 18:15:46.68,1,1\r\n", "AzureLLMInferenceTrace_conv.csv")
        b = put(tmp_path, LLM + "2023-11-16 18:17:17.97,1,1\r\n", "AzureLLMInferenceTrace_code.csv")
        trace = read_arrivals([a, b])
        assert trace.sources == ("conv", "code")
        assert trace.counts.tolist() == [[1, 0, 0], [0, 0, 1]]

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("2023-11-16 18:15:46,1,1\r\nnever,1,1\r\n", ":3: 'TIMESTAMP' is 'never', expected a time like"),
            ("2023-11-16 18:15:46,-1,1\r\n", ":2: ContextTokens is '-1', expected 0 or more"),
            ("2013-11-16 18:15:46,1,1\r\n2023-11-16 18:15:46,1,1\r\n", "days apart, expected at most 1100"),
            ("", "no row below the header"),
        ],
    )
    def test_refusals(self, tmp_path, rows, said):
        with pytest.raises(ValueError, match=r"trace\.csv") as refusal:
            read_arrivals(put(tmp_path, LLM + rows))
        assert said in str(refusal.value)


class TestBurstGpt:
    def test_models_and_ways_are_sources_and_failures_count(self, tmp_path):
        text = (
            f"{BURST}86405,ChatGPT,472,18,490,Conversation log\n86405,ChatGPT,1087,230,1317,API log\n"
            "86518.5,GPT-4,417,0,417,Conversation log\n86519,ChatGPT,1,1,2,API log\n"
        )
        trace = read_arrivals(put(tmp_path, text))
        assert trace.sources == ("ChatGPT, Conversation log", "ChatGPT, API log", "GPT-4, Conversation log")
        assert trace.counts.tolist() == [[1, 0], [1, 1], [0, 1]]
        assert (trace.clock, trace.begin_s, trace.resolution_s) == ("day", 86400.0, 0.5)
        assert "1 of 4 requests (25.0%) were answered with 0 tokens: they failed, and count" in trace.notes
        assert trace.hours(24)[0] == 0

    def test_the_columns_of_later_releases(self, tmp_path):
        text = (
            "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "60,8a,1.5,ChatGPT,472,18,490,API log\n"
        )
        path = put(tmp_path, text)
        assert sniff_arrivals(path) == "burstgpt"
        assert read_arrivals(path).counts.tolist() == [[1]]

    def test_rows_that_go_back_are_noted(self, tmp_path):
        rows = "".join(f"{t},ChatGPT,1,1,2,API log\n" for t in (5, 65, 6, 70))
        trace = read_arrivals(put(tmp_path, BURST + rows))
        assert trace.counts.tolist() == [[2, 2]]
        assert "1 rows go back in time" in trace.notes

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("-5,ChatGPT,1,1,2,API log", "Timestamp is '-5', expected seconds since the first midnight"),
            ("1700000000,ChatGPT,1,1,2,API log", "Timestamp is '1700000000', expected seconds since"),
            (",ChatGPT,1,1,2,API log", "the time is missing, expected one of each request"),
            ("5,Chat\x07GPT,1,1,2,API log", "Model, Log Type is 'Chat\\x07GPT, API log', expected a name"),
        ],
    )
    def test_refusals(self, tmp_path, row, said):
        with pytest.raises(ValueError, match=r"trace\.csv:2: ") as refusal:
            read_arrivals(put(tmp_path, f"{BURST}{row}\n"))
        assert said in str(refusal.value)


class TestAzureFunctions:
    def day(self, tmp_path, number, rows):
        name = f"invocations_per_function_md.anon.d{number:02d}.csv"
        return put(tmp_path, FUNCTIONS + "".join(f"{row}\n" for row in rows), name)

    def row(self, app, function, counts):
        full = np.zeros(1440, dtype=int)
        full[list(counts)] = list(counts.values())
        return f"o,{app},{function},http," + ",".join(map(str, full))

    def test_functions_are_added_up_by_application_and_days_follow_each_other(self, tmp_path):
        first = self.day(
            tmp_path,
            1,
            [self.row("a", "f", {0: 2}), self.row("b", "g", {5: 1}), self.row("a", "h", {0: 3, 1439: 1})],
        )
        second = self.day(tmp_path, 2, [self.row("c", "f", {7: 9})])
        trace = read_arrivals([first, second])
        assert trace.sources == ("a", "b", "c")
        assert trace.counts.shape == (3, 2880)
        assert trace.totals.tolist() == [6, 1, 9]
        assert trace.counts[0, [0, 1439]].tolist() == [5, 1]
        assert trace.counts[2, 1447] == 9
        assert trace.clock == "day"
        assert "3 functions added up by application" in trace.notes

    def test_many_applications_are_kept_apart_as_far_as_they_are_asked(self, tmp_path):
        rows = [self.row(f"app{index}", "f", {index: 2 + index % 7}) for index in range(MOST_SOURCES + 40)]
        trace = read_arrivals(self.day(tmp_path, 1, rows))
        assert len(trace.sources) == MOST_SOURCES + 1
        assert trace.sources[-1] == OTHERS
        assert trace.totals.sum() == sum(2 + index % 7 for index in range(MOST_SOURCES + 40))
        assert trace.counts[-1].max() == 2
        assert "40 less asked sources counted together as (others)" in trace.notes

    def test_requests_begin_their_duration_before_their_end(self, tmp_path):
        text = (
            "app,func,end_timestamp,duration\na,f,60.142570018768,0.134\nb,f,61.28,2.013\na,g,241.56,42.356\n"
        )
        trace = read_arrivals(put(tmp_path, text, "two_weeks.txt"))
        assert trace.sources == ("a", "b")
        assert trace.counts.tolist() == [[0, 1, 0, 1], [1, 0, 0, 0]]
        assert (trace.clock, trace.begin_s) == ("none", 0.0)

    @pytest.mark.parametrize("bad", ["-1", "1.5", "nan", "1e12", "x"])
    def test_a_minute_that_is_no_count_is_refused_with_its_line(self, tmp_path, bad):
        row = self.row("a", "f", {0: 1}).replace("http,1,0", f"http,1,{bad}", 1)
        with pytest.raises(ValueError, match=r"d01\.csv:3: minute 2 is .*, expected a whole number"):
            read_arrivals(self.day(tmp_path, 1, [self.row("a", "f", {0: 1}), row]))

    def test_empty_minutes_count_as_none(self, tmp_path):
        row = self.row("a", "f", {0: 1}).replace("http,1,0", "http,1,", 1)
        assert read_arrivals(self.day(tmp_path, 1, [row])).totals.tolist() == [1]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,1,2\n",
                "no column '3', expected one for",
            ),
            ("app,func,end_timestamp,duration\na,f,5,-1\n", ":2: duration is '-1', expected seconds, 0 or"),
        ],
    )
    def test_refusals(self, tmp_path, text, said):
        with pytest.raises(ValueError, match=r"trace\.csv") as refusal:
            read_arrivals(put(tmp_path, text))
        assert said in str(refusal.value)


class TestMooncake:
    def test_a_row_is_an_object(self, tmp_path):
        rows = [
            {"timestamp": t, "input_length": 9, "output_length": 2, "hash_ids": [0]}
            for t in (0, 0, 3000, 65999)
        ]
        text = "\n".join(map(json.dumps, rows)) + "\n\n"
        trace = read_arrivals(put(tmp_path, text, "conversation_trace.jsonl"))
        assert trace.sources == ("conversation",)
        assert trace.counts.tolist() == [[3, 1]]
        assert (trace.clock, trace.resolution_s) == ("none", 3.0)
        assert trace.unit == "milliseconds since the beginning"

    @pytest.mark.parametrize(
        "row", ["[]", "{", '{"timestamp": "0", "input_length": 9, "output_length": 2}', '{"timestamp": 0}']
    )
    def test_refusals(self, tmp_path, row):
        good = '{"timestamp": 0, "input_length": 9, "output_length": 2}\n'
        with pytest.raises(
            ValueError, match=r"trace\.csv:2: .*, expected (a JSON object|numbers as timestamp)"
        ):
            read_arrivals(put(tmp_path, good + row))


class TestOwn:
    def trace(self, clock="utc", begin_s=1700158500.0):
        counts = np.random.default_rng(0).poisson(0.2, (3, 500)).astype(np.int32)
        counts[2] = 0
        return RequestTrace(("a", 'of "two", words', "silent"), counts, begin_s, clock, source="made (test)")

    @pytest.mark.parametrize(("clock", "begin_s"), [("utc", 1700158500.0), ("day", 86460.0), ("none", 0.0)])
    def test_what_is_written_is_read(self, tmp_path, clock, begin_s):
        trace = self.trace(clock, begin_s)
        write_arrivals(trace, tmp_path / "own.csv")
        again = read_arrivals(tmp_path / "own.csv")
        assert (again.sources, again.clock, again.begin_s) == (trace.sources, clock, begin_s)
        assert np.array_equal(again.counts, trace.counts)

    @pytest.mark.parametrize(
        ("rows", "clock", "begin_s", "counts"),
        [
            ("0,a,1\n61,b,2\n", "none", 0.0, [[1, 0], [0, 2]]),
            ("2024-05-01T12:00:30Z,a,1\n2024-05-01T12:02Z,a,1\n", "utc", 1714564800.0, [[1, 0, 1]]),
            ("1714564830,a,1\n1714564920,a,1\n", "utc", 1714564800.0, [[1, 0, 1]]),
            ("5,a,1\n5,a,2\n70,a,0\n", "none", 0.0, [[3]]),
        ],
    )
    def test_it_may_be_written_by_hand(self, tmp_path, rows, clock, begin_s, counts):
        trace = read_arrivals(put(tmp_path, "time,source,requests\n" + rows))
        assert (trace.clock, trace.begin_s, trace.counts.tolist()) == (clock, begin_s, counts)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("time,source,requests\n5,a,1.5\n", ":2: requests is '1.5', expected a whole number, 0 or more"),
            ("time,source,requests\n5,a,0\n", "no request, expected at least one"),
            (
                "# clock,local\ntime,source,requests\n5,a,1\n",
                ":1: clock 'local', expected one of utc, day, none",
            ),
            (
                "# minutes,0,2\n# clock,day\ntime,source,requests\n500,a,1\n",
                "requests beyond the 2 minutes that",
            ),
            ("# minutes,0,9e10\n# clock,day\ntime,source,requests\n5,a,1\n", "would need 9e+10 values"),
            (
                "# minutes,x,2\ntime,source,requests\n5,a,1\n",
                ":1: '# minutes,x,2', expected # minutes,begin in s",
            ),
        ],
    )
    def test_refusals(self, tmp_path, text, said):
        with pytest.raises(ValueError, match=r"trace\.csv") as refusal:
            read_arrivals(put(tmp_path, text))
        assert said in str(refusal.value)


def test_blocks_are_counted_as_the_whole(monkeypatch):
    monkeypatch.setattr("frugalfl.traces.formats.arrivals.counting._FOLD", 50)
    rng = np.random.default_rng(0)
    times_s, lines = rng.uniform(0, 40 * 60, 4000), np.arange(4000)
    whole, parts = (MinuteCounter("f", "test") for _ in range(2))
    whole.add(times_s, "a", lines)
    for part in np.split(np.arange(4000), 100):
        parts.add(times_s[part], "a", lines[part])
    one, other = whole.trace("none", "s"), parts.trace("none", "s")
    assert np.array_equal(one.counts, other.counts)
    assert one.counts.sum() == 4000
    assert one.gap_cv == pytest.approx(other.gap_cv)


def test_gaps_tell_poisson_from_clockwork():
    rng = np.random.default_rng(0)
    for times_s, cv in ((np.cumsum(rng.exponential(3.0, 20_000)), 1.0), (np.arange(20_000) * 3.0, 0.0)):
        counter = MinuteCounter("f", "test")
        counter.add(times_s, "a", np.arange(20_000))
        assert counter.trace("none", "s").gap_cv == pytest.approx(cv, abs=0.05)
