"""A recording is a whole data set of Minari's or none, and imitation learns from it as from a scheduler."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_worlds import FOLDER

from frugalfl.agents.commands.record import main
from frugalfl.agents.experiment.main_job import Experiment
from frugalfl.agents.learning import PolicySettings, RunSettings
from frugalfl.agents.learning.algorithms import build_model
from frugalfl.agents.learning.imitation import CloneSettings, clone, clone_shown
from frugalfl.agents.offline import read_dataset, record, seeds_of
from frugalfl.agents.offline.demonstrations import read_demonstrations
from frugalfl.agents.offline.recording import RecordOptions
from frugalfl.envs.registration import make_vec_env
from frugalfl.schedulers import make_scheduler

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def small_world(tmp_path_factory):
    """A world of one's own, in a file that is gone when the data set is replayed."""
    path = tmp_path_factory.mktemp("worlds") / "small.yaml"
    base = FOLDER / "volunteers.yaml"
    path.write_text(f"base: {base}\nname: small\nclients: 6\nmax_rounds: 4\n")
    return str(path)


@pytest.fixture(scope="module", params=["levels", "discrete", "scores"])
def written(request, small_world, tmp_path_factory):
    out = tmp_path_factory.mktemp("offline") / f"small-{request.param}-v3"
    options = RecordOptions(out, "random-m", small_world, 5, action=request.param, batch=2, author="me")
    return out, record(options, "0123abc")


def test_minari_loads_it_and_its_environment_pays_the_same_rewards(written, monkeypatch):
    out, summary = written
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(out.parent))
    dataset = minari.load_dataset(out.name)
    assert dataset.id == summary.dataset == out.name
    assert (dataset.total_episodes, dataset.total_steps) == (5, summary.decisions)
    env, points = dataset.recover_environment(), []
    assert env.action_space == dataset.action_space and env.observation_space == dataset.observation_space
    for episode, seed in zip(dataset.iterate_episodes(), seeds_of(dataset), strict=True):
        env.reset(seed=seed)
        rewards = []
        for action in episode.actions:
            _, reward, terminated, truncated, _ = env.step(action)
            rewards.append(reward)
        assert np.array(rewards).tobytes() == episode.rewards.tobytes()
        assert (terminated, truncated) == (episode.terminations[-1], episode.truncations[-1])
        assert not episode.terminations[:-1].any() and not episode.truncations[:-1].any()
        np.testing.assert_allclose(episode.infos["reward_terms"].sum(axis=1)[1:], episode.rewards)
        assert env.observation_space.contains({name: rows[-1] for name, rows in episode.observations.items()})
        points.append(sum(rewards))
    assert summary.net_points == pytest.approx(np.mean(points))


def test_it_says_where_it_comes_from(written):
    out, _ = written
    told = json.loads((out / "data" / "metadata.json").read_text())
    assert told["algorithm_name"] == "random-m" and told["author"] == ["me"]
    assert "0123abc" in told["code_permalink"]
    assert told["frugalfl"]["scenario"]["clients"] == 6
    assert json.loads(told["eval_env_spec"])["kwargs"]["split"] == "val"


def test_reference_scores_are_those_of_nothing_and_of_hindsight(tmp_path, small_world, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = Path("deep", "small-v0")  # where it lies relative to the working folder must not matter
    summary = record(RecordOptions(out, "clairvoyant", small_world, 2, reference_episodes=2))
    assert summary.net_points > 0  # who looks ahead is recorded as well
    dataset = read_dataset(out)
    assert minari.get_normalized_score(dataset, np.array([0.0]))[0] == 0
    best = dataset.storage.metadata["ref_max_score"]
    assert best > 0 == dataset.storage.metadata["ref_min_score"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--out", "x", "--scheduler", "random-m"], "out: 'x', expected .*-v0"),
        (["--out", "there-v0", "--scheduler", "random-m"], "out: there-v0 is there already"),
        (["--out", "x-v0", "--scheduler", "randm"], "scheduler: 'randm' is unknown"),
        (["--out", "x-v0", "--scheduler", "random-m", "--episodes", "0"], "episodes: 0, expected at least 1"),
        (
            ["--out", "x-v0", "--scheduler", "random-m", "--env", "frugalfl/mo-Quadratic-v0"],
            "vector reward; use 'frugalfl/Quadratic-v0'",
        ),
    ],
)
def test_bad_orders_are_refused_before_anything_is_played(options, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there-v0").mkdir()
    assert main(options) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(complaint, said), said
    assert [path.name for path in tmp_path.iterdir()] == ["there-v0"]


def test_a_recording_that_is_stopped_leaves_nothing(tmp_path, small_world):
    out = tmp_path / "small-v0"
    seen = []

    def stop(done):
        seen.append([path.name for path in tmp_path.iterdir()])
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(RecordOptions(out, "random-m", small_world, 6, batch=1), progress=stop)
    assert all(name.startswith(".draft-") for names in seen for name in names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_recording_leaves_a_draft_that_the_next_one_removes(tmp_path, small_world):
    out = tmp_path / "small-v0"
    command = [sys.executable, "-m", "frugalfl.agents.commands.main", "record", "--scheduler", "random-m"]
    command += ["--env", small_world, "--episodes", "100000", "--out", str(out)]
    with subprocess.Popen(command) as process:
        until = time.monotonic() + 120
        while not any(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert [path.name.startswith(".draft-") for path in tmp_path.iterdir()] == [True]
    record(RecordOptions(out, "random-m", small_world, 1))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


class TestCloning:
    HOME = FOLDER / "volunteers.yaml"

    def model(self, worlds):
        settings = RunSettings(algo="ppo", num_envs=8, policy=PolicySettings(hidden=32))
        return build_model(settings, worlds)

    def test_from_a_file_is_as_good_as_from_the_scheduler(self, tmp_path):
        changes = {"scenario": str(self.HOME), "clients": 8, "max_rounds": 6}
        document = tmp_path / "home.yaml"
        document.write_text(f"base: {self.HOME}\nname: home\nclients: 8\nmax_rounds: 6\n")
        worlds = make_vec_env("frugalfl/Volunteers-v0", 8, **changes)
        out = tmp_path / "home-v0"
        summary = record(RecordOptions(out, "fastest-m", str(document), 120))
        teacher = make_scheduler("fastest-m", "home")
        how = CloneSettings(summary.decisions, batch_size=64, passes=12)
        played = clone(self.model(worlds), worlds, teacher, how)
        shown = read_demonstrations(out, worlds.observation_space, worlds.action_space)
        read = clone_shown(self.model(worlds), shown, how)
        assert read.demonstrations == summary.decisions
        assert played.agreement > 0.75
        assert read.agreement == pytest.approx(played.agreement, abs=0.1)
        assert read.net_points == pytest.approx(played.net_points, abs=5)

    def test_another_world_is_refused(self, written):
        out, _ = written
        worlds = make_vec_env("frugalfl/Quadratic-v0", 2)
        with pytest.raises(ValueError, match=r"observations of .*record in the world to learn in"):
            read_demonstrations(out, worlds.observation_space, worlds.action_space)
        with pytest.raises(ValueError, match="no data set"):
            read_demonstrations(out / "data", worlds.observation_space, worlds.action_space)

    def test_a_run_begins_with_what_was_recorded(self, tmp_path, small_world):
        out = tmp_path / "small-v0"
        summary = record(RecordOptions(out, "fastest-m", small_world, 6))
        settings = RunSettings(
            num_envs=2, warm_start=str(out), world={"scenario": small_world}, policy=PolicySettings(hidden=16)
        )
        experiment = Experiment(settings, tmp_path / "run", rivals=("none",))
        experiment.warm_start(experiment.run.model)
        assert experiment.run.notes["warm_start"]["demonstrations"] == summary.decisions
        assert experiment.rounds_spent == summary.decisions
        with pytest.raises(ValueError, match=r"warm_start: .*expected 'none'"):
            Experiment(replace(settings, algo="sac", env="frugalfl/Volunteers-scores-v0"), tmp_path / "other")
