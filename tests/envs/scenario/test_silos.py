"""Silos as clients: as many as the data have, in the packaged hospitals and in a document of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from frugalfl.agents.evaluation import evaluate
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld


def test_the_hospitals_are_four_and_learn():
    scenario = load_scenario("hospitals")
    assert scenario.clients == 4 and scenario.partition == "natural"
    world = FederatedWorld(scenario, 2)
    world.reset(np.ones(2, dtype=bool), np.arange(2))
    assert world.source.dataset.name == "synthetic hospitals"
    held = world.situation().clients.samples_held
    assert held.tolist() == [np.bincount(world.source.dataset.natural_client).tolist()] * 2
    result = evaluate(["all-available"], load_scenario(scenario, max_rounds=6), episodes=2, progress=False)
    table = result.episodes
    assert (table["accuracy"] > table["accuracy_start"] + 0.1).all()


@pytest.mark.parametrize("model", ["softmax", "cox"])
def test_a_table_of_ones_own_makes_a_world(tmp_path, model):
    rng = np.random.default_rng(0)
    lines = ["site,x,y,ill,days"]
    for index in range(90):
        x, y = rng.normal(size=2)
        ill = int(x + 0.3 * rng.normal() > 0)
        lines.append(f"site {index % 5},{x:.3f},{y:.3f},{ill},{30 - 5 * x + rng.random():.1f}")
    (tmp_path / "patients.csv").write_text("\n".join(lines))
    dataset = {"kind": "table", "path": "patients.csv", "label": "ill", "silo": "site"}
    dataset |= {"time": "days"} if model == "cox" else {"drop": ["days"]}
    document = {"base": "hospitals", "name": "mine", "dataset": dataset, "model": model, "max_rounds": 5}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    scenario = load_scenario(path)  # the table is found beside the document
    assert scenario.clients == 5
    result = evaluate(["all-available"], scenario, episodes=1, progress=False).episodes
    assert result["accuracy"].item() > 0.7 and np.isfinite(result["worst_client_accuracy"].item())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"clients": "silos", "dataset": "digits"}, "clients: 'silos', expected a number: rows of 'digits'"),
        ({"clients": "silo"}, "clients: 'silo', expected .*integer"),
        (
            {"clients": "silos", "dataset": {"kind": "table", "path": "no.csv", "label": "y", "silo": "s"}},
            "no.csv",
        ),
    ],
)
def test_silos_that_are_not_there_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_scenario("hospitals", **changes)


def test_more_clients_than_silos_are_refused():
    world = FederatedWorld(load_scenario("hospitals", clients=5), 1)
    with pytest.raises(ValueError, match="clients: 5, expected at most the 4"):
        world.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
