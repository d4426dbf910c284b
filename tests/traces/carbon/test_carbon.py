"""Carbon intensity: generator, recordings, exact integrals, specifications."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.traces.analysis import carbon_summary
from frugalfl.traces.calibration import calibration
from frugalfl.traces.carbon import CarbonBatch, RecordedCarbon, make_carbon, zone_names
from frugalfl.traces.numerics import autoregression
from frugalfl.traces.records import CarbonSeries

HOUR, DAY = 3600.0, 86400.0


def recorded(days=30, zones=2, kind="direct", step_s=HOUR, seed=0):
    rng = np.random.default_rng(seed)
    count = int(days * DAY / step_s)
    return [
        CarbonSeries(f"Z{z}", kind, 1.7e9 // DAY * DAY, step_s, rng.uniform(50, 500, count))
        for z in range(zones)
    ]


@given(st.integers(0, 2**32), st.floats(0, 50_000), st.floats(0, 50_000))
@settings(max_examples=30, deadline=None)
def test_integral_agrees_with_one_second_sums(seed, a, b):
    rng = np.random.default_rng(seed)
    t0, t1 = sorted((float(np.floor(a)), float(np.floor(b))))
    model = make_carbon(["DE", "GB"])
    episode = model.sample(1.7e9 + float(rng.integers(10_000)), 60_000.0, rng)
    batch = CarbonBatch(1, 2)
    batch.set(0, episode)
    for zone in (0, 1):
        seconds = np.arange(t0, t1)
        brute = sum(batch.true_ahead(np.zeros(1), seconds)[0, zone])
        exact = batch.integral(np.array([[zone]]), np.array([[t0]]), np.array([[t1]]))[0, 0]
        assert exact == pytest.approx(brute, rel=1e-9, abs=1e-6)


def test_integrals_are_additive_and_hold_the_last_value():
    batch = CarbonBatch(1, 1)
    model = make_carbon("GB")
    batch.set(0, model.sample(1.7e9, 10 * HOUR, np.random.default_rng(0)))
    zone, at = np.zeros((1, 1), dtype=np.int64), lambda t: np.array([[t]])
    whole = batch.integral(zone, at(100.0), at(9e6))
    parts = batch.integral(zone, at(100.0), at(5e5)) + batch.integral(zone, at(5e5), at(9e6))
    assert whole == pytest.approx(parts)
    last = batch.now(np.array([9e6]))
    assert batch.integral(zone, at(8e6), at(8e6 + 10.0)) == pytest.approx(10.0 * last)


def test_row_of_a_batch_equals_the_batch_of_one():
    model = make_carbon(["DE", "GB", "NO"], 3)
    rng = np.random.default_rng(0)
    episodes = [model.sample(1.7e9 + 7 * DAY * i, (20 + 10 * i) * HOUR, rng) for i in range(4)]
    many = CarbonBatch(4, 3)
    for env, own in enumerate(episodes):
        many.set(env, own)
    times, leads = np.array([0.0, 5e3, 2e4, 4e4]), np.array([HOUR, 9 * HOUR])
    zone = np.tile(np.array([0, 1, 2, 2, 1]), (4, 1))
    grams = many.integral(zone, times[:, None] + np.zeros((4, 5)), times[:, None] + np.arange(5) * 777.0)
    for env, own in enumerate(episodes):
        one = CarbonBatch(1, 3)
        one.set(0, own)
        t = times[env : env + 1]
        assert np.array_equal(one.now(t)[0], many.now(times)[env])
        assert np.array_equal(one.forecast(t, leads)[0], many.forecast(times, leads)[env])
        own_grams = one.integral(zone[:1], t[:, None] + np.zeros((1, 5)), t[:, None] + np.arange(5) * 777.0)
        assert np.array_equal(own_grams[0], grams[env])


def test_autoregression_has_unit_variance_and_its_coefficient():
    phi = np.array([0.3, 0.9, 0.99])
    path = autoregression(phi, np.random.default_rng(0).standard_normal((3, 200_000)))
    assert path.var(axis=1) == pytest.approx(1.0, abs=0.2)
    lagged = [np.corrcoef(row[1:], row[:-1])[0, 1] for row in path]
    assert lagged == pytest.approx(phi, abs=0.01)
    direct, shocks = np.zeros(300), np.random.default_rng(1).standard_normal((1, 300))
    direct[0] = shocks[0, 0]
    for t in range(1, 300):
        direct[t] = 0.9 * direct[t - 1] + np.sqrt(1 - 0.81) * shocks[0, t]
    assert autoregression(np.array([0.9]), shocks)[0] == pytest.approx(direct)


@pytest.mark.parametrize("zone", sorted(calibration()["carbon_zones"]))
def test_generated_zones_reproduce_the_measured_statistics(zone):
    row = calibration()["carbon_zones"][zone]
    model = make_carbon({"zones": [zone], "kind_of_intensity": row["kind"]})
    rng = np.random.default_rng(5)
    starts = 1672617600.0 + np.arange(52) * 7 * DAY
    weeks = [model.sample(s, 7 * DAY, rng).g_per_kwh[0, : 7 * 24] for s in starts]
    hourly = np.concatenate(weeks)
    assert hourly.mean() == pytest.approx(row["mean_direct"] or row["mean_life_cycle"], rel=0.12)
    assert row["min"] <= hourly.min()
    assert hourly.max() <= row["max"]
    summary = carbon_summary(hourly, starts[0] + HOUR * np.arange(hourly.size))
    assert summary.naive_mape < 1.5
    usual = np.concatenate(
        [model.sample(s, 7 * DAY, np.random.default_rng(0)).expected_g_per_kwh[0, :168] for s in starts]
    )
    inside = (hourly > row["min"]) & (hourly < row["max"])
    residual = np.where(inside, np.log(np.maximum(hourly, 1e-3) / usual), np.nan)
    # The clip cuts the tails of the widest laws.
    assert np.nanstd(residual) == pytest.approx(row["log_residual_sd"], rel=0.25)
    pair = np.isfinite(residual[1:]) & np.isfinite(residual[:-1])
    pair[167::168] = False
    phi = np.corrcoef(residual[1:][pair], residual[:-1][pair])[0, 1]
    assert phi == pytest.approx(row["phi_per_h"], abs=0.02)


def test_there_are_22_measured_zones():
    assert len(calibration()["carbon_zones"]) == 22
    assert len(zone_names("direct")) == 19


def test_daily_profile_follows_the_local_clock():
    model = make_carbon({"zones": ["US-CAL-CISO"]})
    usual = model.sample(1687996800.0, 10 * DAY, np.random.default_rng(0)).expected_g_per_kwh[0]
    by_utc_hour = usual[: 10 * 24].reshape(10, 24).mean(axis=0)
    assert (int(by_utc_hour.argmin()) - 7) % 24 in (9, 10, 11, 12, 13, 14), "solar noon in California"


def test_windows_of_the_splits_never_meet():
    rng = np.random.default_rng(0)
    generated, replayed = make_carbon(["DE"]), RecordedCarbon(recorded(days=60))
    horizon_s = 50 * HOUR
    for model in (generated, replayed):
        spans = {
            split: [model.draw_start_utc_s(split, horizon_s, rng) for _ in range(300)]
            for split in ("train", "val", "test")
        }
        for one in spans:
            for other in spans:
                if one < other:
                    gap = np.abs(np.subtract.outer(spans[one], spans[other]))
                    assert gap.min() >= horizon_s


def test_the_past_of_a_recording_is_all_that_its_expectation_knows():
    base = recorded(days=40)
    start = base[0].first_utc_s + 20 * DAY + 1800.0
    model = RecordedCarbon(base)
    first = model.sample(start, 40 * HOUR, np.random.default_rng(0))
    cut = (20 * 24) + 1
    changed = [
        CarbonSeries(s.zone, s.kind, s.first_utc_s, HOUR, np.append(s.g_per_kwh[:cut], s.g_per_kwh[cut:] * 2))
        for s in base
    ]
    second = RecordedCarbon(changed).sample(start, 40 * HOUR, np.random.default_rng(0))
    assert np.array_equal(first.expected_g_per_kwh, second.expected_g_per_kwh)
    assert np.array_equal(first.phi_per_h, second.phi_per_h)
    assert not np.array_equal(first.g_per_kwh, second.g_per_kwh)
    hour = (np.arange(cut - 1) + 0) % 24
    mean_at_noon = base[0].g_per_kwh[: cut - 1][hour == 12].mean()
    assert first.expected_g_per_kwh[0, 12] == pytest.approx(mean_at_noon)


@pytest.mark.parametrize("step_h", [0.25, 2, 3, 24])
def test_steps_of_more_than_an_hour_have_a_past_too(step_h):
    g = np.random.default_rng(0).uniform(50.0, 200.0, int(40 * 24 / step_h))
    model = RecordedCarbon([CarbonSeries("X", "direct", 1672531200.0, step_h * HOUR, g)])
    episode = model.sample(1672531200.0 + 20 * DAY + 700.0, 50 * HOUR, np.random.default_rng(0))
    assert np.isfinite(episode.expected_g_per_kwh).all()
    assert (episode.expected_g_per_kwh > 0).all()


def test_recordings_of_different_steps_are_laid_on_the_finer_one():
    coarse, fine = recorded(days=5, zones=1)[0], recorded(days=5, zones=1, step_s=900.0, seed=1)[0]
    fine = CarbonSeries("Y", "direct", fine.first_utc_s + 1 * HOUR, 900.0, fine.g_per_kwh)
    model = RecordedCarbon([coarse, fine])
    assert model.step_s == 900.0
    episode = model.sample(fine.first_utc_s + 2 * DAY, HOUR, np.random.default_rng(0))
    assert episode.g_per_kwh[0, 0] == coarse.g_per_kwh[49]
    assert episode.g_per_kwh[1, 0] == fine.g_per_kwh[2 * 96]


@pytest.mark.parametrize(
    ("spec", "zones", "why"),
    [
        ("DEE", None, "did you mean 'DE'"),
        (["DE", "GB"], 3, "2 zones .DE, GB., expected 3"),
        (["DE", "x.csv"], None, "'x.csv' is a file among names"),
        ({"zones": ["DE"], "kind_of_intensity": "marginal"}, None, "marginal"),
        ({"zones": ["DE", "FR-2020"]}, None, "'direct' was not measured for 'FR-2020'"),
        ({"zones": ["DE"], "colour": 1}, None, "colour: unknown field"),
        ([], None, "at least one zone"),
        ("/nowhere/x.csv", None, "No such file"),
    ],
)
def test_wrong_specifications_end_in_one_line(spec, zones, why):
    with pytest.raises(ValueError, match=why) as caught:
        make_carbon(spec, zones)
    assert "\n" not in str(caught.value)


def test_kinds_are_never_mixed():
    with pytest.raises(ValueError, match=r"direct and marginal are mixed"):
        RecordedCarbon([*recorded(zones=1), recorded(zones=2, kind="marginal")[1]])


def test_life_cycle_lies_above_direct_by_the_measured_difference():
    direct, life = make_carbon("NO"), make_carbon({"zones": ["NO"], "kind_of_intensity": "life-cycle"})
    assert (direct.kind, life.kind) == ("direct", "life-cycle")
    a, b = (m.sample(1.7e9, 900 * HOUR, np.random.default_rng(0)).g_per_kwh.mean() for m in (direct, life))
    assert b - a == pytest.approx(25.0, abs=0.1)


def test_a_recording_that_is_too_short_is_refused_early():
    with pytest.raises(ValueError, match=r"3 days are recorded, which leaves a window of 14.4 h"):
        RecordedCarbon(recorded(days=3)).validate_for(48 * HOUR)
