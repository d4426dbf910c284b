"""The command `train_agent.py`: it does the whole job, and refuses bad input in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

import frugalfl
from frugalfl.agents.commands.running import parse_options
from frugalfl.agents.commands.train import Arguments
from frugalfl.agents.learning.run_folder import load_scheduler
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.train_agent import main

ROOT = Path(frugalfl.__file__).parent
SMALL = [
    "--timesteps=256",
    "--num-envs=4",
    "--eval-episodes=4",
    "--policy.hidden=8",
    "--ppo.rollout-steps=16",
    "--ppo.epochs=1",
    "--clients=6",
    "--rivals",
    "random-m",
    "mpc",
]


def run(*arguments, **kwargs):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300, **kwargs
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run of the whole job, in a world of short episodes."""
    folder = tmp_path_factory.mktemp("runs")
    scenario = folder / "short.yaml"
    scenario.write_text("base: volunteers\nname: short\nmax_rounds: 6\n")
    out = folder / "tiny"
    assert main([*SMALL, f"--scenario={scenario}", f"--out={out}"]) == 0
    return out


def test_the_whole_job_leaves_model_config_table_and_report(finished):
    names = {path.name for path in finished.iterdir()}
    wanted = {
        "model.pt",
        "config.json",
        "evaluation.csv",
        "report.md",
        "report.html",
        "training.csv",
        "checkpoints",
    }
    assert wanted <= names
    assert list(finished.glob("*.png"))
    assert list(finished.glob("tensorboard/events*"))
    table = pd.read_csv(finished / "evaluation.csv")
    assert set(table["scheduler"]) == {"ppo", "random-m", "mpc"}
    assert set(table.groupby("scheduler")["episode"].count()) == {4}
    seeds = table.groupby("episode")["seed"].nunique()
    assert (seeds == 1).all(), "every scheduler plays the same episodes"
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["world"] == {"clients": 6, "scenario": str(finished.parent / "short.yaml")}
    assert config["rounds_trained"] == 256
    assert "python train_agent.py" in (finished / "report.md").read_text()


def test_the_learned_scheduler_can_be_loaded_for_another_number_of_clients(finished):
    import numpy as np

    from frugalfl.envs.scenario import load_scenario
    from frugalfl.envs.world import FederatedWorld

    for clients in (6, 15):
        scenario = load_scenario("volunteers", clients=clients)
        player = load_scheduler(finished, scenario)
        world = FederatedWorld(scenario, 3, "test")
        everyone, seeds = np.ones(3, dtype=bool), np.arange(3)
        world.reset(everyone, seeds)
        player.reset(everyone, seeds, clients)
        plan = player.plan(world.situation()).validate(3, clients)
        assert plan.local_steps.shape == (3, clients)
    with pytest.raises(ValueError, match=r"config.json: No such file"):
        load_scheduler(finished / "nowhere")


def test_resuming_a_finished_run_goes_straight_to_the_comparison(finished, capsys):
    before = (finished / "model.pt").read_bytes()
    assert main(["--resume", f"--out={finished}", "--eval-episodes=2"]) == 0
    assert (finished / "model.pt").read_bytes() == before
    assert len(pd.read_csv(finished / "evaluation.csv").query("scheduler == 'ppo'")) == 2


BAD = {
    "unknown id": (
        ["--env=frugalfl/Volunters-v0"],
        r"'frugalfl/Volunters-v0'.*did you mean 'frugalfl/Volunteers-v0'",
    ),
    "unknown algorithm": (["--algo=reinforce"], "algo: 'reinforce', expected one of ppo"),
    "dqn on levels": (["--algo=dqn"], "use --env frugalfl/Volunteers-discrete-v0"),
    "sac on levels": (["--algo=sac"], "use --env frugalfl/Volunteers-scores-v0"),
    "vector reward": (
        ["--env=frugalfl/mo-Volunteers-v0"],
        "vector reward; use 'frugalfl/Volunteers-v0'",
    ),
    "no clients": (["--clients=0"], "clients.*0"),
    "no environments": (["--num-envs=0"], "num_envs: 0, expected at least 1"),
    "negative price": (["--reward.price-per-kg=-2"], "reward.price-per-kg: -2.0, expected"),
    "price not a number": (["--reward.price-per-kg=nan"], "reward.price-per-kg: nan, expected"),
    "negative learning rate": (["--ppo.learning-rate=-1"], "ppo.learning-rate: -1.0, expected a positive"),
    "no episodes": (["--eval-episodes=0"], "eval_episodes: 0, expected at least 1"),
    "unknown teacher": (["--warm-start=drift-plus-penalti"], "did you mean 'drift-plus-penalty'"),
    "teacher of a menu": (
        ["--env=frugalfl/Volunteers-discrete-v0", "--algo=dqn", "--warm-start=best"],
        "warm_start: 'best' with algo 'dqn'.*expected 'none'",
    ),
    "no such device": (["--device=abacus"], "device: 'abacus'"),
    "not a number": (["--timesteps=many"], "--timesteps.*'many'"),
    "unknown option": (["--timestep=3"], "--timestep"),
    "missing scenario": (["--scenario=nowhere.yaml"], "nowhere.yaml"),
    "missing availability": (["--availability=nowhere.csv"], "nowhere.csv"),
    "missing carbon": (["--carbon=nowhere.csv"], "nowhere.csv"),
    "resume without out": (["--resume"], "out: missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_code_2_and_writes_nothing(case, tmp_path, monkeypatch, capsys):
    arguments, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, *([] if "--resume" in arguments else ["--out=run"])]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("frugalfl train: ")
    import re

    assert re.search(message, captured.err), captured.err
    assert not list(tmp_path.iterdir())


def test_the_best_teacher_is_the_one_tuned_best_in_this_world(tmp_path):
    from dataclasses import replace

    from frugalfl.agents.experiment.main_job import Experiment
    from frugalfl.agents.schedulers import tuned_file

    settings = replace(Arguments(num_envs=2, clients=6, warm_start="best").settings(), val_episodes=2)
    tuned = tuned_file("volunteers")["schedulers"]
    scores = {name: tuned[name]["score"] for name in tuned if make_scheduler(name).kind == "handcrafted"}
    experiment = Experiment(settings, tmp_path / "run")
    assert scores[experiment.teacher.name] == max(scores.values())
    assert not (tmp_path / "run").exists()


def test_rivals_are_the_strongest_and_the_yardsticks(tmp_path):
    from dataclasses import replace

    from frugalfl.agents.experiment.main_job import Experiment
    from frugalfl.agents.schedulers import strongest

    settings = replace(Arguments(num_envs=2, clients=6).settings(), val_episodes=2)
    rivals = list(Experiment(settings, tmp_path / "run").rivals)
    assert rivals[:10] == strongest("volunteers", 10)
    assert {"random-m", "clairvoyant"} <= set(rivals)
    assert Experiment(settings, tmp_path / "run", rivals=["none"]).rivals == {}
    assert len(Experiment(settings, tmp_path / "run", rivals=["all"]).rivals) == len(SCHEDULERS.names())


def test_malformed_traces_name_file_and_line(tmp_path, capsys):
    bad = tmp_path / "zone.csv"
    bad.write_text("Datetime (UTC),Carbon intensity gCO₂eq/kWh (direct)\n2023-01-01 00:00:00,much\n")
    assert main([f"--carbon={bad}", f"--out={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert "zone.csv" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_is_not_overwritten(finished, capsys):
    assert main([*SMALL, f"--out={finished}"]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_resuming_refuses_other_settings_and_damaged_checkpoints(finished, tmp_path, capsys):
    assert main(["--resume", f"--out={finished}", "--seed=4"]) == 2
    assert "seed: 4 is not the run's 0; leave it out to resume" in capsys.readouterr().err
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    for state in copy.glob("checkpoints/step-*/state.pt"):
        state.write_bytes(b"rubbish")
    assert main(["--resume", f"--out={copy}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "state.pt: missing or damaged" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_run_of_a_machine_with_cuda_plays_and_goes_on_where_there_is_none(finished, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    config = json.loads((copy / "config.json").read_text())
    config["settings"]["device"] = "cuda"
    (copy / "config.json").write_text(json.dumps(config))
    assert str(load_scheduler(copy).policy.device) == "cpu"
    assert main(["--resume", f"--out={copy}"]) == 2
    assert "device: 'cuda' cannot be used here" in capsys.readouterr().err
    assert main(["--resume", f"--out={copy}", "--device=cpu", "--eval-episodes=2"]) == 0


def test_the_default_folder_is_the_first_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = Arguments().folder()
    assert first == Path("runs/Volunteers-v0-ppo-seed0")
    first.mkdir(parents=True)
    assert Arguments().folder() == Path("runs/Volunteers-v0-ppo-seed0-2")
    assert Arguments(out=Path("here")).folder() == Path("here")


def test_carbon_may_be_given_several_times_and_prices_reach_the_world():
    given = ["--carbon=DE", "--carbon=FR", "--reward.price-per-hour=2"]
    arguments = parse_options(Arguments, "train", given)
    world = arguments.settings().world
    assert world == {"carbon": ["DE", "FR"], "preferences": {"price_per_hour": 2.0}}


@pytest.mark.parametrize("command", [["train_agent.py"], ["-m", "frugalfl.train_agent"]])
def test_help_is_there_both_ways(command):
    page = run(*command, "--help", cwd=ROOT)
    assert page.returncode == 0, page.stderr
    for option in ("--env", "--algo", "--timesteps", "--reward.price-per-hour", "--resume", "--carbon"):
        assert option in page.stdout
    assert "python train_agent.py --resume --out" in page.stdout


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_end_is_the_same(tmp_path):
    scenario = tmp_path / "short.yaml"
    scenario.write_text("base: volunteers\nname: short\nmax_rounds: 6\n")
    options = [*SMALL, f"--scenario={scenario}", "--timesteps=1600"]
    out = tmp_path / "run"
    command = [sys.executable, "-m", "frugalfl.train_agent", *options, f"--out={out}"]
    victim = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not any((out / "checkpoints").glob("step-*[1-9]*")):  # one after the first rounds
        time.sleep(0.1)
        assert victim.poll() is None
    victim.send_signal(signal.SIGINT)
    _, said = victim.communicate(timeout=60)
    assert victim.returncode == 130, said
    assert f"Go on with: python train_agent.py --resume --out {out}" in said
    assert run("-m", "frugalfl.train_agent", "--resume", f"--out={out}", "--eval-episodes=2").returncode == 0
    whole = tmp_path / "whole"
    assert run("-m", "frugalfl.train_agent", *options, f"--out={whole}", "--eval-episodes=2").returncode == 0
    from frugalfl.agents.learning.checkpoint import load_tensors

    one, two = load_tensors(out / "model.pt", "cpu"), load_tensors(whole / "model.pt", "cpu")
    assert all((one[key] == two[key]).all() for key in one)


def test_the_resume_command_keeps_the_number_of_episodes(tmp_path):
    from frugalfl.agents.experiment.main_job import resume_command

    assert "--eval-episodes" not in resume_command(tmp_path)
    assert resume_command(tmp_path, 8).endswith(f"--out {tmp_path} --eval-episodes 8")
