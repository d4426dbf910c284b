"""What a trained scheduler takes along: its menu, and forecasts read at its own leads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.learned import Home
from frugalfl.envs.mixture import make_world
from frugalfl.envs.scenario import Forecasting, load_scenario

VOLUNTEERS = load_scenario("volunteers")


def situation_in(scenario, seeds=(3, 4)):
    world = make_world(scenario, len(seeds), "val")
    world.reset(np.ones(len(seeds), dtype=bool), np.array(seeds))
    return world.situation()


def test_at_home_the_situation_is_left_alone():
    situation = situation_in(VOLUNTEERS)
    assert Home.of(VOLUNTEERS).read(situation) is situation


@settings(max_examples=25, deadline=None)
@given(leads=st.lists(st.floats(60.0, 2e5), min_size=1, max_size=5, unique=True).map(sorted))
def test_forecasts_are_interpolated_from_the_present_and_held_at_the_end(leads):
    situation = situation_in(VOLUNTEERS)
    forecasting = Forecasting(carbon_leads_s=tuple(leads), availability_leads_s=tuple(leads))
    read = Home(VOLUNTEERS.levels, forecasting, VOLUNTEERS.budgets, True).read(situation)
    zones, clients = situation.zones, situation.clients
    for env in range(2):
        for zone in range(VOLUNTEERS.zones):
            values = [zones.carbon_g_per_kwh[env, zone], *zones.carbon_forecast[env, zone]]
            expected = np.interp(leads, [0.0, *zones.carbon_leads_s], values)
            np.testing.assert_allclose(read.zones.carbon_forecast[env, zone], expected, rtol=1e-9)
        values = [float(clients.available[env, 0]), *clients.available_forecast[env, 0]]
        expected = np.interp(leads, [0.0, *clients.forecast_leads_s], values)
        np.testing.assert_allclose(read.clients.available_forecast[env, 0], expected, atol=1e-12)
    assert read.run is situation.run


def test_it_survives_a_file():
    home = Home.of(load_scenario("spotmarket"))
    assert Home.from_json(json.loads(json.dumps(home.to_json(), allow_nan=False)), "card") == home


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "card: home: levels: None"),
        ({"levels": {"quorum": [2.0]}, "forecasting": {}, "budgets": {}}, "quorum"),
        ({"levels": {}, "forecasting": {"odd": 1}, "budgets": {}}, "odd"),
    ],
)
def test_what_is_none_is_refused(document, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        Home.from_json(document, "card")
    assert "\n" not in str(refused.value)


def test_what_a_world_does_not_offer_is_not_asked_for():
    """Server's steps and bits of one's own menu become the nearest offered, or no decision."""
    language = load_scenario("language")
    mode = Home.of(language).action_mode(VOLUNTEERS)
    actions = np.zeros((2, mode.space.nvec.size), dtype=np.int64)
    situation = situation_in(VOLUNTEERS)
    size = VOLUNTEERS.clients
    actions = np.zeros((2, 4 + size), dtype=np.int64)
    plan = mode.plan(actions, situation)
    assert plan.server_step is None
    assert plan.upload_bits is None
    at_home = Home.of(language).action_mode(language)
    plan = at_home.plan(np.zeros((2, 4 + language.clients), dtype=np.int64), situation)
    assert plan.server_step.tolist() == [language.levels.server_step[0]] * 2
    assert plan.upload_bits.tolist() == [language.levels.upload_bits[0]] * 2
