"""Bad input is refused in one line that names the field, the value and what was expected."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest
from own_worlds import plain

from frugalfl.envs.registration import find_entry
from frugalfl.envs.scenario import load_scenario, scenario_names

BAD = [
    ({"clients": 0}, "clients: 0"),
    ({"client": 5}, "did you mean 'clients'"),
    ({"preferences": {"price_per_hour": -1}}, "price_per_hour"),
    ({"preferences": {"price_per_kg": (5, 1)}}, "from low to high"),
    ({"levels": {"local_steps": (5, 10)}}, "begin with 0"),
    ({"budgets": {"hours": 0}}, "budgets.hours: 0"),
    ({"dataset": "digit"}, "digits"),
    ({"partition": "dirichle"}, "dirichlet"),
    ({"model": "mpl"}, "mlp"),
    ({"aggregator": "mean"}, "mean"),
    ({"availability": "volunteer"}, "volunteers"),
    ({"availability": "nowhere.txt"}, "nowhere.txt"),
    ({"carbon": ["nowhere.csv"] * 4}, "nowhere.csv"),
    ({"carbon": ["DE", "GB"]}, "zones"),
    ({"carbon": ["DE", "GB", "FRA", "ES"]}, "FRA"),
    ({"devices": "phone"}, "phones"),
    ({"training": {"learning_rate": -1}}, "learning_rate"),
    ({"split": "holdout"}, "split: 'holdout'"),
    ({"action": "box"}, "action: 'box'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_one_line_names_the_field(changes, message):
    with pytest.raises(ValueError) as error:
        gym.make("frugalfl/Volunteers-v0", **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


UNKNOWN = [
    (
        {"training": {"learning_rat": 0.1}},
        "training.learning_rat: unknown field; did you mean 'learning_rate'?",
    ),
    ({"quadratic": {"dimensions": 3}}, "quadratic.dimensions: unknown field; did you mean 'dimension'?"),
    ({"budgets": {"hour": 3}}, "budgets.hour: unknown field; did you mean 'hours'?"),
    ({"late": {"kind": "keep", "max_round": 3}}, "late.max_round: unknown field; did you mean 'max_rounds'?"),
    ({"availability": {"kind": "phones", "announced": 1}}, "availability.announced: unknown field; did you"),
    ({"carbon": {"zone": ["DE"]}}, "carbon.zone: unknown field; did you mean 'zones'?"),
    ({"carbon": ["DEE"]}, "carbon"),
    ({"devices": {"kind": "phones", "watt": 3}}, "devices.watt: unknown field"),
    ({"devices": "phone"}, "did you mean 'phones'?"),
    (
        {"aggregator": {"kind": "unbiased", "min_rat": 1}},
        "aggregator.min_rat: unknown field; did you mean 'min_",
    ),
    ({"aggregator": "unbiasd"}, "aggregator: 'unbiasd' is unknown; did you mean 'unbiased'?"),
    (
        {"compression": {"kind": "top-k", "shar": 0.1}},
        "compression.shar: unknown field; did you mean 'share'?",
    ),
    (
        {"compression": {"kind": "top-k", "share": 2}},
        "compression.share: 2, expected less than or equal to 1",
    ),
    ({"dataset": "digit"}, "dataset: 'digit' is unknown; did you mean 'digits'?"),
    ({"dataset": {"kind": "synthetic", "row": 3}}, "dataset.row: unknown field"),
    ({"partition": {"kind": "dirichlet", "alfa": 3}}, "partition.alfa: unknown field; did you mean 'alpha'?"),
    ({"model": {"kind": "mlp", "hiden": [3]}}, "model.hiden: unknown field; did you mean 'hidden'?"),
    ({"trainer": {"kind": "torch", "worker": 3}}, "trainer.worker: unknown field; did you mean 'workers'?"),
    ({"trainer": "fusd"}, "trainer: 'fusd' is unknown; did you mean 'fused'?"),
    ({"forecasting": {"carbon_lead_s": [3]}}, "forecasting.carbon_lead_s: unknown field; did you mean"),
    ({"workload": {"model_bytes": "actuel"}}, "workload.model_bytes: 'actuel'"),
    ({"levels": {"wait_s": [0, float("nan")]}}, "levels.wait_s.1: nan"),
]


@pytest.mark.parametrize(("changes", "message"), UNKNOWN, ids=[message for _, message in UNKNOWN])
def test_a_document_is_refused_when_it_is_read_with_the_whole_path_and_a_suggestion(changes, message):
    with pytest.raises(ValueError) as error:
        load_scenario("volunteers", **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_documents_are_written_as_they_were_given():
    scenario = plain("volunteers", training={"batch_size": 8}, quadratic={"dimension": 3})
    document = scenario.model_dump()
    assert document["training"] == {"batch_size": 8} and document["quadratic"] == {"dimension": 3}
    assert plain("volunteers").model_dump()["quadratic"] is None
    assert json.loads(scenario.model_dump_json())["training"] == {"batch_size": 8}
    again = load_scenario(scenario, training={"learning_rate": 0.5})
    assert again.model_dump()["training"] == {"batch_size": 8, "learning_rate": 0.5}


def test_unknown_ids_come_with_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'frugalfl/Volunteers-v0'"):
        find_entry("frugalfl/Volunteer-v0")


@pytest.mark.parametrize("name", scenario_names())
def test_packaged_scenarios_survive_a_round_trip(name):
    scenario = load_scenario(name)
    assert load_scenario(scenario.model_dump()) == scenario


def test_a_yaml_file_changes_only_what_it_names(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: volunteers\nclients: 5\npreferences: {price_per_kg: 9}\n")
    mine, base = load_scenario(path), load_scenario("volunteers")
    assert mine.clients == 5 and mine.preferences.price_per_kg == 9
    assert mine.preferences.price_per_hour == base.preferences.price_per_hour
    assert gym.make("frugalfl/Volunteers-v0", scenario=str(path)).unwrapped.scenario.clients == 5


def test_a_broken_yaml_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("clients: 5\nzones: [1\n")
    with pytest.raises(ValueError, match=r"broken\.yaml line 3"):
        load_scenario(path)


def test_prices_may_be_drawn_per_episode_and_are_observed():
    env = gym.make("frugalfl/Volunteers-v0", preferences={"price_per_kg": (0.1, 10.0)}).unwrapped
    prices = set()
    for seed in range(5):
        env.reset(seed=seed)
        price = float(env.agent_view.situation.terms.price_per_kg[0])
        assert 0.1 <= price <= 10
        prices.add(round(price, 9))
    assert len(prices) == 5
    assert np.isfinite(env.agent_view.observe()["server"]).all()
