"""What providers publish today, in the shapes of their documentation, with values computed by hand."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from frugalfl.traces.analysis import print_contents, read_any
from frugalfl.traces.carbon import make_carbon
from frugalfl.traces.formats.carbon import read_carbon
from frugalfl.traces.formats.carbon.fuels import factor_of

JAN = 1735689600.0  # 2025-01-01 00:00 UTC


def put(tmp_path, content, name="f.csv"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(header, rows, sep=","):
    return "\n".join(sep.join(map(str, row)) for row in [header, *rows]) + "\n"


# SMARD

GERMAN = "\ufeffDatum von;Datum bis;{0} [MWh] Originalauflösungen;{1} [MWh] Originalauflösungen\n"


def test_smard_of_2023_and_later_in_both_languages(tmp_path):
    rows = "".join(
        f"06.01.2025 {h:02d}:{m:02d};06.01.2025 {h:02d}:{m + 15 if m < 45 else 59};1.000,5;3.000,5\n"
        for h in (0, 1)
        for m in (0, 15, 30, 45)
    )
    german = read_carbon(put(tmp_path, GERMAN.format("Erdgas", "Wind Onshore") + rows))[0]
    expected = (1000.5 * 469 + 3000.5 * 12) / 4001
    assert german.g_per_kwh == pytest.approx(np.full(8, expected))
    assert (german.zone, german.step_s, german.first_utc_s) == ("DE", 900.0, 1736118000.0)
    assert (german.clock, german.unit) == ("Europe/Berlin", "MWh by fuel")
    english = (
        "Start date;End date;Fossil gas [MWh] Calculated resolutions;"
        "Wind onshore [MWh] Calculated resolutions\n"
        "Jan 6, 2025 12:00 AM;Jan 6, 2025 1:00 AM;1,000.50;3,000.50\n"
    )
    one = read_carbon(put(tmp_path, english))[0]
    assert one.g_per_kwh == pytest.approx([expected])
    assert (one.step_s, one.first_utc_s) == (3600.0, 1736118000.0), "the row itself says how long it holds"


def test_smard_generation_is_known_by_any_fuel_and_load_is_left_out(tmp_path):
    text = GERMAN.format("Biomasse", "Netzlast") + "06.01.2025 00:00;06.01.2025 00:15;5;900\n"
    assert read_carbon(put(tmp_path, text))[0].g_per_kwh.tolist() == [18.0]
    load = GERMAN.format("Netzlast", "Pumpspeicher") + "06.01.2025 00:00;06.01.2025 00:15;5;900\n"
    with pytest.raises(ValueError, match="consumption, not generation"):
        read_carbon(put(tmp_path, load))
    months = GERMAN.format("Biomasse", "Erdgas") + "".join(
        f"01.{m:02d}.2025 00:00;01.{m + 1:02d}.2025 00:00;5;9\n" for m in range(1, 5)
    )
    with pytest.raises(ValueError, match=r"f.csv:\d: values are of months"):
        read_carbon(put(tmp_path, months))


# a fuel that is missing is not none

ENTSOE = '"Area","MTU","{}  - Actual Aggregated [MW]","Fossil Gas  - Actual Aggregated [MW]"\n'


def entsoe(rows, fuel="Fossil Brown coal/Lignite", clock="(UTC)"):
    return ENTSOE.format(fuel) + "".join(
        f'"DE","06.01.2025 {h:02d}:00 - 06.01.2025 {h + 1:02d}:00 {clock}","{coal}","{gas}"\n'
        for h, (coal, gas) in enumerate(rows)
    )


def test_an_hour_that_lacks_a_fuel_is_missing_and_said(tmp_path):
    full = (1001 + 469) / 2
    series = read_carbon(put(tmp_path, entsoe([(5, 5), ("N/A", 5), (5, 5)])))[0]
    assert series.g_per_kwh == pytest.approx([full] * 3), "held, not 469"
    assert series.held == 1
    assert any("Lignite in 1 rows" in note for note in series.notes)
    with pytest.raises(ValueError, match=r"f.csv:7: a gap of 5 h .*Lignite in 4 rows"):
        read_carbon(put(tmp_path, entsoe([(5, 5), *[("N/A", 5)] * 4, (5, 5)])))


def test_a_fuel_that_is_never_there_is_none_and_so_is_not_expected(tmp_path):
    series = read_carbon(put(tmp_path, entsoe([("-", 5), ("", 5)])))[0]
    assert series.g_per_kwh.tolist() == [469.0, 469.0]
    assert any("no value of Fossil Brown coal/Lignite in the whole file" in note for note in series.notes)
    mixed = read_carbon(put(tmp_path, entsoe([("n/e", 5), (5, 5)])))[0]
    assert mixed.g_per_kwh.tolist() == [469.0, 735.0]


@pytest.mark.parametrize("fuel", ["Energy storage", "Hydro Pumped Storage"])
def test_storage_is_left_out(tmp_path, fuel):
    assert (
        read_carbon(put(tmp_path, entsoe([(900, 5), ("N/A", 5)], fuel)))[0].g_per_kwh.tolist() == [469.0] * 2
    )


@pytest.mark.parametrize(
    ("fuel", "factor"),
    [
        ("Solar with Integrated Battery Storage", 46.0),
        ("Wind without Integrated Battery Storage", 12.0),
        ("Hydropower and Pumped Storage", 4.0),
        ("Hydropower Excluding Pumped Storage", 4.0),
        ("Pumped Storage", 0.0),
        ("Battery Storage", 0.0),
        ("All Petroleum Products", 840.0),
        ("Other renewable", 18.0),
        ("Other", 700.0),
        ("Unicorns", None),
    ],
)
def test_fuels_by_their_names(fuel, factor):
    assert factor_of(fuel) == factor


def test_entsoe_has_one_clock_and_one_area(tmp_path):
    both = entsoe([(5, 5)]) + entsoe([(5, 5)], clock="(CET/CEST)").split("\n", 1)[1]
    with pytest.raises(ValueError, match=r"f.csv:3: clock 'CET/CEST' after 'UTC', expected one"):
        read_carbon(put(tmp_path, both))
    with pytest.raises(ValueError, match=r"f.csv:2: clock 'MSK', expected UTC"):
        read_carbon(put(tmp_path, entsoe([(5, 5)], clock="(MSK)")))
    with pytest.raises(ValueError, match=r"f.csv:3: area 'BE' after 'DE'"):
        read_carbon(put(tmp_path, entsoe([(5, 5)]) + entsoe([(5, 5)]).split("\n", 1)[1].replace("DE", "BE")))
    portal = '"MTU (CET/CEST)","Area","Day-ahead Price (EUR/MWh)"\n"01/01/2026 00:00:00 - ","BZN|AT","5"\n'
    with pytest.raises(ValueError, match="take AggregatedGenerationPerType from its File Library"):
        read_carbon(put(tmp_path, portal))


LIBRARY = (
    "DateTime(UTC)", "ResolutionCode", "AreaCode", "AreaDisplayName", "AreaTypeCode", "AreaMapCode",
    "ProductionType", "ActualGenerationOutput[MW]", "ActualConsumption[MW]", "UpdateTime(UTC)",
)  # fmt: skip


def library(rows):
    full = [
        (f"2025-01-01 {h}:00:00.000", code, "1", "X", kind, area, fuel, mw, "", "2025-01-02 00:00:00")
        for h, code, kind, area, fuel, mw in rows
    ]
    return table(LIBRARY, full, "\t")


def test_entsoe_library_has_a_row_per_fuel(tmp_path):
    rows = [
        ("00", "PT60M", "CTA", "AT", "Solar", 999),
        ("00", "PT60M", "BZN", "AT", "Solar", 5),
        ("00", "PT60M", "BZN", "AT", "Fossil Gas", 5),
        ("00", "PT60M", "BZN", "AT", "Energy storage", 70),
        ("01", "PT60M", "BZN", "AT", "Solar", 5),
        ("02", "PT60M", "BZN", "AT", "Fossil Gas", 5),
        ("02", "PT60M", "BZN", "AT", "Solar", 10),
        ("00", "PT60M", "BZN", "XX", "Solar", 5),
        ("00", "PT15M", "BZN", "XX", "Solar", 5),
    ]
    series = read_carbon(put(tmp_path, library(rows)))
    assert [one.zone for one in series] == ["AT"]
    assert series[0].g_per_kwh == pytest.approx([257.5, 257.5, (469 + 2 * 46) / 3]), "01:00 lacks gas"
    assert any("1 of 2 zones left out: 'XX'" in note for note in series[0].notes)
    with pytest.raises(ValueError, match=r"f.csv:3: 'Solar' comes twice at this time"):
        read_carbon(put(tmp_path, library([rows[1], rows[1]])))


def eia(rows, fuels):
    head = ("Balancing Authority", "Data Date", "UTC Time at End of Hour", "Net Generation (MW)")
    head = (*head, *(f"Net Generation (MW) from {fuel}" for fuel in fuels))
    return table([f'"{name}"' for name in head], [[f'"{cell}"' for cell in row] for row in rows])


def test_eia_930_takes_adjusted_values_and_ends_of_hours(tmp_path):
    fuels = (
        "Natural Gas",
        "Natural Gas (Imputed)",
        "Natural Gas (Adjusted)",
        "Solar with Integrated Battery Storage",
    )
    rows = [
        (ba, "1/1/2025", f"01/01/2025 {h}:00:00 AM", "", gas, "7", adjusted, solar)
        for ba, gas, adjusted, solar in (("ERCO", "9,999", "1,000", "3,000"), ("SEC", "", "", ""))
        for h in (1, 2)
    ]
    series = read_carbon(put(tmp_path, eia(rows, fuels)))
    assert [one.zone for one in series] == ["ERCO"], "nothing follows for those without generation"
    assert series[0].g_per_kwh == pytest.approx([(469 + 3 * 46) / 4] * 2)
    assert (series[0].first_utc_s, series[0].step_s) == (JAN, 3600.0)
    assert any("'SEC'" in note and "no fuel has a value" in note for note in series[0].notes)


# published intensities


def test_neso(tmp_path):
    head = ("DATETIME", "GAS", "COAL", "CARBON_INTENSITY", "FOSSIL", "FOSSIL_perc")
    rows = [(f"2025-01-01T00:{m}:00", 5, 0, g, 5, 50.0) for m, g in (("00", 120), ("30", 121))]
    series = read_carbon(put(tmp_path, table(head, rows)))[0]
    assert (series.zone, series.kind, series.step_s, series.first_utc_s) == ("GB", "direct", 1800.0, JAN)
    assert series.g_per_kwh.tolist() == [120.0, 121.0]


def test_eco2mix_of_rte_and_of_the_portal(tmp_path):
    head = ("Périmètre", "Nature", "Date", "Heures", "Nucléaire", "Taux de Co2")
    rows = [("France", "Données définitives", "2025-10-26", f"0{h}:00", 5, 20 + h) for h in range(4)]
    rows.insert(2, ("France", "Données définitives", "2025-10-26", "01:30", 5, ""))
    rows.append(("RTE ne pourra être tenu responsable de l'usage qui pourrait être fait", *[""] * 5))
    text = table(head, rows, "\t")
    series = read_carbon(put(tmp_path, text.encode("latin-1"), "eCO2mix_RTE.xls"))[0]
    assert (series.zone, series.kind, series.clock) == ("FR", "direct", "Europe/Paris")
    assert series.g_per_kwh.tolist() == [20, 21, 22, 22, 23], "the second 02:00 is not in the file: held"
    assert series.first_utc_s == 1761429600.0, "00:00 CEST"
    portal = "Périmètre;Nature;Date;Heure;Date et Heure;Taux de CO2 (g/kWh)\n" + "".join(
        f"France;x;2025-01-01;{h:02d}:00;2025-01-01T{h:02d}:00:00+01:00;{g}\n" for h, g in ((2, 22), (1, 21))
    )
    again = read_carbon(put(tmp_path, portal))[0]
    assert again.g_per_kwh.tolist() == [21.0, 22.0]
    assert again.first_utc_s == JAN


@pytest.mark.parametrize("form", ["json", "csv"])
def test_energinet_newest_first_by_area(tmp_path, form):
    records = [
        {"Minutes5UTC": f"2025-01-01T00:{m:02d}:00", "Minutes5DK": "", "PriceArea": area, "CO2Emission": g}
        for m, g in ((5, 61.5), (0, 60.0))
        for area in ("DK1", "DK2")
    ]
    document = {"total": 4, "limit": 4, "dataset": "CO2EmisProg", "records": records}
    rows = [[str(cell).replace(".", ",") for cell in row.values()] for row in records]
    path = put(tmp_path, document if form == "json" else table(list(records[0]), rows, ";"))
    series = read_carbon(path)
    assert [(s.zone, s.kind, s.step_s, s.g_per_kwh.tolist()) for s in series] == [
        ("DK1", "direct", 300.0, [60.0, 61.5]),
        ("DK2", "direct", 300.0, [60.0, 61.5]),
    ]
    assert any("forecast" in note for note in series[0].notes) == (form == "json")


def test_energy_charts_power_and_intensity(tmp_path):
    power = {
        "unix_seconds": [JAN, JAN + 900],
        "production_types": [
            {"name": "Load", "data": [99, 99]},
            {"name": "Renewable share of load", "data": [5, 5]},
            {"name": "Hydro pumped storage consumption", "data": [-9, -9]},
            {"name": "Cross border electricity trading", "data": [9, 9]},
            {"name": "Fossil gas", "data": [5, None]},
            {"name": "Wind onshore", "data": [5, 5]},
        ],
        "deprecated": False,
    }
    series = read_carbon(put(tmp_path, power, "de.json"))[0]
    assert series.zone == "de"
    assert series.g_per_kwh == pytest.approx([(469 + 12) / 2])
    assert series.step_s == 900.0
    co2 = {"unix_seconds": [JAN, JAN + 900], "co2eq": [400, 410.5], "co2eq_forecast": [1, 1]}
    assert read_carbon(put(tmp_path, co2, "fr.json"))[0].g_per_kwh.tolist() == [400.0, 410.5]
    with pytest.raises(ValueError, match=r"co2eq has 1 values, expected 2, one per time"):
        read_carbon(put(tmp_path, {**co2, "co2eq": [1]}, "fr.json"))


# Electricity Maps, carbon-aware SDK, WattTime, UK


def em_json(count=2, **extra):
    rows = [
        {"zone": "DE", "carbonIntensity": 300 + i, "datetime": f"2025-01-{i + 1:02d}T00:00:00.000Z", **extra}
        for i in range(count)
    ]
    return {"zone": "DE", "data": rows}


def test_electricity_maps_past_range_and_its_granularity(tmp_path):
    daily = {**em_json(isEstimated=True), "temporalGranularity": "daily"}
    series = read_carbon(put(tmp_path, daily, "e.json"))[0]
    assert (series.zone, series.kind, series.step_s, series.estimated) == ("DE", "life-cycle", 86400.0, 1.0)
    assert any("no hours of the day are known" in note for note in series.notes)
    for name, words in (("monthly", "values are of months"), ("yearly", "values are of years")):
        with pytest.raises(ValueError, match=words):
            read_carbon(put(tmp_path, {**em_json(1), "temporalGranularity": name}, "e.json"))
    with pytest.raises(ValueError, match="temporalGranularity is 'sometimes', expected"):
        read_carbon(put(tmp_path, {**em_json(), "temporalGranularity": "sometimes"}, "e.json"))


def test_a_yearly_row_is_not_an_hour_and_months_are_said(tmp_path):
    head = "Datetime (UTC),Zone id,Carbon intensity gCO2eq/kWh (direct)\n"
    with pytest.raises(
        ValueError, match=r"f.csv:2: one row, and the file does not say for how long it holds"
    ):
        read_carbon(put(tmp_path, head + "2024-01-01 00:00:00,FR,21\n"))
    with pytest.raises(ValueError, match=r"f.csv:3: values are of years, expected a minute to a day"):
        read_carbon(put(tmp_path, head + "2023-01-01 00:00:00,FR,21\n2024-01-01 00:00:00,FR,22\n"))
    with pytest.raises(ValueError, match=r"f.csv:\d: rows are 109,208 days apart"):
        read_carbon(put(tmp_path, head + "1901-01-01,FR,21\n2200-01-01,FR,22\n"))
    with pytest.raises(ValueError, match=r"f.csv:3: rows are .* s apart, expected a minute"):
        read_carbon(put(tmp_path, head + "2024-01-01 00:00:00.000,FR,21\n2024-01-01 00:00:00.001,FR,22\n"))


def test_carbon_aware_sdk_web_api(tmp_path):
    row = {"location": "eastus", "time": "2025-01-01T00:00:00+00:00", "rating": 300.5, "duration": "08:00:00"}
    series = read_carbon(put(tmp_path, [row], "s.json"))[0]
    assert (series.zone, series.step_s, series.g_per_kwh.tolist()) == ("eastus", 8 * 3600.0, [300.5])


def test_watttime_forecasts_are_said(tmp_path):
    history = {
        "data": [{"generated_at": "2025-01-01T00:00:00Z", "forecast": [{"point_time": "x", "value": 9.0}]}],
        "meta": {"region": "R"},
    }
    with pytest.raises(ValueError, match=r"forecasts by the time they were made.*get /v3/historical"):
        read_carbon(put(tmp_path, history, "w.json"))


@pytest.mark.parametrize("shape", ["one", "list", "times"])
def test_uk_regions_are_zones_of_their_own(tmp_path, shape):
    times = [("2025-01-01T00:00Z", "2025-01-01T00:30Z"), ("2025-01-01T00:30Z", "2025-01-01T01:00Z")]
    said = {"forecast": 100, "index": "moderate"}
    data = [{"from": a, "to": b, "intensity": said} for a, b in times]
    region = {"regionid": 13, "shortname": "London", "data": data}
    by_time = [
        {"from": a, "to": b, "regions": [{"regionid": k, "intensity": said} for k in (13, 2)]}
        for a, b in times
    ]
    document = {"one": region, "list": [region, {**region, "regionid": 2}], "times": by_time}[shape]
    series = read_carbon(put(tmp_path, {"data": document}, "uk.json"))
    assert [one.zone for one in series] == (["GB-13"] if shape == "one" else ["GB-13", "GB-2"])
    assert series[0].g_per_kwh.tolist() == [100.0, 100.0]
    assert "forecast" in series[0].notes[0]


# plausibility


def test_two_files_are_never_one_zone(tmp_path):
    paths = [
        put(tmp_path, "carbon_intensity\n" + f"{value}\n" * 240, f"{name}/carbon_intensity.csv")
        for name, value in (("east", 0.3), ("west", 0.6))
    ]
    assert make_carbon([str(path) for path in paths], 2).zones == ("east", "west")
    same = [put(tmp_path, path.read_bytes(), f"{path.parent.name}/x.csv") for path in paths]
    with pytest.raises(ValueError, match=r"zone 'x' has 600 g/kWh at 2022-01-01T00:00:00Z and 300 in"):
        make_carbon([str(path) for path in same])


@pytest.mark.parametrize("forecast", ["-5", "1e300"])
def test_impossible_forecasts_are_refused_with_their_line(tmp_path, forecast):
    text = f"time,moer,f1\n2025-01-01 00:00,0.1,0.2\n2025-01-01 00:05,0.1,{forecast}\n"
    with pytest.raises(ValueError, match=r"f.csv:3: forecast .*expected 0 to 3000 gCO2/kWh"):
        read_carbon(put(tmp_path, text))
    missing = read_carbon(put(tmp_path, text.replace(forecast, "")))[0]
    assert missing.provider_g_per_kwh.tolist() == [[200.0], [100.0]]


def test_doubtful_units_are_noted(tmp_path):
    text = "time,zone,kind,g_per_kwh\n2025-01-01T00:00Z,A,direct,0.3\n2025-01-01T01:00Z,A,direct,0.4\n"
    assert any("is the unit kg/kWh?" in note for note in read_carbon(put(tmp_path, text))[0].notes)


def test_describe_shows_how_a_file_was_read(tmp_path):
    path = put(tmp_path, {**em_json(isEstimated=True), "temporalGranularity": "daily"}, "e.json")
    console = Console(width=300, record=True, file=io.StringIO())
    print_contents([read_any(path), read_any(put(tmp_path, entsoe([(5, 5), ("N/A", 5), (5, 5)])))], console)
    shown = console.export_text()
    for word in ("unit read", "clock read", "estimated", "100%", "MW by fuel", "86400", "1 (33.3%)"):
        assert word in shown, word
