"""Who is who: nodes are known by their names, and what they do not say is taken from the scenario."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.agents.deploy.federation import Roster
from frugalfl.agents.deploy.nodes import NodeProfile, local_node, profile_of, read_profile
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario

SCENARIO = load_scenario("volunteers", clients=4)
DRAW = PopulationSource(SCENARIO, "test").draw(3)


def roster():
    return Roster(DRAW, ("GB", "US-CAL-CISO", "JP-TK", "BR-CS"))


def test_what_a_node_says_counts_and_the_scenario_fills_the_rest():
    who = roster()
    said = {"name": "desk", "partition-id": 2, "zone": "JP-TK", "watts": 55.0, "up-bytes-per-s": 1e6}
    client = who.enrol(7, profile_of(said, 0.0), 10.0)
    assert client == 2 and who.names[2] == "desk" and who.zone[2] == 2 and who.watts[2] == 55.0
    assert who.up_bytes_per_s[2] == 1e6
    assert who.down_bytes_per_s[2] == DRAW.devices["down_bytes_per_s"][2]
    assert who.available.tolist() == [False, False, True, False]


def test_a_node_returns_under_its_name_whatever_its_id():
    who = roster()
    client = who.enrol(7, NodeProfile(name="desk"), 0.0)
    who.leave(client, 5.0)
    assert who.enrol(8, NodeProfile(name="desk"), 9.0) == client
    assert who.enrol(9, NodeProfile(name="lamp"), 9.0) != client
    who.leave(client, 10.0)
    assert who.enrol(8, NodeProfile(), 11.0) == client, "an authenticated node keeps its id"


def test_a_new_connection_replaces_one_that_flower_has_not_given_up_yet():
    who = roster()
    client = who.enrol(7, NodeProfile(name="desk"), 0.0)
    who.order[client] = "ticket"
    assert who.enrol(8, NodeProfile(name="desk"), 3.0) == client
    assert who.node[client] == 8 and who.order[client] is None and who.leavings[client] == 1


def test_two_nodes_cannot_play_one_client():
    who = roster()
    who.enrol(7, NodeProfile(name="desk", client=1), 0.0)
    with pytest.raises(ValueError, match="'desk' plays it"):
        who.enrol(8, NodeProfile(name="lamp", client=1), 0.0)
    with pytest.raises(ValueError, match="partition-id: 4, expected 0 to 3"):
        who.enrol(8, NodeProfile(name="lamp", client=4), 0.0)
    for name in ("a", "b", "c"):
        who.enrol(hash(name), NodeProfile(name=name), 0.0)
    with pytest.raises(ValueError, match="all 4 clients are taken"):
        who.enrol(9, NodeProfile(name="e"), 0.0)


def test_an_announced_end_is_passed_on_and_forecasts_respect_it():
    who = roster()
    who.enrol(7, profile_of({"name": "desk", "session-end-utc-s": 1500.0}, now_utc_s=1000.0), 20.0)
    assert who.announced_end_s[0] == 520.0
    chance = who.forecast(20.0, np.array([60.0, 499.0, 501.0, 7200.0]))
    assert (chance[0, :2] > 0.9).all() and (chance[0, 2:] == 0).all()
    assert (chance[1:] == 0).all(), "nobody has come there yet"


@given(st.floats(0, 1e6), st.integers(0, 50), st.integers(0, 50), st.booleans())
def test_forecasts_are_chances_that_begin_at_the_present(hours, leavings, returns, here):
    who = roster()
    who.enrol(7, NodeProfile(name="desk"), 0.0)
    who.connected[0] = here
    who.here_s[0], who.leavings[0], who.returns[0] = hours, leavings, returns
    chance = who.forecast(0.0, np.array([0.0, 60.0, 3600.0, 1e9]))[0]
    assert (chance >= 0).all() and (chance <= 1).all()
    assert chance[0] == pytest.approx(float(here))
    assert (np.diff(chance) <= 1e-12).all() if here else (np.diff(chance) >= -1e-12).all()


def test_measured_speed_replaces_what_was_assumed_and_fades():
    who = roster()
    who.enrol(7, NodeProfile(name="desk", step_s=9.0), 0.0)
    assert who.step_s[0] == 9.0
    who.measure(0, 2.0)
    assert who.step_s[0] == 2.0
    who.measure(0, 4.0)
    assert who.step_s[0] == 3.0
    who.update(0, NodeProfile(name="desk", step_s=9.0), 1.0)
    assert who.step_s[0] == 3.0


@pytest.mark.parametrize(
    "said", [{"watts": -1}, {"client": "x"}, {"up_bytes_per_s": 0}, {"nonsense": 1}, {"name": "n" * 201}]
)
def test_a_profile_that_makes_no_sense_is_refused_in_one_line(said):
    with pytest.raises(ValueError, match="node profile") as error:
        read_profile(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("changes", [{}, {"hub": {"share": 1.0, "residency": "zone"}}, {"partition": "iid"}])
def test_nodes_deal_the_data_as_the_simulator_does(split, changes):
    scenario = load_scenario("volunteers", clients=5, **changes)
    source = PopulationSource(scenario, split)
    task = source.draw(11).task
    for client in range(5):
        rows = task.rows[task.offset[client] : task.offset[client] + task.own[client]]
        node = local_node(scenario, split, 11, client)
        assert np.array_equal(node._own_x, source.dataset.x_train[rows])
        assert np.array_equal(node._own_y, source.dataset.y_train[rows])
    with pytest.raises(ValueError, match="partition-id: 5, expected 0 to 4"):
        local_node(scenario, split, 11, 5)


def test_a_node_s_own_seconds_are_federation_time_where_that_runs_faster():
    who = Roster(DRAW, ("GB", "US-CAL-CISO", "JP-TK", "BR-CS"), scale=60.0)
    who.enrol(7, NodeProfile(name="desk", step_s=0.5), 0.0)
    assert who.step_s[0] == 30.0
