"""Fits of request models: drawing from known settings and fitting gives them back."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.traces.analysis import fit_requests, plot_requests
from frugalfl.traces.arrivals import make_arrivals
from frugalfl.traces.records import RequestTrace, dispersion, summarise_requests

DAY = 86400.0
MONDAY = 4 * DAY


def drawn(spec, days=14, sources=24, seed=0, clock="utc", offset_h=0.0):
    model = make_arrivals({"kind": "poisson", **spec})
    counts = model.draw(seed, sources, MONDAY, np.full(sources, offset_h), days * DAY).counts
    names = tuple(f"s{index}" for index in range(sources))
    return RequestTrace(names, counts, MONDAY if clock == "utc" else 0.0, clock, source="drawn (test)")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"per_hour": 600, "burst": 2, "burst_s": 1800, "zipf": 1.2},
        {"per_hour": 6, "burst": 1, "burst_s": 300, "zipf": 0.7},
        {"burst": 0, "profile": "flat", "zipf": 0.5},
    ],
    ids=str,
)
def test_a_fit_gives_the_settings_back(spec):
    wanted = {"per_hour": 24, "burst": 4, "burst_s": 600, "zipf": 0.0, "profile": "local-day", **spec}
    fit = fit_requests(drawn(spec))
    found = fit.spec
    assert found["per_hour"] == pytest.approx(wanted["per_hour"], rel=0.03)
    assert found["burst"] == pytest.approx(wanted["burst"], rel=0.15)
    assert found["burst_s"] == pytest.approx(wanted["burst_s"], abs=60)
    assert found["zipf"] == pytest.approx(wanted["zipf"], abs=0.05)
    day = 1.0 + 0.6 * np.cos(2 * np.pi * (np.arange(24) - 14.5) / 24)
    expected = day if wanted["profile"] == "local-day" else np.ones(24)
    assert np.abs(np.array(found["profile"]) - expected).mean() < (
        0.03 if spec.get("burst", 4) != 2 else 0.15
    )
    assert fit.requests_ratio == pytest.approx(1.0, abs=0.05)
    assert fit.dispersion[1] == pytest.approx(fit.dispersion[0], rel=0.1)
    again = make_arrivals(found).draw(0, 24, MONDAY, np.zeros(24), DAY)
    assert again.counts.sum() == pytest.approx(24 * 24 * wanted["per_hour"], rel=0.2)


def test_local_hours_are_those_of_the_people():
    trace = drawn({"burst": 0, "per_hour": 600}, offset_h=-5.0)
    assert np.argmax(fit_requests(trace, -5.0).spec["profile"]) in (14, 15)
    assert np.argmax(fit_requests(trace).spec["profile"]) in (19, 20)


def test_four_weeks_with_dates_give_a_profile_of_the_week():
    week = [1.0] * 120 + [0.25] * 48
    fit = fit_requests(drawn({"profile": week, "burst": 0, "per_hour": 60}, days=28))
    assert len(fit.spec["profile"]) == 168
    assert np.mean(fit.spec["profile"][120:]) / np.mean(fit.spec["profile"][:120]) == pytest.approx(
        0.25, rel=0.1
    )
    shorter = fit_requests(drawn({"profile": week, "burst": 0, "per_hour": 60}, days=28, clock="day"))
    assert len(shorter.spec["profile"]) == 24


def test_what_a_trace_does_not_tell_is_said():
    fit = fit_requests(drawn({}, days=2, sources=2, clock="none"))
    assert fit.spec["profile"] == [1.0] * 24
    assert fit.spec["zipf"] == 0.0
    assert "no time of day is known" in fit.notes[0]
    assert "2 sources tell nothing of popularity" in fit.notes[1]


def test_a_day_cannot_be_fitted_from_an_hour():
    short = drawn({}, days=1).first_minutes(58)
    with pytest.raises(ValueError, match=r"58 minutes, expected at least a whole day to fit one from"):
        fit_requests(short)


def test_the_index_of_dispersion_is_one_of_a_poisson_process():
    rng = np.random.default_rng(0)
    assert dispersion(rng.poisson(7.0, 20_000).astype(float)) == pytest.approx(1.0, abs=0.05)
    assert dispersion(np.full(100, 3.0)) == 0.0
    assert np.isnan(dispersion(np.array([3.0])))


def test_a_summary_by_hand():
    counts = np.zeros((2, 1440), dtype=np.int32)
    counts[0, 600:660] = 2
    counts[1, 60:70] = 1
    facts = summarise_requests(RequestTrace(("a", "b"), counts, 0.0, "day", source="made (test)"))
    assert (facts.requests, facts.peak_hour, facts.trough_hour) == (130, 10, 0)
    assert facts.per_h == pytest.approx(130 / 24)
    assert facts.peak_to_trough == np.inf
    assert facts.empty == pytest.approx(1370 / 1440)
    assert facts.longest_empty_min == 780
    assert facts.top_share == pytest.approx(120 / 130)


@pytest.mark.parametrize("clock", ["utc", "none"])
def test_a_picture_is_drawn(tmp_path, clock):
    plot_requests(drawn({"zipf": 1.0}, days=3, clock=clock), tmp_path / "requests.png")
    assert (tmp_path / "requests.png").stat().st_size > 10_000
