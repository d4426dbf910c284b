"""Fitted generators give back what they were fitted to, and work as files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.traces.analysis import (
    can_fit_spot,
    compare,
    fit_availability,
    fit_carbon,
    fit_spot,
    generate,
    ks_distance,
    pairwise_correlation,
    trace_of,
)
from frugalfl.traces.availability import AvailabilityRequest, make_availability
from frugalfl.traces.carbon import GeneratedCarbon, make_carbon, zone_profile
from frugalfl.traces.formats import save_generator
from frugalfl.traces.records import CarbonSeries, flat_trace, hourly_shares

HOUR, DAY = 3600.0, 86400.0


def test_a_generator_is_recovered_from_what_it_draws():
    true = make_availability("phones")
    trace = generate(true, 500, 7.0, np.random.default_rng(1))
    fit = fit_availability(trace)
    assert fit.likeness.ks_sessions < 0.1
    assert fit.likeness.ks_gaps < 0.12
    assert fit.likeness.hour_error < 0.02
    assert fit.likeness.week_error < 0.03
    assert abs(fit.likeness.mean_error) < 0.02
    assert fit.likeness.sessions_ratio == pytest.approx(1.0, abs=0.1)
    assert abs(fit.likeness.correlation_error) < 0.05


def test_fit_on_half_the_users_predicts_the_other_half():
    trace = generate(make_availability("phones"), 800, 7.0, np.random.default_rng(2))
    half = trace.user % 2 == 0
    fit = fit_availability(trace.only(half))
    drawn = generate(make_availability(fit.spec), 2000, 7.0, np.random.default_rng(3))
    likeness = compare(trace.only(~half).debounced(), drawn.debounced())
    assert likeness.ks_sessions < 0.1
    assert likeness.ks_means < 0.12
    assert likeness.hour_error < 0.03
    assert abs(likeness.mean_error) < 0.03


def test_days_of_the_week_are_fitted_where_they_are_seen_often_enough():
    """Phones that come three times as often at weekends."""
    up = np.full((7, 24), 0.1)
    up[5:] *= 3.0
    true = make_availability({"kind": "renewal", "up_per_h": up.ravel().tolist(), "down_per_h": [0.3] * 168})
    trace = generate(true, 600, 14.0, np.random.default_rng(1), any_weekday=True)
    fit = fit_availability(trace, debounce_s=0.0)
    assert len(fit.spec["up_per_h"]) == 168
    assert fit.likeness.week_error < 2.0 * fit.likeness.week_error_by_chance
    rare = fit_availability(trace.only(np.arange(600) < 40), debounce_s=0.0)
    assert len(rare.spec["up_per_h"]) == 24
    assert rare.likeness.week_error > 2.0 * rare.likeness.week_error_by_chance


def test_pairwise_correlation_is_that_of_numpy_and_knows_the_common_hour():
    trace = generate(make_availability("phones"), 12, 7.0, np.random.default_rng(3))
    hours = np.array([hourly_shares(trace.only(trace.user == i))[0] for i in range(12)])
    varying = hours[hours.std(axis=1) > 0]
    expected = np.corrcoef(varying)[np.triu_indices(len(varying), 1)].mean()
    assert pairwise_correlation(trace) == pytest.approx(expected)
    many = generate(make_availability("phones"), 400, 7.0, np.random.default_rng(4), any_weekday=True)
    assert pairwise_correlation(many, beyond_hours=True) < pairwise_correlation(many)
    alone = replace(trace, clock="none", simultaneous=False)
    assert np.isnan(pairwise_correlation(alone))
    assert np.isnan(compare(alone, alone).week_error)


def test_recordings_of_different_weeks_or_clocks_form_no_pairs():
    one = generate(make_availability("phones"), 2, 7.0, np.random.default_rng(3))
    apart = replace(
        one,
        begin_s=one.begin_s + np.array([0.0, 7 * DAY]),
        end_s=one.end_s + np.array([0.0, 7 * DAY]),
        session_start_s=one.session_start_s + 7 * DAY * one.session_recording,
        session_end_s=one.session_end_s + 7 * DAY * one.session_recording,
    )
    assert np.isfinite(pairwise_correlation(one))
    assert np.isnan(pairwise_correlation(apart))


def test_too_little_to_fit_is_refused():
    trace = flat_trace(
        ("a",), np.zeros(1, dtype=np.int64), np.zeros(1), np.full(1, DAY), np.zeros(1, dtype=np.int64),
        np.array([HOUR]), np.array([2 * HOUR]), clock="local", source="x",
    )  # fmt: skip
    with pytest.raises(ValueError, match="x: 1 whole sessions and 0 gaps"):
        fit_availability(trace)


def test_carbon_profile_is_recovered():
    episode = make_carbon("GB").sample(1672531200.0, 360 * DAY, np.random.default_rng(0))
    series = CarbonSeries("GB", "direct", 1672531200.0, HOUR, episode.g_per_kwh[0, : 360 * 24])
    fit = fit_carbon(series)
    assert fit.profile.phi_per_h == pytest.approx(0.9756, abs=0.012)
    assert fit.profile.log_sd == pytest.approx(0.459, abs=0.08)
    assert fit.profile.weekend_factor == pytest.approx(0.838, abs=0.12)
    assert fit.generated.mean == pytest.approx(fit.recorded.mean, rel=0.1)
    assert fit.generated.sd == pytest.approx(fit.recorded.sd, rel=0.2)
    assert fit.generated.naive_mape == pytest.approx(fit.recorded.naive_mape, rel=0.2)


def test_a_grid_of_zeros_is_not_fitted():
    with pytest.raises(ValueError, match="zero: zero at all times"):
        fit_carbon(CarbonSeries("X", "direct", 1672531200.0, HOUR, np.zeros(500), source="zero"))


def test_deviations_that_last_for_days_get_a_part_of_their_own(tmp_path):
    slow = zone_profile("US-CAL-CISO").model_copy(
        update={"slow_share": 0.9, "slow_phi_per_h": 0.985, "phi_per_h": 0.5}
    )
    episode = GeneratedCarbon([slow]).sample(1672531200.0, 360 * DAY, np.random.default_rng(0))
    fit = fit_carbon(CarbonSeries("US-CAL-CISO", "direct", 1672531200.0, HOUR, episode.g_per_kwh[0]))
    assert fit.profile.slow_share == pytest.approx(0.9, abs=0.1)
    assert fit.profile.slow_phi_per_h == pytest.approx(0.985, abs=0.008)
    assert fit.generated.naive_mape == pytest.approx(fit.recorded.naive_mape, rel=0.15)
    path = tmp_path / "g.json"
    save_generator(path, "carbon", fit.spec, fit.as_dict(), "test")
    assert make_carbon(str(path), 1).profiles == (fit.profile,)
    # What the coordinator takes for one memory lies between the two.
    assert 0.5 < episode.phi_per_h[0] < 0.985
    # Files from before there was a slow part mean what they meant.
    document = json.loads(path.read_text())
    for name in ("slow_share", "slow_phi_per_h"):
        del document["spec"]["profiles"][0][name]
    path.write_text(json.dumps(document))
    assert make_carbon(str(path), 1).profiles[0].slow_share == 0.0


def test_generator_files_are_taken_wherever_traces_are(tmp_path):
    trace = generate(make_availability("phones"), 100, 7.0, np.random.default_rng(1))
    fit = fit_availability(trace)
    path = tmp_path / "generator.json"
    save_generator(path, "availability", fit.spec, fit.as_dict(), "test")
    own = AvailabilityRequest(1.7e9, DAY, np.zeros(5, dtype=np.int64), np.zeros(1))
    one = make_availability(str(path)).sample(own, np.random.default_rng(0))
    two = make_availability(fit.spec).sample(own, np.random.default_rng(0))
    assert np.array_equal(one.sessions.start_s, two.sessions.start_s)
    with pytest.raises(ValueError, match="a generator of 'availability', expected one of carbon"):
        make_carbon(str(path))
    document = json.loads(path.read_text())
    document["spec"]["up_per_h"] = "x"
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="up_per_h"):
        make_availability(str(path))


def test_carbon_generator_file_of_one_zone_beside_a_measured_one(tmp_path):
    episode = make_carbon("GB").sample(1672531200.0, 60 * DAY, np.random.default_rng(0))
    fit = fit_carbon(
        CarbonSeries("mine", "direct", 1672531200.0, HOUR, episode.g_per_kwh[0]), tz="Asia/Tokyo"
    )
    path = tmp_path / "g.json"
    save_generator(path, "carbon", fit.spec, fit.as_dict(), "test")
    assert make_carbon(str(path), 1).zones == ("mine",)
    both = make_carbon({"zones": ["DE"], **fit.spec}, 2)
    assert both.zones == ("DE", "mine")
    assert both.utc_offset_h(1.7e9).tolist() == [1.0, 9.0]


def test_ks_distance_is_that_of_scipy():
    from scipy import stats

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(70), rng.exponential(size=90)
    assert ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_a_spot_generator_is_recovered_from_zones_watched_together():
    spec = {"kind": "spot", "node_hazard_per_h": 0.0, "correlation_in_region": 0.6, "correlation_across": 0.1}
    # Zones near one half: the law of the correlation of signs is exact there.
    spec["zone_beta"] = [60.0, 60.0]
    own = AvailabilityRequest(1.7e9, 90 * DAY, np.arange(8), np.zeros(8))
    trace = trace_of(make_availability(spec).sample(own, np.random.default_rng(4)), own, "x")
    names = tuple(f"us-east-{i // 2}{'ab'[i % 2]}_v100" for i in range(8))
    trace = replace(trace, users=names, group=names, clock="none")
    assert can_fit_spot(trace)
    fit = fit_spot(trace)
    assert fit.spec["correlation_in_region"] == pytest.approx(0.6, abs=0.15)
    assert fit.spec["correlation_across"] == pytest.approx(0.1, abs=0.15)
    assert fit.generated.sessions_per_day == pytest.approx(fit.recorded.sessions_per_day, rel=0.2)
    assert fit.generated.mean == pytest.approx(fit.recorded.mean, abs=0.12)
    assert fit.ks_sessions < 0.15
    # The generator knows no hours of the week, and neither did what it was fitted to.
    assert fit.week_error < 1.5 * fit.week_error_by_chance
    assert fit.as_dict()["likeness"]["correlation_error"] == pytest.approx(0.0, abs=0.1)
    make_availability(fit.spec).validate_for(16, DAY)
    assert not can_fit_spot(replace(trace, group=("",) * 8))
