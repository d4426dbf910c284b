"""Devices: the measured distributions, and files in their place."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from frugalfl.traces.devices import read_devices, sample_devices

ZONE = np.zeros(20_000, dtype=np.int64)


@pytest.mark.parametrize("kind", ["phones", "volunteers", "spot", "gpus"])
def test_classes_draw_what_devices_can_be(kind):
    devices = sample_devices(kind, 300, ZONE[:300], np.random.default_rng(0))
    for name, values in vars(devices).items():
        assert values.shape == (300,), name
        assert values.dtype == np.float64
        assert (values > 0).all(), name
    again = sample_devices(kind, 300, ZONE[:300], np.random.default_rng(0))
    assert np.array_equal(devices.step_factor, again.step_factor)


def test_phones_have_the_measured_medians_and_spreads():
    devices = sample_devices("phones", 20_000, ZONE, np.random.default_rng(0))
    assert np.median(devices.step_factor) == pytest.approx(1.0, rel=0.03)
    low, high = np.quantile(devices.step_factor, [0.05, 0.95])
    # ResNet latencies of 978 phones: p5 60, median 172, p95 559 ms.
    assert low == pytest.approx(60 / 172, rel=0.25)
    assert high == pytest.approx(559 / 172, rel=0.25)
    assert np.median(devices.down_bytes_per_s) == pytest.approx(5.4e6 / 8, rel=0.05)
    assert np.corrcoef(np.log(devices.step_factor), np.log(devices.down_bytes_per_s))[0, 1] == pytest.approx(
        0, abs=0.03
    )


def test_spot_speeds_and_powers_are_the_published_ones():
    rng = np.random.default_rng(0)
    devices = sample_devices({"kind": "spot", "step_sigma": 0.0}, 1000, ZONE[:1000], rng)
    pairs = {(round(639 / f), w) for f, w in zip(devices.step_factor, devices.compute_watts, strict=True)}
    assert pairs == {(183, 70.0), (639, 300.0), (1237, 400.0)}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("fones", "did you mean 'phones'"),
        ({"kind": "spot", "t4": 0, "v100": 0, "a100": 0}, "at least one share"),
        ({"kind": "phones", "watts": 3}, "watts: unknown field"),
        ({"kind": "file", "path": "/nowhere"}, "No such file"),
    ],
)
def test_wrong_specifications_end_in_one_line(spec, why):
    with pytest.raises(ValueError, match=why) as caught:
        sample_devices(spec, 3, ZONE[:3], np.random.default_rng(0))
    assert "\n" not in str(caught.value)


def test_capacity_files_replace_what_they_know(tmp_path):
    path = tmp_path / "capacity.pkl"
    rows = {
        i: {"computation": np.float64(10.0 * (i + 1)), "communication": np.float64(8.0)} for i in range(3)
    }
    path.write_bytes(pickle.dumps(rows, protocol=3))
    table = read_devices(path)
    assert table.step_ms.tolist() == [30.0, 60.0, 90.0]
    assert table.down_bytes_per_s.tolist() == [1000.0] * 3
    devices = sample_devices({"kind": "file", "path": str(path)}, 50, ZONE[:50], np.random.default_rng(0))
    assert set(devices.step_factor.round(3)) == {0.5, 1.0, 1.5}
    assert set(devices.down_bytes_per_s) == {1000.0}
    assert devices.up_bytes_per_s == pytest.approx(710.0)


def test_latency_and_speed_files(tmp_path):
    latency = tmp_path / "l.json"
    latency.write_text(
        json.dumps([{"ResNet Latency": 50.0}, {"ResNet Latency": 0}, {"ResNet Latency": None}])
    )
    assert read_devices(latency).step_ms.tolist() == [50.0]
    assert "2 phones without" in read_devices(latency).notes[0]
    throughput = tmp_path / "t.csv"
    throughput.write_text("protocol,throughput_mbps\nTCP,80\nTCP,0\n")
    assert read_devices(throughput).down_bytes_per_s.tolist() == [1e7]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (json.dumps([{"x": {"tcp_speed_results": [5.0, 10**400]}}]), r"tcp_speed_results\[1\] is 1000"),
        (json.dumps([{"x": {"tcp_speed_results": [5.0, True]}}]), r"tcp_speed_results\[1\] is True"),
        (
            json.dumps([{"ResNet Latency": 1e-300}]),
            r"ResNet Latency\[0\] is 1e-300, expected a number from 0.001",
        ),
        (json.dumps({"a": {"down_u": 1e300, "up_u": 1}}), r"down_u\[0\] is 1e\+300, expected a number from"),
        ("a,throughput_mbps\n1,5\n2,1e30\n", r"f.json:3: throughput_mbps is 1e\+30, expected 0 to 1e\+06"),
        ("a,throughput_mbps\n1,5\n2,-5\n", r"f.json:3: throughput_mbps is -5"),
    ],
)
def test_what_no_device_can_be_is_refused(tmp_path, content, why):
    path = tmp_path / "f.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=why) as caught:
        read_devices(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_throughput_with_any_separator(tmp_path, separator):
    path = tmp_path / "f.csv"
    path.write_text("a,throughput_mbps,b\n1,8,x\n2,16,y\n".replace(",", separator))
    assert read_devices(path).down_bytes_per_s.tolist() == [1e6, 2e6]


def test_gpus_of_four_classes():
    devices = sample_devices("gpus", 20_000, ZONE, np.random.default_rng(0))
    kinds = {700.0: (120 / 380, 1.0), 400.0: (1.0, 1.0), 450.0: (2.0, 0.2), 300.0: (3.0, 1.0)}
    assert set(devices.compute_watts) == set(kinds)
    for watts, (step, up) in kinds.items():
        mine = devices.compute_watts == watts
        assert np.median(devices.step_factor[mine]) == pytest.approx(step, rel=0.02)
        assert devices.up_bytes_per_s[mine] / devices.down_bytes_per_s[mine] == pytest.approx(up)
    homes = devices.compute_watts == 450.0
    assert homes.mean() == pytest.approx(0.35, abs=0.02)
    assert np.median(devices.up_bytes_per_s[homes]) == pytest.approx(20e6 / 8, rel=0.05)
