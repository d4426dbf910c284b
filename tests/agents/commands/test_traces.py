"""`frugalfl traces`: what it prints, writes and returns."""

from __future__ import annotations

import json

import numpy as np
import pytest

from frugalfl.agents.commands.traces import main
from frugalfl.traces.analysis import generate
from frugalfl.traces.arrivals import make_arrivals
from frugalfl.traces.availability import make_availability
from frugalfl.traces.carbon import make_carbon
from frugalfl.traces.formats.availability import read_availability, write
from frugalfl.traces.formats.carbon import read_carbon, write_own
from frugalfl.traces.records import CarbonSeries


@pytest.fixture
def files(tmp_path):
    trace = generate(make_availability("phones"), 30, 7.0, np.random.default_rng(0))
    write(trace, tmp_path / "phones.csv")
    g = make_carbon("DE").sample(1672531200.0, 10 * 86400.0, np.random.default_rng(0)).g_per_kwh[0]
    write_own([CarbonSeries("DE", "direct", 1672531200.0, 3600.0, g)], tmp_path / "carbon.csv")
    (tmp_path / "speeds.json").write_text('{"a": {"down_u": 5.0, "up_u": 3.0}}')
    return tmp_path


def test_describe_prints_a_table_of_each_kind_and_draws(files, capsys):
    assert main(["describe", str(files), "--plot", str(files / "plots")]) == 0
    out = capsys.readouterr().out
    for word in ("phones.csv", "carbon.csv", "speeds.json", "direct", "2023-01-01T00:00", "KB/s"):
        assert word in out
    drawn = sorted(p.name for p in (files / "plots").iterdir())
    assert drawn == ["carbon_DE.png", "phones.png"]
    assert all(p.stat().st_size > 10_000 for p in (files / "plots").iterdir())


def test_describe_says_how_zones_go_together(tmp_path, capsys):
    start, day = 1672531200.0, np.tile(np.r_[np.full(12, 100.0), np.full(12, 300.0)], 10)
    write_own([CarbonSeries("A", "direct", start, 3600.0, day)], tmp_path / "a.csv")
    hole = np.delete(np.arange(day.size - 30), 50)
    rows = [f"{np.datetime64(int(start + 3600 * (h + 30)), 's')}Z,B,direct,{400 - day[h + 30]}" for h in hole]
    (tmp_path / "b.csv").write_text("time,zone,kind,g_per_kwh\n" + "\n".join(rows) + "\n")
    write_own([CarbonSeries("A", "marginal", start, 3600.0, day)], tmp_path / "c.csv")
    rng = np.random.default_rng(0)
    for name in ("us-east-1a", "us-east-1b", "us-west-2a"):
        data = (np.repeat(rng.random(72), 6) < 0.5).astype(int).tolist()
        document = {"metadata": {"gap_seconds": 600}, "data": data}
        (tmp_path / f"{name}_v100.json").write_text(json.dumps(document))
    assert main(["describe", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "correlation of hourly intensity: A and B -1.00" in out
    assert "3 zones together: correlation" in out
    assert "1 rows held" in out


def test_many_recordings_are_recognised_by_their_comments(tmp_path):
    trace = generate(make_availability("phones"), 2000, 2.0, np.random.default_rng(0))
    write(trace, tmp_path / "many.csv")
    assert read_availability(tmp_path / "many.csv").num_recordings == 2000


def test_bad_input_is_one_line_and_code_two(files, capsys):
    (files / "bad.csv").write_text("client,start,end\na,5,x\n")
    assert main(["describe", str(files / "bad.csv")]) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("refused:")
    assert "bad.csv:2: end is 'x'" in err
    assert len(err.splitlines()) == 1
    assert main(["fit", str(files / "nowhere.csv"), "--out", str(files / "g.json")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["convert", str(files / "speeds.json"), "--out", str(files / "g.csv")]) == 2
    assert main(["describe", str(files / "phones.csv"), "--format", "stuner"]) == 2
    assert "did you mean 'stunner'" in capsys.readouterr().err


def test_fit_writes_generators_that_worlds_take(files, capsys):
    assert main(["fit", str(files / "phones.csv"), "--out", str(files / "a.json")]) == 0
    assert main(["fit", str(files / "carbon.csv"), "--out", str(files / "c.json")]) == 0
    assert "ks_sessions" in capsys.readouterr().out
    assert json.loads((files / "a.json").read_text())["fit"]["likeness"]["ks_sessions"] < 0.3
    make_availability(str(files / "a.json")).validate_for(500, 1e6)
    assert make_carbon(str(files / "c.json"), 1).zones == ("DE",)


def test_convert_loses_nothing(files):
    assert main(["convert", str(files / "phones.csv"), "--out", str(files / "again.csv")]) == 0
    assert (files / "again.csv").read_text() == (files / "phones.csv").read_text()
    assert main(["convert", str(files / "carbon.csv"), "--out", str(files / "c2.csv")]) == 0
    one, two = read_carbon(files / "carbon.csv")[0], read_carbon(files / "c2.csv")[0]
    assert np.array_equal(one.g_per_kwh, two.g_per_kwh)
    assert read_availability(files / "again.csv").num_recordings == 30


@pytest.fixture
def asked(tmp_path):
    """A day and a half of BurstGPT with a clear evening, in its own form."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.choice(np.r_[np.arange(86400), np.arange(20 * 3600, 22 * 3600)], 4000))
    rows = "".join(f"{t},{'ChatGPT' if t % 3 else 'GPT-4'},400,{t % 9},9,API log\n" for t in times)
    header = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    (tmp_path / "burst.csv").write_text(header + rows + "129599,GPT-4,1,1,2,API log\n")
    return tmp_path


def test_describe_tells_of_requests(asked, capsys):
    assert main(["describe", str(asked / "burst.csv"), "--plot", str(asked / "plots")]) == 0
    out = capsys.readouterr().out
    for word in (
        "burstgpt",
        "times as seconds since the first midnight",
        "clock hours of a day, from 0 h of day 1, resolution 1 s",
        "4,001",
        "answered with 0",
    ):
        assert word in out
    assert (asked / "plots" / "burst.png").stat().st_size > 10_000


def test_requests_are_converted_and_fitted(asked, capsys):
    assert main(["convert", str(asked / "burst.csv"), "--out", str(asked / "own.csv")]) == 0
    assert main(["fit", str(asked / "own.csv"), "--out", str(asked / "fit.json")]) == 0
    assert "dispersion" in capsys.readouterr().out
    model = make_arrivals(asked / "fit.json")
    assert np.isin(np.argsort(model.profile)[-2:], (20, 21)).all()
    assert model.per_hour == pytest.approx(4001 / 2 / 36, rel=1e-3)


def test_a_trace_without_a_clock_is_given_its_hour(tmp_path, capsys):
    rows = "".join(f"{60 * minute},a,{9 if minute < 60 else 1}\n" for minute in range(2880))
    (tmp_path / "own.csv").write_text("time,source,requests\n" + rows)
    out = ["--out", str(tmp_path / "fit.json"), "--start-h", "17"]
    assert main(["fit", str(tmp_path / "own.csv"), *out]) == 0
    assert np.argmax(make_arrivals(tmp_path / "fit.json").profile) == 17
    assert main(["fit", str(tmp_path / "own.csv"), *out[:3], "40"]) == 2
    assert "start_h: 40, expected an hour of the day, 0 to 24" in capsys.readouterr().err


def test_describe_tells_what_answering_costs(tmp_path, capsys):
    rows = [
        {
            "model_id": "Qwen/Qwen3-14B", "gpu_model": "H100", "num_gpus": 1, "tensor_parallel": 1,
            "avg_batch_size": batch, "energy_per_request_joules": joules, "median_itl_ms": 12.5,
            "avg_output_len": 600.0, "avg_power_watts": 450.0,
        }
        for batch, joules in ((7.5, 437.5), (253.0, 70.0))
    ]  # fmt: skip
    (tmp_path / "chat.json").write_text(json.dumps({"configurations": rows, "task": "chat"}, indent=1))
    assert main(["describe", str(tmp_path / "chat.json")]) == 0
    out = capsys.readouterr().out
    for word in ("Qwen/Qwen3-14B", "1 H100", "7.5 -> 253", "437.5 -> 70"):
        assert word in out
    assert main(["convert", str(tmp_path / "chat.json"), "--out", str(tmp_path / "x.csv")]) == 2
    assert "devices or energy, expected availability" in capsys.readouterr().err
