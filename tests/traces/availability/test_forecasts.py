"""Forecasts: the closed form, what may be looked at, and how errors grow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.traces.availability import (
    AVAILABILITY_FORECASTS,
    AvailabilityEpisode,
    AvailabilityRequest,
    SessionBatch,
    Sessions,
    make_availability,
)
from frugalfl.traces.carbon import CARBON_FORECASTS, CarbonBatch, CarbonEpisode, make_carbon
from frugalfl.traces.testing import check_forecast

HOUR = 3600.0
LEADS = np.array([0.0, 600.0, 3600.0, 6 * HOUR, 24 * HOUR])
ORACLES = {"perfect", "noisy"}


def two_client_batch(forecast="markov", announced=False, seed=0):
    sessions = Sessions.from_lists([([-HOUR], [2 * HOUR]), ([5 * HOUR], [30 * HOUR])], announced)
    climatology = np.full((2, 24), 0.25, dtype=np.float32)
    batch = SessionBatch(1, 2)
    tau = np.full(2, 1.5 * HOUR)
    made = AVAILABILITY_FORECASTS.make(forecast)
    batch.set(0, AvailabilityEpisode(sessions, climatology, tau, forecast=made, seed=seed), 0.0)
    batch.advance(np.zeros(1))
    return batch


def test_constant_climatology_gives_the_closed_form_of_a_two_state_chain():
    """P(on at t+n | on) = pi + (1 - pi) lambda^n and P(on at t+n | off) = pi (1 - lambda^n)."""
    slot_s, keep, pi = 600.0, 0.8, 0.25
    tau = -slot_s / np.log(keep)
    batch = two_client_batch()
    batch._relaxation_s[:] = tau
    n = np.arange(20)
    found = batch.forecast(np.zeros(1), n * slot_s)[0]
    assert found[0] == pytest.approx(pi + (1 - pi) * keep**n, abs=1e-6)
    assert found[1] == pytest.approx(pi * (1 - keep**n), abs=1e-6)


def test_an_announced_end_is_certain_before_and_relaxes_from_zero_after():
    batch = two_client_batch(announced=True)
    found = batch.forecast(np.zeros(1), np.array([HOUR, 2 * HOUR - 1, 2 * HOUR, 200 * HOUR]))[0, 0]
    assert found[:2].tolist() == [1.0, 1.0]
    assert found[2] == pytest.approx(0.0, abs=1e-6)
    assert found[3] == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize("kind", AVAILABILITY_FORECASTS.names())
def test_availability_forecasts_are_chances_and_do_not_read_the_future(kind):
    check_forecast(kind, oracle=kind in ORACLES)


def test_perfect_forecast_is_the_truth():
    found = two_client_batch("perfect").forecast(np.zeros(1), np.array([0.0, 2 * HOUR, 5 * HOUR, 29 * HOUR]))
    assert found[0].tolist() == [[1, 0, 0, 0], [0, 0, 1, 1]]


def test_noisy_oracle_is_right_as_often_as_it_says():
    model = make_availability("phones")
    request = AvailabilityRequest(1.7e9, 60 * HOUR, np.zeros(200, dtype=np.int64), np.zeros(1))
    own = model.sample(request, np.random.default_rng(1))
    batch = SessionBatch(1, 200)
    noisy = AVAILABILITY_FORECASTS.make({"kind": "noisy", "accuracy": 0.9})
    batch.set(0, replace(own, forecast=noisy), 1.7e9)
    leads = np.arange(1, 40) * HOUR
    said = batch.forecast(np.zeros(1), leads)[0] > 0.5
    batch.set(0, replace(own, forecast=AVAILABILITY_FORECASTS.make("perfect")), 1.7e9)
    truth = batch.forecast(np.zeros(1), leads)[0] > 0.5
    assert (said == truth).mean() == pytest.approx(0.9, abs=0.01)


def test_environments_of_a_batch_may_forecast_differently():
    batch = SessionBatch(2, 1)
    for env, kind in enumerate(("persistence", "none")):
        sessions = Sessions.from_lists([([0.0], [HOUR])])
        usual = np.zeros((1, 24), dtype=np.float32)
        made = AVAILABILITY_FORECASTS.make(kind)
        batch.set(env, AvailabilityEpisode(sessions, usual, np.ones(1), forecast=made), 0.0)
    batch.advance(np.ones(2))
    assert batch.forecast(np.ones(2), np.array([7200.0]))[:, 0, 0].tolist() == [1.0, 0.5]


def carbon_batch(g, forecast="profile", **more):
    g = np.asarray(g, dtype=np.float64)
    usual = np.full_like(g, 100.0)
    made = CARBON_FORECASTS.make(forecast)
    episode = CarbonEpisode(HOUR, 0.0, g, usual, np.full(g.shape[0], 0.9), forecast=made, seed=3, **more)
    batch = CarbonBatch(1, g.shape[0])
    batch.set(0, episode)
    return batch


@pytest.mark.parametrize("kind", CARBON_FORECASTS.names())
def test_carbon_forecasts_are_finite_and_do_not_read_the_future(kind):
    check_forecast(kind, of="carbon", oracle=kind in ORACLES)


def test_default_carbon_forecast_is_the_median_of_the_autoregression():
    found = carbon_batch(np.full((1, 40), 200.0)).forecast(np.zeros(1), np.array([0.0, HOUR, 5 * HOUR]))
    assert found[0, 0] == pytest.approx([200.0, 100 * 2**0.9, 100 * 2 ** (0.9**5)])


def test_forecasts_survive_grids_at_zero():
    assert np.isfinite(carbon_batch(np.zeros((1, 40))).forecast(np.zeros(1), LEADS)).all()


def test_noisy_carbon_errs_as_much_as_it_says_a_day_ahead_and_less_before():
    g = np.full((1, 4000), 300.0)
    batch = carbon_batch(g, {"kind": "noisy", "mape_day_ahead": 0.1})
    times = np.arange(0, 3900, 5) * HOUR
    found = np.concatenate([batch.forecast(t[None], np.array([HOUR, 24 * HOUR]))[0] for t in times])
    errors = np.abs(found / 300.0 - 1.0).mean(axis=0)
    assert errors[1] == pytest.approx(0.1, rel=0.15)
    assert errors[0] < 0.5 * errors[1]


def test_provider_forecast_is_used_as_far_as_it_reaches():
    provider = np.arange(40.0)[None, :, None] * 10 + np.array([1.0, 2.0, 3.0])
    batch = carbon_batch(np.full((1, 40), 200.0), "provider", provider_g_per_kwh=provider)
    found = batch.forecast(np.array([2.5 * HOUR]), np.array([0.0, HOUR, 3 * HOUR, 4 * HOUR]))[0, 0]
    assert found[:3].tolist() == [200.0, 21.0, 23.0]
    assert found[3] == pytest.approx(100 * 2 ** (0.9**4))


def test_specifications_are_checked_where_they_are_written():
    with pytest.raises(ValueError, match=r"forecast: 'persistance' is unknown; did you mean 'persistence'"):
        AVAILABILITY_FORECASTS.make("persistance")
    with pytest.raises(
        ValueError, match=r"availability 'phones': forecast 'noisy': accuracy: 2, expected less"
    ):
        make_availability({"kind": "phones", "forecast": {"kind": "noisy", "accuracy": 2}})
    with pytest.raises(ValueError, match="provider"):
        make_carbon({"zones": ["DE"], "forecast": "provider"})
    model = make_availability({"kind": "phones", "forecast": "persistence"})
    request = AvailabilityRequest(1.7e9, HOUR, np.zeros(3, dtype=np.int64), np.zeros(1))
    batch = SessionBatch(1, 3)
    batch.set(0, model.sample(request, np.random.default_rng(0)), 1.7e9)
    batch.advance(np.zeros(1))
    forecast = batch.forecast(np.zeros(1), np.array([9 * HOUR]))
    assert forecast[0, :, 0].tolist() == batch.available[0].tolist()
