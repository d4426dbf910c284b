"""Documents, slots, fleets and energy by load: the parts of the world of serving."""

import numpy as np
import pytest
from small_serving import SMALL, STAYING, small

from frugalfl.envs.serving import NOTHING, ServingPlan, ServingWorld, load_serving, serving_names
from frugalfl.envs.serving.slots import SlotStates

ONE = np.ones(1, dtype=bool)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hub": {"share": -1}}, "hub.share: -1, expected greater than or equal to 0"),
        ({"hub": {"zone": 2}}, "hub: zone: 2, expected less than the 2 zones"),
        ({"levels": {"threshold": (0.5, 0.7)}}, "threshold: .* increasing levels that begin with 0"),
        ({"levels": {"release": (0.0, 0.7, 0.5)}}, "release: .* increasing levels"),
        ({"arrivals": {"kind": "poison"}}, "arrivals: 'poison' is unknown; did you mean 'poisson'"),
        ({"profile": "chad"}, "profile: 'chad' is unknown; did you mean 'chat'"),
        ({"clients": 4}, "clients: unknown field"),
        ({"machines": []}, "machines: "),
        ({"availability": {"kind": "volunteer"}}, "availability: 'volunteer' is unknown"),
    ],
)
def test_a_bad_document_is_refused_in_one_line(changes, said):
    with pytest.raises(ValueError, match=said) as error:
        small(**changes)
    assert "\n" not in str(error.value)


def test_packaged_scenarios_can_be_read_and_changed(tmp_path):
    assert serving_names() == ["serving"]
    scenario = load_serving("serving", hub={"rtt_ms": 5.0})
    assert scenario.hub.rtt_ms == 5.0 and scenario.hub.share == load_serving("serving").hub.share
    assert load_serving(scenario) == scenario
    path = tmp_path / "mine.yaml"
    path.write_text("base: serving\nname: mine\nhours: 6\n", encoding="utf-8")
    assert load_serving(str(path)).steps == 36
    with pytest.raises(ValueError, match=r"neither a known scenario nor .* did you mean 'serving'"):
        load_serving("servin")


def test_a_profile_has_as_many_rungs_as_models():
    with pytest.raises(ValueError, match="profile: 5 rungs, expected 2"):
        ServingWorld(small(models={"rungs": [{}, {"hidden": [8]}]}))


def test_machines_need_hardware_that_the_profile_knows():
    machines = [{**SMALL["machines"][1], "hardware": "abacus"}]
    with pytest.raises(ValueError, match="machines: hardware: 'abacus', expected one of gpu, cpu, hub"):
        ServingWorld(small(machines=machines))


def test_what_a_machine_cannot_run_is_never_loaded():
    world = ServingWorld(small(profile="language", **STAYING))
    world.reset(ONE, np.array([4]))
    s = world.situation()
    desktops = np.isinf(s.slots.load_s).all(axis=2)
    assert desktops[0].tolist() == [False, False, True, True, True, True]
    result = world.step(ServingPlan(np.full((1, 6), 1), np.zeros((1, 4)), np.ones(1)))
    assert result.outcome.repairs[0] == (desktops | ~s.slots.available).sum()


def test_the_stay_law_is_the_generators():
    world = ServingWorld(small(availability={"kind": "stays", "on_mean_h": 0.5, "on_shape": 1.0}))
    shape, scale_s = world.source.stay
    assert shape == pytest.approx(1.0, abs=0.15) and scale_s == pytest.approx(1800.0, rel=0.15)


def test_slots_of_a_machine_share_session_link_and_watts():
    world = ServingWorld(small())
    world.reset(ONE, np.array([1]))
    s = world.situation()
    assert s.slots.node.tolist() == [0, 0, 1, 2, 3, 4]
    for values in (s.slots.zone, s.slots.available, s.slots.latency_ms, s.slots.load_s):
        np.testing.assert_array_equal(values[0, 0], values[0, 1])
    whole = 1 / (s.slots.load_s[0, 0, 4] - world.scenario.start_s) * s.terms.model_bytes[4]
    machines = [{**SMALL["machines"][0], "slots": 1}, *SMALL["machines"][1:]]
    single = ServingWorld(small(machines=machines))
    single.reset(ONE, np.array([1]))
    alone = single.situation().slots.load_s[0, 0, 4] - world.scenario.start_s
    assert s.terms.model_bytes[4] / alone == pytest.approx(2 * whole)


def test_a_busy_slot_needs_fewer_joules_for_an_answer():
    """Energy per request depends on load: E(b) between what one and what four at once need."""
    world = ServingWorld(small(**STAYING))
    source = world.source
    factor = np.ones((1, 6))
    one, four = source.joules(np.ones((1, 6)), factor), source.joules(np.full((1, 6), 4.0), factor)
    np.testing.assert_allclose(four[0, :2], one[0, :2] / 2)
    np.testing.assert_allclose(four[0, 2:], one[0, 2:])
    np.testing.assert_allclose(source.joules(np.full((1, 6), 2.0), factor)[0, 0], one[0, 0] / np.sqrt(2))


def test_a_model_serves_from_when_it_is_there_to_when_its_machine_leaves():
    slots = SlotStates(1, 3)
    bytes_s = np.full((1, 3, 2), 290.0)
    bytes_s[0, 2] = np.inf
    available = np.ones((1, 3), dtype=bool)
    refused, begun = slots.begin(np.array([[2, 1, 1]]), available, np.zeros(1), bytes_s, 10.0)
    assert refused[0] == 1 and begun[0] == 2
    service = slots.serve(np.zeros(1), 600.0, np.array([[1e9, 450.0, 1e9]]), np.full((1, 3), 2.0))
    np.testing.assert_allclose(service.share, [[0.5, 0.25, 0.0]])
    np.testing.assert_allclose(service.planned_share, [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(service.moved_bytes, [[580.0, 580.0, 0.0]])
    np.testing.assert_array_equal(service.model, [[1, 0, NOTHING]])
    assert slots.end(np.full(1, 600.0), service.left)[0] == 1
    np.testing.assert_array_equal(slots.model, [[1, NOTHING, NOTHING]])


def test_a_load_that_is_interrupted_is_paid_as_far_as_it_came():
    slots = SlotStates(1, 1)
    slots.begin(np.array([[1]]), np.ones((1, 1), dtype=bool), np.zeros(1), np.full((1, 1, 1), 500.0), 10.0)
    service = slots.serve(np.zeros(1), 600.0, np.array([[200.0]]), np.full((1, 1), 3.0))
    np.testing.assert_allclose(service.moved_bytes, 600.0)
    assert service.left.all() and service.share.sum() == 0
    np.testing.assert_allclose(service.held_s, 200.0)


def test_requests_whose_slot_leaves_are_answered_elsewhere_and_later():
    world = ServingWorld(small(retry_ms=1e6, hub={"share": 5.0}), 4)
    world.reset(np.ones(4, dtype=bool), np.arange(4))
    retried, waited = 0.0, 0.0
    while world.running.any():
        s = world.situation()
        load = np.where(s.loadable & (s.slots.model == NOTHING), 1 + np.arange(6) % 4 * 5, 0)
        outcome = world.step(ServingPlan(load, np.zeros((4, 4)), np.ones(4))).outcome
        retried += outcome.retried.sum()
        waited += outcome.latency_ms[outcome.retried > 0].sum()
    assert retried > 0 and waited > 1e6 * retried
