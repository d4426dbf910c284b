"""Trained schedulers that ship: exported from a run, found by name or folder, refused elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch as th
from safetensors.torch import load_file, save_file

import frugalfl
from frugalfl.agents.commands.evaluate import main as evaluate_main
from frugalfl.agents.commands.export import main as export_main
from frugalfl.agents.evaluation import evaluate, git_version
from frugalfl.agents.evaluation.measures import interquartile_mean
from frugalfl.agents.experiment.export import export_run
from frugalfl.agents.players import describe, make_player, name_players
from frugalfl.agents.policies.actor_critic import SetActorCriticPolicy
from frugalfl.agents.zoo import WEIGHTS, is_shipped, loading, read_card, sha256, shipped_names
from frugalfl.envs.agent_view import ObservationEncoder, layout_of
from frugalfl.envs.any_world import load_any
from frugalfl.envs.contract import rollout
from frugalfl.envs.mixture import make_world
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.serving import ServingScenario, ServingWorld
from frugalfl.train_agent import main as train_main

SMALL = ["--timesteps=256", "--num-envs=4", "--eval-episodes=4", "--policy.hidden=8"]
SMALL += ["--ppo.rollout-steps=16", "--ppo.epochs=1", "--rivals", "random-m"]

FIRST_EPISODES = json.loads(Path(__file__).with_name("first_episodes.json").read_text(encoding="utf-8"))
"""Net points of each shipped scheduler and its rival in the first test episodes of its world."""
EPISODES = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    assert train_main([*SMALL, f"--out={out}"]) == 0
    return out


@pytest.fixture
def zoo(run, tmp_path, monkeypatch):
    """A package whose one trained scheduler is `tiny-ppo`."""
    export_run(run, "tiny-ppo", tmp_path)
    monkeypatch.setattr(loading, "HOME", tmp_path)
    return tmp_path


def plan_of(player, clients, scenario="volunteers"):
    world = make_world(load_scenario(scenario, clients=clients), 3, "test")
    everyone, seeds = np.ones(3, dtype=bool), np.arange(3)
    world.reset(everyone, seeds)
    player.reset(everyone, seeds, clients)
    said = world.scenario
    offered = (said.levels.server_step, said.levels.upload_bits, said.refresh_levels, said.levels.ask_below)
    return player.plan(world.situation()).validate(3, clients, *offered)


def test_the_export_plays_exactly_as_the_run(run, zoo):
    from frugalfl.agents.learning.run_folder import load_scheduler

    ours, theirs = frugalfl.load_scheduler("tiny-ppo"), load_scheduler(run)
    assert (ours.name, ours.decision) == ("tiny-ppo", theirs.decision)
    a, b = plan_of(ours, 24), plan_of(theirs, 24)
    for name in ("local_steps", "transfer_samples", "quorum", "wait_s"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_the_weights_fit_any_number_of_clients(zoo):
    for clients in (5, 240):
        plan = plan_of(frugalfl.load_scheduler("tiny-ppo", "volunteers", clients=clients), clients)
        assert plan.local_steps.shape == (3, clients)


def test_the_card_tells_where_it_comes_from(run, zoo):
    card = read_card(zoo / "tiny-ppo")
    config = json.loads((run / "config.json").read_text())
    assert card.settings == config["settings"]
    assert card.command.startswith("python train_agent.py --timesteps=256")
    assert card.git == card.test["git"] == config["git"]
    assert card.curve[-1]["rounds_trained"] == 256
    assert {row["scheduler"] for row in card.test["table"]} == {"ppo", "random-m"}
    assert card.test["paired"]["rival"] == "random-m"
    page = (zoo / "tiny-ppo" / "README.md").read_text()
    assert 'frugalfl.load_scheduler("tiny-ppo")' in page
    assert "random-m (handcrafted)" in page
    assert "## Training curve" in page


def test_a_card_names_the_scenario_of_a_run_and_no_folder_of_who_trained_it(run, tmp_path):
    copy, scenario = tmp_path / "copy", tmp_path / "mine.yaml"
    shutil.copytree(run, copy)
    scenario.write_text("base: volunteers\nname: mine\n", encoding="utf-8")
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["settings"]["world"] = {**config["settings"]["world"], "scenario": str(scenario)}
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    card = read_card(export_run(copy, "mine-ppo", tmp_path / "zoo"))
    assert (card.scenario, card.settings["world"]["scenario"]) == ("mine", "mine.yaml")
    assert str(tmp_path) not in json.dumps(card.to_json())


def test_nothing_but_numbers_and_text_is_shipped(zoo):
    names = {path.name for path in (zoo / "tiny-ppo").iterdir()}
    assert names == {"weights.safetensors", "card.json", "README.md"}
    assert all(
        tensor.dtype == th.float32 for tensor in load_file(zoo / "tiny-ppo/weights.safetensors").values()
    )


def test_it_is_found_by_name_and_by_folder_wherever_schedulers_are_named(zoo, tmp_path):
    assert is_shipped("tiny-ppo")
    assert make_player("tiny-ppo", "volunteers").name == "tiny-ppo"
    assert make_player("tiny-ppo", "volunteers", decision="mode").decision == "mode"
    scenario = load_scenario("volunteers", clients=7, name="mine")
    folder = str(zoo / "tiny-ppo")
    assert name_players(["tiny-ppo,random-m"]) == {"tiny-ppo": "tiny-ppo", "random-m": "random-m"}
    for source in ("tiny-ppo", folder):
        player = make_player(source, scenario)
        assert plan_of(player, 7).local_steps.shape == (3, 7)
        assert describe(source, player)["sha256"] == read_card(zoo / "tiny-ppo").weights_sha256[:16]


def test_exporting_again_replaces_and_the_command_says_where(run, tmp_path, capsys):
    for _ in range(2):
        assert export_main([str(run), "--name", "mine", "--into", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {tmp_path / 'mine'}"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_the_card_can_tell_the_figures_of_a_larger_evaluation(run, tmp_path):
    out = tmp_path / "evaluation"
    arguments = ["--schedulers", f"s0={run}", "random-m", "never", "--episodes", "2", "--jobs", "1"]
    assert evaluate_main([*arguments, "--out", str(out)]) == 0
    card = read_card(export_run(run, "mine", tmp_path, out, "s0"))
    assert {row["scheduler"] for row in card.test["table"]} == {"mine", "random-m", "never"}
    assert card.test["episodes"] == 2
    assert "frugalfl evaluate" in card.test["command"]
    config = json.loads((out / "config.json").read_text())
    assert card.test["git"] == config["git"] == git_version()
    for found, told in (({"git": "0123456789ab"}, "0123456789ab"), ({}, git_version())):
        kept = {name: value for name, value in config.items() if name != "git"}
        (out / "config.json").write_text(json.dumps(kept | found))  # played long ago; before it was recorded
        assert read_card(export_run(run, "mine", tmp_path, out, "s0")).test["git"] == told
    refused(lambda: export_run(run, "mine", tmp_path, out, "s1"), "'s1'", "random-m")


def refused(action, *words):
    with pytest.raises(ValueError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_unknown_names_are_refused_with_a_suggestion(zoo):
    refused(lambda: frugalfl.load_scheduler("tiny-pp"), "did you mean 'tiny-ppo'?")
    refused(lambda: make_player("tiny-pp", "volunteers"), "did you mean 'tiny-ppo'?")
    refused(lambda: frugalfl.load_scheduler("no/such/folder"), "no/such/folder")
    refused(lambda: make_player("tiny-ppo", "volunteers", knob=1), "'knob'")


@pytest.mark.parametrize(
    "elsewhere",
    [
        load_scenario("phones", clients=30),
        load_scenario("volunteers", levels={"local_steps": [0, 7], "wait_s": [0, 60, float("inf")]}),
        load_scenario("volunteers", forecasting={"carbon_leads_s": [5000.0], "availability_leads_s": [60.0]}),
        load_scenario("quadratic"),
        load_scenario("mixture"),
    ],
    ids=["nothing to send", "another menu", "other forecasts", "quadratics", "a mixture"],
)
def test_it_plays_anywhere_by_its_own_menu_and_its_own_leads(run, zoo, elsewhere):
    home = load_scenario("volunteers").levels
    for source in ("tiny-ppo", str(run)):
        player = make_player(source, elsewhere)
        plan = plan_of(player, elsewhere.clients, elsewhere)
        assert set(np.unique(plan.local_steps)) <= set(home.local_steps)
        assert set(np.unique(plan.wait_s)) <= set(home.wait_s)
        if elsewhere.hub.share == 0:
            assert not plan.transfer_samples.any()


def test_a_card_that_contradicts_itself_is_refused(zoo):
    spoil(zoo / "tiny-ppo", lambda d: d["choices"].update(local_steps=2))
    refused(lambda: frugalfl.load_scheduler("tiny-ppo"), "tiny-ppo", "local_steps", "export it anew")
    spoil(zoo / "tiny-ppo", lambda d: d["home"].update(levels=3))
    refused(lambda: frugalfl.load_scheduler("tiny-ppo"), "tiny-ppo", "home: levels: 3")


def spoil(folder, change):
    path = folder / "card.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "weights.safetensors").write_bytes(b"junk"), ["weights.safetensors", "damaged"]),
        (lambda f: (f / "weights.safetensors").unlink(), ["weights.safetensors", "No such file"]),
        (lambda f: (f / "card.json").write_text("[1]"), ["card.json", "JSON object"]),
        (lambda f: (f / "card.json").write_text("{"), ["card.json", "not JSON"]),
        (lambda f: spoil(f, lambda d: d.update(format="other")), ["card.json", "not the card"]),
        (lambda f: spoil(f, lambda d: d.pop("policy")), ["card.json", "policy: "]),
        (lambda f: spoil(f, lambda d: d.update(policy=3)), ["card.json", "policy: "]),
        (lambda f: spoil(f, lambda d: d.update(extra=3)), ["card.json", "extra: "]),
        (lambda f: spoil(f, lambda d: d["policy"].update(hidden=16)), ["weights.safetensors", "not weights"]),
        (lambda f: spoil(f, lambda d: d["policy"].update(odd=16)), ["weights.safetensors", "odd"]),
        (lambda f: spoil(f, lambda d: d["features"].update(clients=["x"])), ["clients features"]),
    ],
)
def test_damaged_and_foreign_files_are_refused_in_one_line(zoo, damage, words):
    damage(zoo / "tiny-ppo")
    refused(lambda: frugalfl.load_scheduler(zoo / "tiny-ppo"), *words)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\xff" * 64])
def test_bytes_that_are_no_tensors_are_refused_even_with_a_fitting_checksum(zoo, content):
    path = zoo / "tiny-ppo/weights.safetensors"
    path.write_bytes(content)
    spoil(zoo / "tiny-ppo", lambda d: d.update(weights_sha256=sha256(path)))
    refused(lambda: frugalfl.load_scheduler("tiny-ppo"), "not weights")


def test_weights_of_a_version_with_fewer_features_go_on_seeing_those(zoo):
    folder = zoo / "tiny-ppo"
    card = read_card(folder)
    columns = {part: names[:-2] for part, names in card.features.items() if part != "zones"}
    world = load_scenario("volunteers")
    space, actions = ObservationEncoder(world, columns).space, layout_of(world).space
    save_file(
        SetActorCriticPolicy(space, actions, lambda _: 0.0, **card.policy).state_dict(), folder / WEIGHTS
    )
    spoil(folder, lambda d: d["features"].update(columns))
    spoil(folder, lambda d: d.update(weights_sha256=sha256(folder / WEIGHTS)))
    plan = plan_of(frugalfl.load_scheduler("tiny-ppo"), 24)
    assert plan.local_steps.shape == (3, 24)


def test_weights_of_another_network_are_refused(zoo):
    path = zoo / "tiny-ppo/weights.safetensors"
    save_file({"x": th.zeros(2)}, path)
    spoil(zoo / "tiny-ppo", lambda d: d.update(weights_sha256=sha256(path)))
    refused(lambda: frugalfl.load_scheduler("tiny-ppo"), "not weights")


def test_training_can_begin_with_the_weights_of_another_number_of_clients(run, zoo, tmp_path):
    from frugalfl.agents.commands.train import Arguments
    from frugalfl.agents.experiment.main_job import Experiment
    from frugalfl.agents.learning import PolicySettings

    theirs = load_file(zoo / "tiny-ppo/weights.safetensors")
    for source in (str(run), "tiny-ppo", str(zoo / "tiny-ppo")):
        small = Arguments(num_envs=2, clients=6, warm_start=source, policy=PolicySettings(hidden=8))
        experiment = Experiment(small.settings(), tmp_path / "next", rivals=["none"])
        experiment.warm_start(experiment.run.model)
        ours = experiment.run.model.policy.state_dict()
        assert all(th.equal(ours[name], theirs[name]) for name in theirs)
        assert experiment.rounds_spent == 256  # of the first training, none of its own yet
    wide = Arguments(num_envs=2, warm_start=str(run), policy=PolicySettings(hidden=16)).settings()
    experiment = Experiment(wide, tmp_path / "wide", rivals=["none"])
    refused(lambda: experiment.warm_start(experiment.run.model), "warm_start", "do not fit")


def test_unfinished_runs_and_odd_names_are_not_exported(run, tmp_path):
    refused(lambda: export_run(tmp_path, "x", tmp_path / "zoo"), "config.json")
    refused(lambda: export_run(run, "../x", tmp_path / "zoo"), "name", "../x")
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "model.pt").unlink()
    refused(lambda: export_run(copy, "x", tmp_path / "zoo"), "model.pt")
    assert not list(tmp_path.glob("zoo/*"))


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_scheduler_loads_in_its_world_and_says_how_it_was_made(name):
    card = read_card(loading.HOME / name)
    player = frugalfl.load_scheduler(name)
    world = load_any(card.scenario)
    if isinstance(world, ServingScenario):
        first = next(rollout(ServingWorld(world, 3), player, np.arange(3)))
        assert first.plan.load.shape == (3, world.slots) and (first.plan.load > 0).any()
    else:
        assert plan_of(player, world.clients, card.scenario).local_steps.shape == (3, world.clients)
    assert card.command
    assert card.git
    assert card.test["table"]
    assert (loading.HOME / name / "README.md").is_file()
    assert sum(path.stat().st_size for path in Path(loading.HOME / name).iterdir()) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_scheduler_plays_as_it_did(name):
    """The first of the card's episodes, one by one; `first_episodes.json` has what they came to."""
    card = read_card(loading.HOME / name)
    both = [name, card.test["paired"]["rival"]]
    stored = FIRST_EPISODES.get(name, {})
    assert list(stored) == both, f"expected net points of evaluate({both}, ..., {EPISODES}) in the file"
    result = evaluate(both, card.scenario, EPISODES, progress=False)
    for player, points in stored.items():  # other machines round differently, which moves single episodes
        apart = result.values(player) - points
        assert np.median(np.abs(apart)) < 1.0 and abs(apart.mean()) < 2.0, player


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_scheduler_still_reaches_what_its_card_says(name):
    card = read_card(loading.HOME / name)
    told, paired = {row["scheduler"]: row for row in card.test["table"]}, card.test["paired"]
    rival = paired["rival"]
    result = evaluate([name, rival], card.scenario, card.test["episodes"], progress=False)
    for player in (name, rival):  # other machines round differently, which moves single episodes
        assert interquartile_mean(result.values(player)) == pytest.approx(
            told[player]["net_points"][0], abs=1.5
        )
    ahead = float(np.mean(result.values(name) - result.values(rival)))
    assert ahead == pytest.approx(paired["difference"], abs=1.5)
