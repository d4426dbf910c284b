"""One plug-in of each kind from outside the package: by dotted name, registered, in a world, checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import own_plugins
import pytest
import yaml

from frugalfl.evaluation import SECTIONS, evaluate, write_html
from frugalfl.fl_core import AGGREGATORS, COMPRESSIONS, DATASETS, MODELS, PARTITIONS, TRAINERS
from frugalfl.fl_core.aggregation import ATTACKS
from frugalfl.schedulers import SCHEDULERS
from frugalfl.testing import (
    check_aggregator,
    check_attack,
    check_availability_model,
    check_compression,
    check_dataset,
    check_forecast,
    check_partition,
    check_scheduler,
    check_trainer,
    check_world,
)
from frugalfl.traces import (
    AVAILABILITY_FORECASTS,
    AVAILABILITY_FORMATS,
    CARBON_SOURCES,
    DEVICES,
    GENERATORS,
    read_availability,
)
from frugalfl.worlds import FederatedWorld, load_scenario

HERE = Path(__file__).parent
CHANGES = {
    "dataset": {"kind": "own_plugins:Fewer", "rows": 300},
    "partition": "own_plugins:Halves",
    "model": {"kind": "own_plugins:Wide", "width": 7},
    "trainer": "own_plugins:Slow",
    "aggregator": {"kind": "own_plugins:Capped", "most": 0.4},
    "compression": "own_plugins:Signs",
    "malicious": {"share": 0.25, "attack": {"kind": "own_plugins:Half", "share": 0.3}},
    "availability": "own_plugins:AlwaysOn",
    "carbon": {"kind": "own_plugins:FlatGrid", "g_per_kwh": 50.0},
    "devices": {"kind": "own_plugins:Alike", "watts": 20.0},
    "clients": 8,
    "max_rounds": 4,
}


def test_a_world_of_nothing_but_ones_own():
    env = gym.make("frugalfl/Volunteers-v0", **CHANGES).unwrapped
    env.reset(seed=1)
    source = env.world.source
    assert source.dataset.x_train.shape[0] == 300 and source.model.name == "wide"
    steps = np.array([0, 2, *[2] * 8, *[0] * 8])
    _, _, _, _, info = env.step(steps)
    assert env.world.situation().clients.completions.sum() == 8
    assert env.world.situation().zones.carbon_g_per_kwh.tolist() == [[50.0] * 4]
    plain, sent = env.world.source.model_bytes, env.world.situation().terms.upload_bytes[0]
    assert sent < plain / 20  # one bit instead of 32, and a scale
    assert np.isfinite(info["reward_terms"]).all()


def test_the_world_is_a_file_and_plays_in_another_process(tmp_path):
    document = tmp_path / "mine.yaml"
    document.write_text(yaml.safe_dump({"base": "volunteers", "name": "mine", **CHANGES}), encoding="utf-8")
    code = (
        "from frugalfl.worlds import FederatedWorld, load_scenario, rollout\n"
        "from frugalfl.schedulers import make_scheduler\n"
        "import numpy as np\n"
        f"world = FederatedWorld(load_scenario({str(document)!r}), 2)\n"
        "turns = list(rollout(world, make_scheduler('own_plugins:Everybody'), np.array([1, 2])))\n"
        "print(len(turns), int(world.totals()['completions'].min()))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == ["4", "32"]


def test_a_scheduler_enters_comparisons_and_a_section_the_report(tmp_path):
    scenario = load_scenario("volunteers", **CHANGES)
    result = evaluate(["own_plugins:Everybody", "random-m"], scenario, episodes=2, progress=False)
    assert set(result.episodes["scheduler"]) == {"own_plugins:Everybody", "random-m"}
    SECTIONS.register("shares")(own_plugins.shares)
    try:
        page = write_html(result, tmp_path / "report.html").read_text(encoding="utf-8")
    finally:
        SECTIONS.remove("shares")
    assert ">Invitations</h2>" in page and "<td>own_plugins:Everybody</td>" in page


def test_a_format_is_recognised_by_its_beginning(tmp_path):
    path = tmp_path / "lab.txt"
    lines = [f"stays user-{k:02} 0 5000\nstays user-{k:02} 9000 {200_000 + k}\n" for k in range(30)]
    path.write_text("".join(lines), encoding="utf-8")
    AVAILABILITY_FORMATS.add(own_plugins.STAYS)
    try:
        trace = read_availability(path)
        source = {"kind": "file", "path": str(path), "repeat": True}
        scenario = load_scenario("volunteers", availability=source, budgets={"hours": 1})
        world = FederatedWorld(scenario, 1)
    finally:
        AVAILABILITY_FORMATS.remove("stays")
    assert len(trace.users) == 30 and trace.session_start_s[:2].tolist() == [0.0, 9000.0]
    world.reset(np.ones(1, dtype=bool), np.array([3]))
    assert world.situation().clients.available.any()


@pytest.mark.parametrize(
    ("registry", "kind"),
    [
        (AGGREGATORS, "Capped"),
        (ATTACKS, "Half"),
        (AVAILABILITY_FORECASTS, "Sure"),
        (CARBON_SOURCES, "FlatGrid"),
        (COMPRESSIONS, "Signs"),
        (DATASETS, "Fewer"),
        (DEVICES, "Alike"),
        (GENERATORS, "AlwaysOn"),
        (MODELS, "Wide"),
        (PARTITIONS, "Halves"),
        (SCHEDULERS, "Everybody"),
        (TRAINERS, "Slow"),
    ],
    ids=lambda value: getattr(value, "what", value),
)
def test_every_registry_takes_a_name_of_ones_own(registry, kind):
    registry.register("my-own")(getattr(own_plugins, kind))
    try:
        assert "my-own" in registry and registry["my-own"] is getattr(own_plugins, kind)
        with pytest.raises(ValueError, match="did you mean 'my-own'"):
            registry.choose("my-onw")
    finally:
        registry.remove("my-own")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "own_plugins:Fewest"}, "own_plugins has no 'Fewest'"),
        ({"model": {"kind": "own_plugins:Wide", "widht": 3}}, "widht: unknown field; did you mean 'width'"),
        ({"aggregator": "nowhere:Mine"}, "cannot import 'nowhere'"),
    ],
)
def test_what_is_wrong_with_it_is_said_when_the_document_is_read(changes, message):
    with pytest.raises(ValueError, match=message):
        load_scenario("volunteers", **changes)


class TestBatteries:
    """The checks that a user would put into their own tests."""

    def test_of_each_kind(self):
        check_scheduler("own_plugins:Everybody")
        check_aggregator("own_plugins:Capped")
        check_attack({"kind": "own_plugins:Half", "share": 0.3})
        check_compression("own_plugins:Signs")
        check_dataset({"kind": "own_plugins:Fewer", "rows": 300})
        check_partition("own_plugins:Halves")
        check_trainer("own_plugins:Slow")
        check_availability_model("own_plugins:AlwaysOn")
        check_forecast("own_plugins:Sure")

    def test_of_the_world_made_of_them(self):
        check_world(load_scenario("volunteers", **CHANGES))
