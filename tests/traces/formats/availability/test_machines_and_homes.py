"""Cluster traces, charging cars and smart homes: what each row means, and what is refused where."""

from __future__ import annotations

import json

import pytest

from frugalfl.traces.formats import AVAILABILITY_EXAMPLES
from frugalfl.traces.formats.availability import read_availability

HOUR = 3600.0


def put(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def spans(trace, user, since=0.0):
    rows = trace.user[trace.session_recording] == trace.users.index(user)
    pairs = zip(trace.session_start_s[rows] - since, trace.session_end_s[rows] - since, strict=True)
    return list(pairs)


class TestAvt:
    def test_intervals_of_nodes(self, tmp_path):
        trace = read_availability(
            put(tmp_path, "# a comment\n10.0.0.1 2 60 120 300 4000\nb.c 0\nd 1 0 9000\n")
        )
        assert trace.users == ("10.0.0.1", "b.c", "d")
        assert spans(trace, "10.0.0.1") == [(60, 120), (300, 4000)]
        assert spans(trace, "b.c") == []
        assert (trace.clock, set(trace.end_s)) == ("none", {9000.0})

    def test_unix_seconds_are_utc(self, tmp_path):
        assert read_availability(put(tmp_path, "a 1 1100000000 1100003600\n")).clock == "utc"

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("b 2 0 5", "t.csv:2: .*so many pairs"),
            ("b 1 9 5", "t.csv:2: '5', expected seconds that do not go back"),
            ("b 1 5 x", "t.csv:2: 'x', expected seconds"),
            ("b 1 5 1_0", "t.csv:2: '1_0', expected seconds"),
            ("b", "t.csv:2: .*so many pairs"),
            ("b 1 5 1e300", "years, expected at most 30"),
        ],
    )
    def test_refusals(self, tmp_path, line, why):
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, f"a 1 0 5\n{line}\n"), "avt")


class TestGoogleMachines:
    BEGIN_2011, BEGIN_2019 = 1304290800.0, 1556694000.0  # 1 May 2011 19:00 EDT; 1 May 2019 00:00 PDT

    def test_events_of_2011(self, tmp_path):
        text = (
            "0,5,0,p,0.5,0.25\n0,6,0,p,0.5,0.25\n600000000,6,2,p,0.5,0.2\n4200000000,6,1,p,,\n"
            "7800000000,6,0,p,0.5,0.25\n11400000000,5,1,p,,\n9223372036854775807,5,0,p,0.5,0.25\n"
        )
        trace = read_availability(put(tmp_path, text))
        assert spans(trace, "5", self.BEGIN_2011) == [(0, 3 * HOUR)]
        assert spans(trace, "6", self.BEGIN_2011) == [(0, HOUR), (2 * HOUR, 3 * HOUR)]
        assert (trace.clock, trace.utc_offset_h.tolist()) == ("utc", [-4, -4])
        assert {"1 changes of capacity passed over", "1 events after the trace's end passed over"} <= set(
            trace.notes
        )

    @pytest.mark.parametrize("quote", ["", '"'])
    def test_events_of_2019_with_and_without_quotes(self, tmp_path, quote):
        rows = [(0, 5, 1), (4200000000, 5, 2), (7800000000, 7, 1)]
        lines = [
            f'{{"time":{quote}{t}{quote},"machine_id":{quote}{m}{quote},"type":{quote}{k}{quote},"switch_id":"s",'
            '"capacity":{"cpus":0.5,"memory":0.25},"platform_id":"p"}'
            for t, m, k in rows
        ]
        trace = read_availability(put(tmp_path, "\n".join(lines), "m.json"))
        assert trace.source.endswith("(google-machines)")
        assert spans(trace, "5", self.BEGIN_2019) == [(0, HOUR)]
        assert spans(trace, "7") == []

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("0,5,0,p,1,1\n5,6,9,p,1,1\n", r"t.csv:2: .*expected time, machine, type"),
            ("0,5,0,p,1,1\n99999999999999999,5,1,p,1,1\n", "t.csv:2: time is .* at most 400 days"),
            ("0,5,0,p,1,1\n", "no event after the beginning"),
            (
                '{"time":0,"machine_id":5,"type":1}\n{"time":0,"machine_id":5}\n',
                "t.csv:2: .*expected whole numbers",
            ),
            ('{"time":0,"machine_id":5,"type":1}\n{"time":\n', "t.csv:2: .*expected a JSON object a line"),
        ],
    )
    def test_refusals(self, tmp_path, content, why):
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, content), "google-machines")


class TestAlibabaSpot:
    HEAD = (
        "job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type\n"
    )

    def test_workers_take_the_place_that_is_free_first(self, tmp_path):
        rows = "1,9,A10,8,1,2,0,100,Spot\n2,9,A10,8,1,1,50,500,HP\n3,9,A10,8,1,1,150,50,Spot\n"
        rows += "4,9,H800,8,1,1,20,30,Spot\n"
        trace = read_availability(put(tmp_path, self.HEAD + rows))
        assert trace.users == ("A10/0", "A10/1", "H800/0")
        assert trace.group == ("A10", "A10", "H800")
        assert spans(trace, "A10/0") == [(0, 100), (150, 200)]
        assert spans(trace, "A10/1") == [(0, 100)]
        assert set(trace.end_s) == {550.0}
        assert "1 jobs of high priority left out" in trace.notes

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ("2,9,A10,8,1,1,0,50,Best", "t.csv:3: job_type is 'Best', expected HP or Spot"),
            ("2,9,A10,8,1,1.5,0,50,Spot", "t.csv:3: worker_num is '1.5', expected a whole number"),
            ("2,9,A10,8,1,1,-5,50,Spot", "t.csv:3: submit_time is '-5', expected seconds"),
            ("2,9,A10,8,1,1,0,,Spot", "t.csv:3: duration is '', expected seconds"),
            ("2,9,A10,8,1,9000000,0,5,Spot", "spot workers, expected at most 5000000"),
        ],
    )
    def test_refusals(self, tmp_path, row, why):
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, f"{self.HEAD}1,9,A10,8,1,2,0,100,Spot\n{row}\n"))


class TestAcn:
    def car(self, **changes):
        row = {
            "stationID": "2-39-78-362",
            "userID": "000000022",
            "timezone": "America/Los_Angeles",
            "connectionTime": "Wed, 25 Apr 2018 11:08:04 GMT",
            "disconnectTime": "Wed, 25 Apr 2018 13:08:04 GMT",
        }
        return row | changes

    def test_stations_and_drivers(self, tmp_path):
        later = {
            "connectionTime": "Wed, 25 Apr 2018 14:08:04 GMT",
            "disconnectTime": "Wed, 25 Apr 2018 15:08:04 GMT",
        }
        cars = [self.car(), self.car(userID=None, **later), self.car(stationID="x", **later)]
        path = put(tmp_path, json.dumps({"_items": cars}, indent=1), "acn.json")
        begin = 1524654484.0
        trace = read_availability(path)
        assert spans(trace, "2-39-78-362", begin) == [(0, 2 * HOUR), (3 * HOUR, 4 * HOUR)]
        assert (trace.clock, trace.utc_offset_h.tolist()) == ("utc", [-7, -7])
        drivers = read_availability(path, "acn-users")
        assert spans(drivers, "000000022", begin) == [(0, 2 * HOUR), (3 * HOUR, 4 * HOUR)]
        assert "1 sessions without userID left out" in drivers.notes
        assert read_availability(put(tmp_path, json.dumps(cars), "list.json")).users == trace.users

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            (
                {"connectionTime": "2018-04-25"},
                r"t.csv:6: connectionTime is '2018-04-25', expected a time like 'Wed",
            ),
            ({"connectionTime": 10**400}, "t.csv:6: connectionTime is"),
            ({"disconnectTime": "Wed, 25 Apr 2018 09:08:04 GMT"}, "t.csv:6: disconnectTime lies before"),
            ({"stationID": ["a"]}, "t.csv:6: stationID is"),
        ],
    )
    def test_refusals_name_the_line(self, tmp_path, changes, why):
        text = (
            '{"_items": [\n' + json.dumps(self.car()) + ",\n\n\n\n" + json.dumps(self.car(**changes)) + "]}"
        )
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, text), "acn")


class TestHomeAssistant:
    MIDNIGHT = 1740787200.0  # 2025-03-01T00:00:00Z
    ROWS = [
        ("person.ann", "home", "00:00"),
        ("person.ann", "not_home", "02:00"),
        ("person.ann", "work", "03:00"),
        ("person.ann", "home", "04:00"),
        ("binary_sensor.plug", "on", "01:00"),
        ("binary_sensor.plug", "unavailable", "02:00"),
        ("binary_sensor.plug", "off", "05:00"),
        ("sensor.temperature", "21.5", "01:30"),
        ("switch.lamp", "unknown", "00:00"),
        ("switch.lamp", "on", "06:00"),
    ]

    def csv(self):
        rows = (f"{name},{state},2025-03-01T{at}:00.000Z\n" for name, state, at in self.ROWS)
        return "entity_id,state,last_changed\n" + "".join(rows)

    def history(self, minimal):
        groups = {}
        for name, state, at in self.ROWS:
            row = {"state": state, "last_changed": f"2025-03-01T{at}:00+00:00"}
            first = name not in groups
            groups.setdefault(name, []).append(row if minimal and not first else {"entity_id": name, **row})
        return json.dumps(list(groups.values()), indent=1)

    def check(self, trace):
        assert trace.users == ("person.ann", "binary_sensor.plug")
        assert spans(trace, "person.ann", self.MIDNIGHT) == [(0, 2 * HOUR), (4 * HOUR, 6 * HOUR)]
        assert spans(trace, "binary_sensor.plug", self.MIDNIGHT) == [(HOUR, 2 * HOUR)]
        hours = (
            ((trace.begin_s - self.MIDNIGHT) / HOUR).tolist(),
            ((trace.end_s - self.MIDNIGHT) / HOUR).tolist(),
        )
        assert (trace.user.tolist(), *hours) == ([0, 1, 1], [0, 1, 5], [6, 2, 6])
        assert trace.clock == "utc"
        assert any("1 entities" in note for note in trace.notes)
        assert any("2 times unavailable or unknown" in note for note in trace.notes)

    def test_csv_and_both_shapes_of_the_api_say_the_same(self, tmp_path):
        self.check(read_availability(put(tmp_path, self.csv())))
        self.check(read_availability(put(tmp_path, self.history(False), "h.json")))
        self.check(read_availability(put(tmp_path, self.history(True), "m.json")))

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("entity_id,state,last_changed\nsensor.t,5,2025-03-01T00:00Z\n", "t.csv:2: entity_id is"),
            ("entity_id,state,last_changed\nperson.a,home,yesterday\n", "t.csv:2: .*expected a time"),
            ("entity_id,state,last_changed\nperson.a,home,2025-03-01T00:00Z\n", "no span of time"),
            (
                '[[{"entity_id": "person.a",\n"state": "on", "last_changed": "2025-03-01"},\n{"state": 5}]]',
                "t.csv:3: expected texts",
            ),
            ('[[{"state": "home", "last_changed": "2025-03-01T00:00:00Z"}]]', "t.csv:1: expected texts"),
            ("[[]]", "t.csv:1: no state"),
        ],
    )
    def test_refusals(self, tmp_path, content, why):
        with pytest.raises(ValueError, match=why):
            read_availability(put(tmp_path, content), "home-assistant")


@pytest.mark.parametrize("name", ["acn", "alibaba-spot", "avt", "google-machines", "home-assistant"])
def test_examples_say_how_they_write_times(tmp_path, name):
    assert read_availability(put(tmp_path, AVAILABILITY_EXAMPLES[name])).unit
