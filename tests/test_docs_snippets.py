"""The snippets of docs/bring_your_own.md and docs/integrations.md work as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from frugalfl import evaluate, load_scenario
from frugalfl.agents.deploy.nodes import own_node
from frugalfl.fl_core import Dataset

DOCS = Path(__file__).resolve().parents[1] / "docs"
OWN = (DOCS / "bring_your_own.md").read_text(encoding="utf-8")
MINE = "\n".join(re.findall(r'```python title="mylab.py"\n(.*?)```', OWN, re.DOTALL))
FLOWER, WORLD, LOOP, SERVER = re.findall(r"```python\n(.*?)```", OWN, re.DOTALL)
INTEGRATIONS = re.findall(
    r"```python\n(.*?)```", (DOCS / "integrations.md").read_text(encoding="utf-8"), re.DOTALL
)
OTHERS = {
    "torchrl": "torchrl",
    "minari": "minari",
    "LinearReward": "mo_gymnasium",
    "PCN": "morl_baselines",
    "MaskablePPO": "sb3_contrib",
    "evaluate_policy": "frugalfl",
    "tianshou": "tianshou rliable",
    "skrl": "skrl",
    "agilerl": "agilerl peft",
    "pufferlib": "pufferlib",
    "imitation": "imitation",
    "d3rlpy": "d3rlpy",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "hydra": "hydra",
}
"""What a snippet is found by, and the libraries that it needs: where one is not installed it is not tried."""


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_the_site_knows_every_fence(page):
    """Others are shown as running text, and what follows them as code."""
    opened = re.findall(r"^ *```(\S.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [each for each in opened if not re.fullmatch(r'\w+( title="[^"]+")?', each)] == []


@pytest.fixture
def mylab(tmp_path, monkeypatch):
    (tmp_path / "mylab.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("mylab", None)


def test_a_world_of_nothing_but_ones_own(mylab):
    names: dict = {}
    exec(WORLD, names)
    source = names["env"].unwrapped.world.source
    assert source.dataset.name == "lab" and source.dataset.num_rows == 540
    points = names["result"].values("mylab:Everybody", "net_points")
    assert len(points) == 2 and np.isfinite(points).all()
    assert names["result"].episodes["completions"].min() > 0


class _Rows:
    """Rows of one label each; a loaded data set, as far as it is read."""

    column_names = ("img", "label")

    def __init__(self, labels):
        self.labels = np.array(labels)

    def with_format(self, kind):
        return {"img": np.full((self.labels.size, 4, 4, 3), 255, dtype=np.uint8), "label": self.labels}


class _Federated:
    """Stands for Flower's class, whose data come from the network."""

    def __init__(self, dataset, partitioners):
        assert dataset == "uoft-cs/cifar10"
        self.partitioners = partitioners

    def load_partition(self, index, split):
        return _Rows([index])

    def load_split(self, split):
        return _Rows([0, 1])


def test_data_of_flower(mylab, monkeypatch):
    dealt = SimpleNamespace(DirichletPartitioner=lambda num_partitions, partition_by, alpha: SimpleNamespace(
        num_partitions=num_partitions
    ))  # fmt: skip
    monkeypatch.setitem(sys.modules, "flwr_datasets", SimpleNamespace(FederatedDataset=_Federated))
    monkeypatch.setitem(sys.modules, "flwr_datasets.partitioner", dealt)
    names: dict = {"Dataset": Dataset}
    exec(FLOWER, names)
    data = names["cifar"](clients=3)
    assert data.name == "cifar10" and data.natural_client.tolist() == [0, 1, 2] and data.x_train.max() == 1.0


def test_a_loop_of_somebody_else(mylab):
    names: dict = {}
    exec(LOOP, names)
    assert names["orders"].answers == 2 and set(names["orders"].local_steps) <= {0, 1, 3}


def test_a_strategy_of_flower_beside_a_scheduler(mylab, monkeypatch):
    pytest.importorskip("flwr.serverapp")
    names: dict = {"np": np}
    exec(LOOP, names)
    exec(SERVER, names)
    started = lambda strategy, grid, arrays, num_rounds: (strategy._orders(grid), num_rounds)
    monkeypatch.setattr(names["ScheduledStrategy"], "start", started)
    orders, rounds = names["main"](SimpleNamespace(get_node_ids=lambda: range(7)), None)
    assert rounds == 4 and orders and set(orders) <= set(range(7))


def test_text_of_ones_own(tmp_path, monkeypatch):
    (said,) = re.findall(r"```yaml\n(dataset: \{kind: text.*?)```", OWN, re.DOTALL)
    (tmp_path / "notes").mkdir()
    for name in ("monday", "tuesday", "friday"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"On {name} it rained again. " * 30, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scenario = load_scenario("volunteers", clients=3, max_rounds=2, **yaml.safe_load(said))
    result = evaluate(["all-available"], scenario, episodes=1, progress=False)
    assert np.isfinite(result.values("all-available", "net_points")).all()


def test_rows_that_stay_at_home(mylab):
    scenario = load_scenario("volunteers", dataset="mylab:load", model="mylab:net", clients=4)
    assert own_node(scenario, "test", {"data": "mylab:local", "partition-id": 1}).own == 50


# What libraries warn of at home is theirs; warnings of ours have tests of their own.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("word", OTHERS)
def test_other_libraries(word, capsys, tmp_path, monkeypatch):
    for library in OTHERS[word].split():
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    (snippet,) = (text for text in INTEGRATIONS if re.search(rf"\b{word}\b", text))
    exec(snippet, {})


def test_the_script_in_the_style_of_cleanrl_is_where_the_page_says(monkeypatch):
    (snippet,) = (text for text in INTEGRATIONS if "cleanrl_ppo" in text)
    monkeypatch.chdir(DOCS.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict = {}
    exec(snippet, names)
    assert names["returns"] and np.isfinite(names["returns"]).all()
    sys.modules.pop("cleanrl_ppo")
