"""Compiled loops give the plain formulas' numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.traces.availability import (
    AvailabilityRequest,
    AvailabilityView,
    MarkovForecast,
    SessionBatch,
    by_utc_hour,
    make_availability,
    odds_shifted,
)
from frugalfl.traces.availability.batch_kernels import hour_of_day
from frugalfl.traces.availability.climatology_kernels import odds_multiplied, personal_shares
from frugalfl.traces.availability.generators import Clock
from frugalfl.traces.availability.generators.renewal_kernels import interpolated
from frugalfl.traces.carbon import make_carbon
from frugalfl.traces.carbon.generator_kernels import usual_intensity
from frugalfl.traces.numerics import autoregression, rows_by_forecaster, utc_offset_h

rates = st.lists(st.floats(0.01, 5.0), min_size=1, max_size=30)


@given(rates, st.floats(-10, 200))
@settings(max_examples=200, deadline=None)
def test_interpolation_is_that_of_numpy(steps, x):
    grid = np.concatenate([[0.0], np.cumsum(steps)])
    for at in (x, *grid):
        assert interpolated(at, grid, np.arange(grid.size) * 1.0) == np.interp(at, grid, np.arange(grid.size))
        hours = np.arange(grid.size) * 1.0
        assert interpolated(at, hours, grid) == np.interp(at, hours, grid)
    assert np.isnan(interpolated(np.nan, grid, grid))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_clock_turns_by_the_plain_formula(seed):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.01, 2.0, rng.choice([1, 24, 168]))
    hour, work = rng.uniform(0, 168, 40), rng.uniform(-30, 80, 40)
    hours, done_by = np.arange(rate.size + 1.0), np.concatenate([[0.0], np.cumsum(rate)])
    turns = np.floor(hour / rate.size)
    done = np.interp(hour - turns * rate.size, hours, done_by) + work
    more = np.floor(done / done_by[-1])
    rest = np.interp(done - more * done_by[-1], done_by, hours)
    assert np.array_equal(Clock(rate).after(hour, work), (turns + more) * rate.size + rest)


@given(st.floats(0, 4e9))
@settings(max_examples=300, deadline=None)
def test_the_hour_of_the_day_is_an_exact_remainder(utc_s):
    for moment in (utc_s, np.floor(utc_s / 86400) * 86400 + 1800.0):
        assert hour_of_day(moment) == np.mod(moment / 3600.0 - 0.5, 24.0)


def batch_of(e, n, forecast, seed=0):
    rng = np.random.default_rng(seed)
    model = make_availability({"kind": "volunteers", "forecast": forecast, "announced_share": 0.6})
    batch = SessionBatch(e, n)
    for env in range(e):
        request = AvailabilityRequest(
            1.68e9 + 5000.0 * env, 2e5, rng.integers(0, 2, n), np.array([-7.0, 5.5])
        )
        batch.set(env, model.sample(request, np.random.default_rng(env)), request.start_utc_s)
    return batch


@pytest.mark.parametrize("use_announced", [True, False])
def test_the_compiled_markov_forecast_is_the_plain_one(use_announced):
    forecast = {"kind": "markov", "use_announced": use_announced}
    batch, leads_s = batch_of(6, 15, forecast), np.array([0.0, 1800.0, 7200.0, 50000.0])
    announced = 0
    for now in (0.0, 4000.0, 30000.0, 150000.0):
        time_s = now + np.arange(6) * 700.0
        batch.advance(time_s)
        announced += np.isfinite(batch.announced_end_s).sum()
        now_s = time_s[:, None, None]
        plain = MarkovForecast(use_announced=use_announced).probability(
            AvailabilityView(
                now_s=now_s,
                then_s=now_s + leads_s,
                available=batch.available[:, :, None],
                announced_end_s=batch.announced_end_s[:, :, None],
                relaxation_s=batch._relaxation_s[:, :, None],
                expected=batch._expected,
                truth=lambda: np.zeros(0, dtype=bool),
                uniforms=lambda: np.zeros(0),
            )
        )
        assert np.array_equal(batch.forecast(time_s, leads_s), plain.astype(np.float32))
    assert announced > 0


def test_the_climatology_is_linear_between_the_centres_of_the_hours():
    batch, rng = batch_of(4, 5, "markov"), np.random.default_rng(0)
    time_s = rng.uniform(0, 3e5, (4, 5, 3))
    hour = ((batch._start_utc_s[:, None, None] + time_s) / 3600.0 - 0.5) % 24.0
    before = hour.astype(np.int64)
    low = np.take_along_axis(batch._climatology, before, axis=2)
    high = np.take_along_axis(batch._climatology, (before + 1) % 24, axis=2)
    assert np.array_equal(batch._expected(time_s), low + (high - low) * (hour - before))


def test_forecasters_are_not_compared_at_every_step(monkeypatch):
    batch = batch_of(5, 4, "markov")
    batch.forecast(np.zeros(5), np.ones(1))
    monkeypatch.setattr(MarkovForecast, "__eq__", lambda *_: pytest.fail("compared settings"))
    batch.forecast(np.zeros(5), np.ones(1))


def test_every_environment_is_forecast_in_its_own_way():
    mixed = [MarkovForecast(), MarkovForecast(use_announced=False), MarkovForecast(), MarkovForecast()]
    groups = rows_by_forecaster(mixed)
    assert [(kind.use_announced, rows.tolist()) for kind, rows in groups] == [(True, [0, 2, 3]), (False, [1])]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_profiles_move_by_the_plain_formula(seed):
    rng = np.random.default_rng(seed)
    profile, push, odds = rng.uniform(0.05, 0.95, 24), rng.uniform(0.3, 3.0, 6), rng.uniform(0.2, 4.0, 6)
    week, hour = rng.uniform(0.05, 0.95, 168), rng.uniform(0, 168, 6)
    now, rows = personal_shares(push, hour, week, profile)
    usual = week[np.floor(hour).astype(int) % 168]
    assert np.array_equal(now, push**2 * usual / (1.0 - usual + push**2 * usual))
    assert np.array_equal(rows, odds_shifted(profile, push**2))
    raised = odds[:, None] * rows / (1.0 - rows)
    assert np.array_equal(odds_multiplied(rows, odds), raised / (1.0 + raised))
    offset = rng.choice([-11.0, -3.5, 0.0, 5.5, 5.75, 13.0], 6)
    local = (np.arange(24) + offset[:, None]) % 24.0
    low = local.astype(int)
    here, after = np.take_along_axis(rows, low, 1), np.take_along_axis(rows, (low + 1) % 24, 1)
    assert np.array_equal(by_utc_hour(rows, offset), (here + (after - here) * (local % 1)).astype(np.float32))


@given(st.integers(-30_000, 60_000), st.sampled_from([-8.0, 0.0, 5.75]))
@settings(max_examples=60, deadline=None)
def test_the_usual_intensity_follows_the_calendar(first_day, offset_h):
    rng = np.random.default_rng(1)
    month, hours, weekend = rng.uniform(0.5, 2, (1, 12)), rng.uniform(0.5, 2, (1, 4, 24)), np.array([0.8])
    utc_s = first_day * 86400.0 + 3600.0 * np.arange(60)
    got = usual_intensity(utc_s, np.array([offset_h]), np.array([300.0]), month, hours, weekend)[0]
    local_s = utc_s + 1800.0 + offset_h * 3600.0
    days = np.floor(local_s / 86400.0).astype(np.int64)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    factor = (
        month[0, months] * hours[0, (months + 1) % 12 // 3, ((local_s - days * 86400) / 3600).astype(int)]
    )
    weekday = 7.0 / (5.0 + 2.0 * weekend)
    factor *= np.where((days + 3) % 7 >= 5, weekend * weekday, weekday)
    assert np.array_equal(got, 300.0 * factor)


def test_autoregressions_obey_their_recursion():
    phi, rng = np.array([0.5, 0.97]), np.random.default_rng(0)
    shocks = rng.standard_normal((2, 700))
    path = autoregression(phi, shocks)
    assert np.array_equal(path[:, 0], shocks[:, 0])
    expected = phi[:, None] * path[:, :-1] + np.sqrt(1 - phi**2)[:, None] * shocks[:, 1:]
    assert np.allclose(path[:, 1:], expected, atol=1e-9)


@pytest.mark.parametrize(("zone", "standard"), [("Europe/London", 0.0), ("America/Los_Angeles", -8.0)])
def test_offsets_change_at_the_second_at_which_the_clocks_do(zone, standard):
    change = {"Europe/London": 1679792400.0, "America/Los_Angeles": 1678615200.0}[zone]
    if utc_offset_h(zone, change + 5e6, np.nan) != standard + 1:
        pytest.skip("no time zone database")
    assert utc_offset_h(zone, change - 1.0) == standard
    assert utc_offset_h(zone, change + 1.0) == standard + 1


def test_the_offsets_asked_for_are_not_shared():
    carbon = make_carbon(["GB", "JP-TK"])
    carbon.utc_offset_h(1.68e9)[:] = 99.0
    assert carbon.utc_offset_h(1.68e9).max() < 20
