"""The chance to stay, against its formula and against numpy's own interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.envs.contract import survival
from frugalfl.worlds import FederatedWorld, load_scenario


@pytest.fixture(scope="module")
def situation():
    """A real one, everybody there; two forecast leads."""
    scenario = load_scenario("quadratic", forecasting={"availability_leads_s": [1800.0, 7200.0]})
    world = FederatedWorld(scenario, 1)
    world.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
    found = world.situation()
    n = found.num_clients
    forecast = np.tile([0.8, 0.2], (1, n, 1))
    return found.changed(
        available=np.ones((1, n), dtype=bool),
        available_forecast=forecast,
        announced_left_s=np.full((1, n), np.inf),
    )


@pytest.mark.parametrize(
    ("needed_s", "expected"), [(0.0, 1.0), (900.0, 0.9), (1800.0, 0.8), (4500.0, 0.5), (9e9, 0.2)]
)
def test_an_announced_end_decides_and_a_forecast_is_interpolated(situation, needed_s, expected):
    announced = np.full((1, situation.num_clients), np.inf)
    announced[0, 0] = 100.0
    seen = situation.changed(announced_left_s=announced)
    chance = survival(seen, np.full((1, seen.num_clients), needed_s))
    assert chance[0, 1:] == pytest.approx(expected)
    assert chance[0, 0] == (needed_s <= 100)


def test_who_is_away_has_no_chance(situation):
    away = situation.changed(available=np.zeros((1, situation.num_clients), dtype=bool))
    assert not survival(away, np.full((1, situation.num_clients), 60.0)).any()


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2), st.floats(0.0, 2e4))
def test_it_is_numpys_interpolation(situation, levels, needed_s):
    forecast = np.broadcast_to(levels, (1, situation.num_clients, 2)).copy()
    seen = situation.changed(available_forecast=forecast)
    found = survival(seen, np.full((3, 1, seen.num_clients), needed_s))  # any leading axes
    assert found.shape == (3, 1, seen.num_clients)
    assert found == pytest.approx(np.interp(needed_s, [0.0, 1800.0, 7200.0], [1.0, *levels]))


def test_without_a_forecast_whoever_is_there_stays(situation):
    empty = np.zeros((1, situation.num_clients, 0))
    seen = situation.changed(available_forecast=empty, forecast_leads_s=np.zeros(0))
    assert (survival(seen, np.full((1, seen.num_clients), 1e6)) == 1.0).all()
