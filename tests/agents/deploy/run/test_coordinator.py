"""A federation that is stopped goes on where it was; any scheduler drives it; it can be watched."""

import csv

import numpy as np
import pytest

from frugalfl.agents.deploy import DeploySettings, read_settings
from frugalfl.agents.deploy.run import Coordinator, load_round, load_state
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.common.files import write_npz


@pytest.fixture
def start(scenario, transport_of, tmp_path):
    """Starts, or goes on with, a federation of four nodes in a folder."""

    def build(name="run", scheduler="random-m", resume=False, settings=None, **changes):
        said = {"scheduler_settings": settings or {}, "min_nodes": 4, "poll_s": 0.05, "seed": 3, **changes}
        asked = DeploySettings(
            scenario=scenario.model_dump(),
            scheduler=scheduler,
            out=str(tmp_path / name),
            resume=resume,
            **said,
        )
        transport = transport_of(scenario, 3)
        for client in range(4):
            transport.join(client, 0.1)
        coordinator = Coordinator(asked, transport, clock=transport.clock())
        coordinator.world.runner._wall = transport.time
        return coordinator

    return build


def test_a_run_that_was_stopped_ends_with_the_same_model(start):
    knobs = {"participants": 2, "local_steps": 4}
    whole = start("whole", settings=knobs)
    whole.run(8)
    first = start("parts", settings=knobs)
    first.run(3)
    second = start("parts", settings=knobs, resume=True)
    assert second.decisions == 3
    summary = second.run(5)
    assert summary.decisions == 8
    assert np.array_equal(second.world.parameters(), whole.world.parameters())
    assert np.array_equal(second.world.ledger.completions, whole.world.ledger.completions)
    assert second.world.ledger.net_points[0] == pytest.approx(whole.world.ledger.net_points[0], abs=0.1)


def test_resuming_with_other_settings_is_refused(start):
    start("run").run(1)
    with pytest.raises(ValueError, match="seed: not the stopped run's"):
        start("run", resume=True, seed=4)
    with pytest.raises(ValueError, match="already holds a run"):
        start("run")
    with pytest.raises(ValueError, match=r"deployment\.json"):
        start("another", resume=True)


FEW = ("random-m", "all-available", "f3ast", "cpow-d", "tuned-rule", "never")
SEERS = [name for name in SCHEDULERS if make_scheduler(name).clairvoyant]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.slow)
        for name in SCHEDULERS
        if name not in SEERS
    ],
)
def test_every_scheduler_drives_a_live_federation(start, name):
    coordinator = start(name, scheduler=name)
    coordinator.run(3)
    assert coordinator.decisions >= 1
    assert np.isfinite(coordinator.world.parameters()).all()


@pytest.mark.slow
def test_a_policy_of_another_number_of_clients_drives_a_live_federation(start, scenario, tmp_path):
    import torch as th

    from frugalfl.agents.learning import RunSettings
    from frugalfl.agents.learning.algorithms import build_model
    from frugalfl.agents.learning.run_folder import CONFIG, MODEL, RUN_FORMAT, training_worlds
    from frugalfl.common.files import write_json

    settings = RunSettings(env="frugalfl/Volunteers-v0", num_envs=1)
    folder = tmp_path / "trained"
    folder.mkdir()
    model = build_model(settings, training_worlds(settings))
    th.save(model.policy.state_dict(), folder / MODEL)
    document = {
        "format": RUN_FORMAT,
        "settings": settings.to_json(),
        "best": {"net_points": None, "segment": None, "decision": "count"},
        "rounds_trained": 0,
    }
    write_json(folder / CONFIG, document)
    coordinator = start("live", scheduler=str(folder), time_scale=1.0)
    coordinator.run(2)
    assert coordinator.decisions == 2 and scenario.clients == 4
    coordinator = start("live", scheduler=str(folder), resume=True)
    coordinator.run(1)
    assert coordinator.decisions == 3


@pytest.mark.parametrize("name", SEERS)
def test_nobody_can_see_the_future_of_real_nodes(start, name):
    with pytest.raises(ValueError, match="future"):
        start("run", scheduler=name)


def test_what_was_known_ordered_and_done_is_kept(start, tmp_path):
    coordinator = start("run", settings={"participants": 2})
    coordinator.run(2)
    situation, plan, outcome = load_round(tmp_path / "run", 1)
    assert (
        situation.run.round_index[0] == 1
        and situation.terms.model_bytes == coordinator.world.source.model.bytes
    )
    assert (plan.local_steps > 0).sum() == 2 and outcome.completed.sum() == 2
    state, decisions, settings = load_state(tmp_path / "run")
    assert decisions == 2 and settings == coordinator.settings.text()
    assert np.array_equal(state["core/params"], coordinator.world.parameters())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing of use", b"\x80\x04."])
def test_a_damaged_checkpoint_is_refused_in_one_line(start, tmp_path, damage):
    start("run").run(1)
    (tmp_path / "run" / "state.npz").write_bytes(damage)
    with pytest.raises(ValueError, match=r"state\.npz: not readable"):
        start("run", resume=True)


def test_the_federation_can_be_watched(start, tmp_path):
    coordinator = start("run")
    coordinator.run(3)
    page = (tmp_path / "run" / "dashboard.txt").read_text(encoding="utf-8")
    assert "round 3" in page and "node-2" in page and "idle" in page
    with (tmp_path / "run" / "rounds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["round"]) for row in rows] == [1, 2, 3]
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_refused_answers_are_counted_where_the_federation_is_watched(start, tmp_path):
    coordinator = start("run")
    coordinator.run(1)
    for _ in range(2):
        coordinator.world.roster.trust.blame(2, "node-2")
    coordinator.run(2)
    page = (tmp_path / "run" / "dashboard.txt").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if "s/step" in line]
    assert [line.endswith("2 refused") for line in lines] == ["node-2" in line for line in lines]
    with (tmp_path / "run" / "rounds.csv").open(encoding="utf-8") as file:
        assert [float(row["refused"]) for row in csv.DictReader(file)] == [0, 2, 0]


def test_the_table_says_what_the_checkpoints_say(start, tmp_path):
    """It is killed between a checkpoint and the table, or the table is lost."""
    start("run").run(3)
    table = tmp_path / "run" / "rounds.csv"
    whole, page = table.read_text(), (tmp_path / "run" / "dashboard.txt").read_text()
    table.write_text("".join(whole.splitlines(keepends=True)[:2]))
    start("run", resume=True)
    assert table.read_text() == whole
    assert (
        page.split("points")[-1].split("nodes")[0]
        == ((tmp_path / "run" / "dashboard.txt").read_text().split("points")[-1].split("nodes")[0])
    )


@pytest.mark.parametrize("resume", [False, True])
def test_a_federation_stopped_before_its_first_decision_is_begun_again(start, tmp_path, resume):
    start("run")
    assert [path.name for path in (tmp_path / "run").iterdir() if path.is_file()] == ["deployment.json"]
    assert start("run", resume=resume).run(1).decisions == 1


def test_a_round_without_its_parts_is_one_line(start, tmp_path):
    start("run").run(1)
    write_npz(tmp_path / "run" / "rounds" / "000000.npz", {"plan/steps": np.zeros(2)})
    with pytest.raises(ValueError, match=r"000000\.npz: not ") as error:
        start("run", resume=True)
    assert "\n" not in str(error.value)


def test_settings_travel_as_one_line_of_json(start):
    settings = start("run").settings
    text = settings.text()
    assert "\n" not in text and read_settings(text).text() == text
    assert read_settings(text).world() == settings.world()
    for bad in ("", "{", "{}", "[]", '{"scenario": {}, "out": "x", "sed": 1}'):
        with pytest.raises(ValueError, match="deployment"):
            read_settings(bad)


def test_too_few_nodes_are_waited_for_but_not_for_ever(scenario, transport_of, tmp_path):
    asked = DeploySettings(
        scenario=scenario.model_dump(), scheduler="random-m", out=str(tmp_path), min_nodes=2, gather_s=5.0
    )
    transport = transport_of(scenario, 0)
    transport.join(0)
    coordinator = Coordinator(asked, transport, clock=transport.clock())
    with pytest.raises(ValueError, match="1 came within 5 s, expected 2"):
        coordinator.run()


def test_a_bound_below_the_median_is_refused():
    from frugalfl.agents.deploy import Defence
    from frugalfl.common.settings import parse_settings

    for factor in (0, 1, 50):
        assert parse_settings(Defence, {"norm_bound": factor}, "deploy").norm_bound == factor
    with pytest.raises(ValueError, match=r"deploy: norm_bound: 0.5, expected 0 \(none\) or at least 1"):
        parse_settings(Defence, {"norm_bound": 0.5}, "deploy")


def test_what_is_done_about_liars_may_change_when_a_run_is_resumed(start):
    start("run").run(1)
    resumed = start("run", resume=True, defence={"norm_bound": 5, "most_faults": 0})
    assert resumed.world.runner.bound.factor == 5
