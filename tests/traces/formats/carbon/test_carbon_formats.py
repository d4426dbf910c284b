"""Carbon formats on hand-made files: units, kinds, clocks, gaps; and what is refused where."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.traces.carbon import make_carbon
from frugalfl.traces.formats.carbon import read_carbon, write_own
from frugalfl.traces.records import CarbonSeries, joined_series, regular_series

OLD = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
    "Carbon Intensity gCO₂eq/kWh (LCA),Data Estimated"
)
NEW = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Data estimated"
)
JAN = 1672531200.0


def put(tmp_path, content, name="c.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def em(tmp_path, rows, header=OLD):
    lines = [
        f"2023-01-01 {row[0]}:00,X,Y,{row[3] if len(row) > 3 else 'DE'},{row[1]},{row[2]},false"
        for row in rows
    ]
    return put(tmp_path, "\n".join([header, *lines]) + "\n")


@pytest.mark.parametrize("header", [OLD, NEW], ids=["2023", "2025"])
def test_electricity_maps_both_headers_and_both_kinds(tmp_path, header):
    path = em(tmp_path, [("00:00", 100.5, 150), ("01:00", 0, 140)], header)
    direct, life = read_carbon(path)[0], read_carbon(path, kind="life-cycle")[0]
    assert direct.g_per_kwh.tolist() == [100.5, 0.0]
    assert life.g_per_kwh.tolist() == [150.0, 140.0]
    assert (direct.zone, direct.kind, direct.step_s, direct.first_utc_s) == ("DE", "direct", 3600.0, JAN)
    with pytest.raises(ValueError, match="kind 'marginal' is not in the file"):
        read_carbon(path, kind="marginal")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("00:00", 1, 1), ("01:00", "abc", 1)], r"c.csv:3: .* is 'abc'"),
        ([("00:00", 1, 1), ("01:00", -5, 1)], r"c.csv:3: intensity -5"),
        ([("00:00", 1, 1), ("01:00", 99999, 1)], r"c.csv:3: intensity 99999"),
        ([("02:00", 1, 1), ("01:00", 1, 1)], r"c.csv:3: time goes back"),
        ([("01:00", 1, 1), ("01:00", 2, 1)], r"c.csv:3: the time repeats with 2 after 1"),
        ([("00:00", 1, 1), ("01:00", 1, 1), ("09:00", 1, 1)], r"c.csv:4: a gap of 8 h"),
        ([("00:00", 1, 1), ("01:00", 1, 1), ("02:17", 1, 1)], r"c.csv:4: 4620 s after"),
        ([("00:00", 1, 1), ("xx", 1, 1)], r"c.csv:3: 'Datetime \(UTC\)' is"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path, rows, why):
    with pytest.raises(ValueError, match=why):
        read_carbon(em(tmp_path, rows))


def test_small_gaps_hold_and_equal_repeats_drop_and_both_are_noted(tmp_path):
    rows = [("00:00", 1, 1), ("01:00", 2, 1), ("01:00", 2, 1), ("02:00", "", 1), ("03:00", 4, 1)]
    series = read_carbon(em(tmp_path, rows))[0]
    assert series.g_per_kwh.tolist() == [1, 2, 2, 4]
    assert len(series.notes) == 3


def test_a_step_that_changes_within_the_file_is_held_on_the_finer_grid():
    utc_s = np.array([0.0, 1800.0, 3600.0, 4500.0, 5400.0])
    series = regular_series("x", "GB", "direct", utc_s, np.arange(5.0), np.arange(5))
    assert series.step_s == 900.0
    assert series.g_per_kwh.tolist() == [0, 0, 1, 1, 2, 3, 4]


def test_several_zones_and_kinds_of_one_world(tmp_path):
    path = em(
        tmp_path, [("00:00", 1, 1, "DE"), ("01:00", 2, 1, "DE"), ("00:00", 3, 1, "GB"), ("01:00", 4, 1, "GB")]
    )
    assert [s.zone for s in read_carbon(path)] == ["DE", "GB"]


def uk(rows):
    return json.dumps(
        {
            "data": [
                {"from": f"2023-03-15T{h}Z", "to": "", "intensity": {"forecast": f, "actual": a}}
                for h, f, a in rows
            ]
        }
    )


def test_uk_api_takes_actual_values_and_says_when_there_are_none(tmp_path):
    actual = read_carbon(put(tmp_path, uk([("12:00", 100, 90), ("12:30", 100, 95)]), "a.json"))[0]
    assert actual.g_per_kwh.tolist() == [90, 95]
    assert (actual.zone, actual.kind, actual.step_s) == ("GB", "direct", 1800.0)
    forecast = read_carbon(put(tmp_path, uk([("12:00", 100, None), ("12:30", 101, None)]), "f.json"))[0]
    assert forecast.g_per_kwh.tolist() == [100, 101]
    assert "forecast" in forecast.notes[0]


def test_watttime_pounds_per_mwh_newest_first(tmp_path):
    v2 = [
        {"point_time": "2019-02-21T00:05:00.000Z", "value": 1000.0, "ba": "CAISO_NORTH"},
        {"point_time": "2019-02-21T00:00:00.000Z", "value": 500.0, "ba": "CAISO_NORTH"},
    ]
    series = read_carbon(put(tmp_path, json.dumps(v2), "v2.json"))[0]
    assert series.g_per_kwh == pytest.approx([226.796185, 453.59237])
    assert (series.kind, series.zone, series.step_s) == ("marginal", "CAISO_NORTH", 300.0)
    v3 = {
        "data": [{"point_time": "2022-07-15T00:00:00Z", "value": 870}],
        "meta": {
            "region": "R",
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            "data_point_period_seconds": 300,
        },
    }
    assert read_carbon(put(tmp_path, json.dumps(v3), "v3.json"))[0].zone == "R"
    v3["meta"]["units"] = "percentile"
    with pytest.raises(ValueError, match="'percentile', expected co2_moer"):
        read_carbon(put(tmp_path, json.dumps(v3), "v3.json"))


def test_moer_brings_its_forecasts(tmp_path):
    text = (
        "time,moer,f1,f2\n2019-04-30 00:00:00+00:00,0.2,0.3,0.4\n2019-04-30 00:05:00+00:00,0.25,0.35,0.45\n"
    )
    series = read_carbon(put(tmp_path, gzip.compress(text.encode()), "SGIP_CAISO_PGE_2019-05.csv.gz"))[0]
    assert series.g_per_kwh == pytest.approx([200.0, 250.0])
    assert series.provider_g_per_kwh == pytest.approx(np.array([[300.0, 400.0], [350.0, 450.0]]))
    assert (series.zone, series.kind) == ("CAISO_PGE", "marginal")


SMARD = "\ufeffDatum;Uhrzeit;Wind Onshore[MWh];Braunkohle[MWh];Pumpspeicher[MWh]\n"


def test_smard_thousands_points_and_the_hour_that_comes_twice(tmp_path):
    stamps = [f"{h:02d}:{m:02d}" for h in (1, 2) for m in (0, 15, 30, 45)]
    stamps += [f"02:{m:02d}" for m in (0, 15, 30, 45)] + ["03:00"]
    rows = "".join(f"25.10.2020;{stamp};1.000;1.000;9\n" for stamp in stamps)
    series = read_carbon(put(tmp_path, SMARD + rows))[0]
    assert series.g_per_kwh == pytest.approx(np.full(13, (12 + 1001) / 2))
    assert series.first_utc_s == 1603580400.0, "01:00 CEST is 23:00 UTC of the day before"
    assert series.step_s == 900.0
    spring = "".join(f"29.03.2020;{stamp};1;1;9\n" for stamp in ("01:30", "01:45", "03:00", "03:15"))
    assert read_carbon(put(tmp_path, SMARD + spring))[0].g_per_kwh.size == 4, "no gap in UTC"
    once = "".join(f"25.10.2020;{stamp};1;1;9\n" for stamp in ("01:45", "02:00", "02:15", "03:00"))
    with pytest.raises(ValueError, match="comes not exactly twice"):
        read_carbon(put(tmp_path, SMARD + once))
    with pytest.raises(ValueError, match="consumption, not generation"):
        read_carbon(put(tmp_path, "Datum;Uhrzeit;Gesamt (Netzlast)[MWh]\n25.10.2020;01:00;5\n"))


def test_entsoe_missing_words_and_the_empty_row_of_spring(tmp_path):
    header = '"Area","MTU","Solar  - Actual Aggregated [MW]","Fossil Gas  - Actual Aggregated [MW]"\n'
    rows = [
        ("31.03.2019 01:00 - 31.03.2019 02:00 (CET/CEST)", "n/e", "100"),
        ("31.03.2019 02:00 - 31.03.2019 03:00 (CET/CEST)", "-", "-"),
        ("31.03.2019 03:00 - 31.03.2019 04:00 (CET/CEST)", "100", "100"),
    ]
    text = header + "".join(f'"BE","{mtu}","{solar}","{gas}"\n' for mtu, solar, gas in rows)
    series = read_carbon(put(tmp_path, text))[0]
    assert series.g_per_kwh == pytest.approx([469.0, (469 + 46) / 2])
    assert series.first_utc_s == 1553990400.0
    assert (series.zone, series.kind) == ("BE", "life-cycle")


def test_carbon_aware_sdk_both_shapes(tmp_path):
    rows = [{"Location": "eu", "Time": f"2021-10-25T{h}:50:00+00:00", "Rating": "9.5"} for h in (14, 15)]
    for document in (rows, {"Emissions": rows}):
        text = "\ufeff" + json.dumps(document)
        series = read_carbon(put(tmp_path, text, "s.json"))[0]
        assert series.g_per_kwh.tolist() == [9.5, 9.5]
        assert "direct is assumed" in series.notes[0]


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("time,gco2", "or write it with the header time,zone,kind,g_per_kwh"),
        (
            "timestamp,project_name,run_id,duration,emissions,energy_consumed",
            "codecarbon's log of what runs of your own emitted",
        ),
    ],
)
def test_a_table_that_nobody_knows_is_refused_with_what_to_do(tmp_path, header, advice):
    with pytest.raises(ValueError, match=advice):
        read_carbon(put(tmp_path, f"{header}\n2024-01-01T00:00:00Z,100,1,1,1,1\n"))


def test_citylearn_has_no_times_and_kilograms(tmp_path):
    series = read_carbon(put(tmp_path, "carbon_intensity\n0.1\n0.2\n", "city.csv"), kind="marginal")[0]
    assert series.g_per_kwh.tolist() == [100.0, 200.0]
    assert series.kind == "marginal"


@given(
    st.lists(st.floats(0, 2900), min_size=2, max_size=30),
    st.sampled_from(["direct", "life-cycle", "marginal"]),
)
@settings(max_examples=40, deadline=None)
def test_own_csv_is_read_back_without_loss(tmp_path_factory, values, kind):
    series = [
        CarbonSeries(z, kind, JAN + 900.0, 900.0, np.array(values) / (i + 1)) for i, z in enumerate("AB")
    ]
    path = tmp_path_factory.mktemp("own") / "c.csv"
    write_own(series, path)
    for before, after in zip(series, read_carbon(path), strict=True):
        assert np.array_equal(before.g_per_kwh, after.g_per_kwh)
        assert (before.zone, before.kind, before.first_utc_s, before.step_s) == (
            after.zone, after.kind, after.first_utc_s, after.step_s,
        )  # fmt: skip


def test_months_of_a_zone_are_joined_and_holes_between_them_refused():
    first = CarbonSeries("A", "direct", 0.0, 3600.0, np.arange(24.0))
    overlap = CarbonSeries("A", "direct", 20 * 3600.0, 3600.0, np.arange(20.0, 30.0))
    whole = joined_series([overlap, first])[0]
    assert whole.g_per_kwh.tolist() == [*range(30)]
    other = CarbonSeries("A", "direct", 20 * 3600.0, 3600.0, np.full(10, 99.0), "two.csv")
    with pytest.raises(ValueError, match=r"two.csv: zone 'A' has 99 g/kWh at 1970-01-01T20:00:00Z and 20 in"):
        joined_series([other, first])
    with pytest.raises(ValueError, match="begins 76 h after"):
        joined_series([first, CarbonSeries("A", "direct", 100 * 3600.0, 3600.0, np.ones(3))])


def test_files_of_different_kinds_do_not_make_a_world(tmp_path):
    life = "Time,Carbon Intensity\n" + "".join(f"2023-01-01 {h:02d}:00:00,50\n" for h in range(24))
    one = put(tmp_path, life, "fr_ci.csv")
    two = em(tmp_path, [(f"{h:02d}:00", 10, 20) for h in range(24)])
    with pytest.raises(ValueError, match="kinds direct and life-cycle are mixed"):
        make_carbon([str(one), str(two)])
    assert (
        make_carbon({"zones": [str(one), str(two)], "kind_of_intensity": "life-cycle"}).kind == "life-cycle"
    )
