"""A live run and the simulator, the same requests, models and machines: where they agree, and where not."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import frugalfl
from frugalfl.envs.serving import load_serving

BENCHMARKS = Path(frugalfl.__file__).parent / "benchmarks"
TRIP_S = 0.1


@pytest.fixture(scope="module")
def twice():
    """The script that plays both."""
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmarks are not installed")
    spec = importlib.util.spec_from_file_location("serve_twice", BENCHMARKS / "serve_twice.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve_twice"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def play(twice):
    """Both runs of a world, step by step."""

    def both(name, policy, hours=1.5):
        scenario = load_serving(twice.world_of(name, hours), models={"steps": 60, "copies": 1})
        charged, live = twice.play_live(scenario, policy, TRIP_S, 5)
        return live, twice.play_simulated(charged, scenario, policy, 5)

    return both


def of(steps, name):
    return np.array([getattr(step.outcome, name).sum() for step in steps])


@pytest.mark.parametrize("policy", ["online-greedy", "static-greedy", "ask-below"])
def test_where_there_is_room_plans_and_answers_are_the_same(twice, play, policy):
    live, simulated = play("alike", policy)
    assert all(twice.same_plan(*pair) for pair in zip(live, simulated, strict=True))
    settled = of(live, "begun") == 0
    assert settled.sum() >= 5 and not settled.all()
    for one, other in zip(live, simulated, strict=True):
        if not one.outcome.begun.sum():
            for name in ("requests", "answered", "right", "dropped", "local", "asked"):
                mine, its = getattr(one.outcome, name), getattr(other.outcome, name)
                np.testing.assert_allclose(mine, its, atol=1e-9, err_msg=name)
            assert one.terms[0] == pytest.approx(other.terms[0], abs=1e-9), "points of answers"
            computed = other.outcome.energy_j.sum()
            assert one.outcome.energy_j.sum() == pytest.approx(computed, rel=1e-3), "as fast as the profile"


def test_while_a_model_is_loaded_they_agree_up_to_the_seconds_it_takes(play):
    live, simulated = play("alike", "online-greedy")
    begun = of(live, "begun") > 0
    assert begun[0] and np.array_equal(of(live, "begun"), of(simulated, "begun"))
    # Kilobytes take tens of milliseconds of ten minutes: the simulator drops that share of the requests.
    np.testing.assert_allclose(of(live, "answered"), of(simulated, "answered"), rtol=1e-3)
    np.testing.assert_allclose(of(live, "right"), of(simulated, "right"), rtol=1e-3)


def test_seconds_and_bytes_differ_as_documented(play):
    live, simulated = play("alike", "online-greedy")
    assert of(live, "latency_ms").sum() > of(simulated, "latency_ms").sum(), "an order comes back as a whole"
    settled = of(live, "begun") == 0
    assert (of(simulated, "bytes")[settled] == 0).all() and (of(live, "bytes")[settled] > 0).all()


def test_where_room_is_scarce_requests_are_whole_and_nothing_is_counted_twice(play):
    live, simulated = play("three", "online-greedy")
    assert np.array_equal(of(live, "requests"), of(simulated, "requests"))
    for steps, whole in ((live, True), (simulated, False)):
        ends = of(steps, "answered").sum() + of(steps, "dropped").sum() + of(steps, "waiting")[-1]
        assert ends == pytest.approx(of(steps, "requests").sum())
        assert np.array_equal(of(steps, "hub"), np.round(of(steps, "hub"))) == whole
    answered = of(live, "answered").sum() / of(simulated, "answered").sum()
    right = of(live, "right").sum() / of(simulated, "right").sum()
    assert answered == pytest.approx(1.0, abs=0.05) and right == pytest.approx(1.0, abs=0.05)
