"""Cells in other processes come to exactly what one process comes to; a crash costs its scheduler only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from frugalfl.agents.commands.benchmark import main as benchmark_main
from frugalfl.agents.commands.evaluate import main as evaluate_main
from frugalfl.agents.evaluation import CELLS, Study, evaluate, load_result, parallel, processor, sweep
from frugalfl.agents.execution import Landed, hold_folder, make_engine
from frugalfl.agents.experiment.main_job import Experiment
from frugalfl.agents.learning import RunSettings
from frugalfl.agents.learning.run_folder import load_scheduler
from frugalfl.agents.players import name_players, scenario_of
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario

HERE = Path(__file__).parents[1]
NAMES = ["clairvoyant", "random-m", "never"]


class InProcess:
    """An engine for tests that need no other process; counts what it is asked to play."""

    def __init__(self, stop_after=None):
        self.played, self.stop_after = [], stop_after

    def run(self, function, work):
        for key, arguments in work.items():
            if self.stop_after is not None and len(self.played) >= self.stop_after:
                raise KeyboardInterrupt
            self.played.append(key)
            yield Landed(key, function(*arguments))


@pytest.fixture(scope="module")
def study():
    return Study(load_scenario("volunteers", max_rounds=4, name="short"), "val", episodes=3, batch=2)


@pytest.fixture(scope="module")
def plain_result(study):
    return evaluate(NAMES, study.scenario, episodes=3, split="val", batch=3, progress=False)


@pytest.fixture
def own(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def ended(process):
    """Whether a process is gone within some seconds."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def flip(path):
    """One bit of a file that zlib unpacks."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def same(ours, theirs):
    columns = [name for name in theirs.episodes.columns if name != "decision_ms"]
    pd.testing.assert_frame_equal(ours.episodes[columns], theirs.episodes[columns], check_exact=True)
    pd.testing.assert_frame_equal(ours.curves, theirs.curves, check_exact=True)
    assert set(ours.timelines) == set(theirs.timelines)
    assert ours.zones == theirs.zones


class TestSweep:
    def test_processes_come_to_what_evaluate_comes_to(self, study, plain_result, tmp_path):
        with make_engine("local", jobs=2) as engine:
            outcome = sweep(study, name_players(NAMES), tmp_path / "out", engine)
        assert outcome.failures == {}
        assert outcome.played == 5  # the ceiling looks at all episodes at once, the others two at a time
        same(outcome.result, plain_result)
        same(load_result(tmp_path / "out"), plain_result)

    def test_a_stopped_sweep_plays_only_what_is_missing(self, study, plain_result, tmp_path):
        players = name_players(NAMES)
        with pytest.raises(KeyboardInterrupt):
            sweep(study, players, tmp_path / "out", InProcess(stop_after=2))
        assert len(list((tmp_path / "out" / CELLS).iterdir())) == 2
        rest, told = InProcess(), []
        outcome = sweep(study, players, tmp_path / "out", rest, done=told.append)
        assert len(rest.played) == outcome.played == 3
        assert sum(cell.stop - cell.first for cell in told) == 9
        same(outcome.result, plain_result)
        again = InProcess()
        same(sweep(study, players, tmp_path / "out", again).result, plain_result)
        assert again.played == []

    def test_the_result_names_every_commit_that_has_played(self, study, tmp_path, monkeypatch):
        players, out = name_players(NAMES), tmp_path / "out"

        def play(commit, stop_after=None):
            monkeypatch.setattr(parallel, "git_version", lambda: commit)
            if stop_after is None:
                return sweep(study, players, out, InProcess()).result.config
            with pytest.raises(KeyboardInterrupt):
                sweep(study, players, out, InProcess(stop_after))
            return json.loads((out / "config.json").read_text())

        assert play("aaa", stop_after=0)["git"] == "aaa"
        assert play("bbb", stop_after=2)["git"] == "bbb"  # nothing that the first has played is there
        assert play("ccc", stop_after=2)["git"] == "bbb, ccc"
        assert play("ddd")["git"] == "bbb, ccc, ddd"
        assert play("eee")["git"] == "bbb, ccc, ddd"  # it played nothing
        assert load_result(out).config["git"] == "bbb, ccc, ddd"

    def test_nobody_signs_for_cells_whose_commit_is_unknown(self, study, tmp_path):
        players, out = name_players(NAMES), tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            sweep(study, players, out, InProcess(stop_after=2))
        config = json.loads((out / "config.json").read_text())
        del config["git"]  # as in a folder of before it was recorded
        (out / "config.json").write_text(json.dumps(config))
        assert "git" not in sweep(study, players, out, InProcess()).result.config

    def test_half_a_cell_is_played_again(self, study, tmp_path):
        players = name_players(["random-m"])
        sweep(study, players, tmp_path / "out", InProcess())
        broken = next((tmp_path / "out" / CELLS).iterdir())
        (broken / "curves.csv").unlink()
        engine = InProcess()
        sweep(study, players, tmp_path / "out", engine)
        assert engine.played == [broken.name]

    @pytest.mark.parametrize(
        ("changes", "players", "message"),
        [
            ({"episodes": 4}, ["never"], "another episodes 3, not 4"),
            ({"seed": 1}, ["never"], "another seed 0, not 1"),
            ({"split": "test"}, ["never"], "another split 'val', not 'test'"),
            ({}, ["never", "random-m"], r"another schedulers \['never'\], not"),
            (
                {"scenario": load_scenario("volunteers", max_rounds=5, name="short")},
                ["never"],
                "max_rounds: 4",
            ),
        ],
    )
    def test_a_folder_of_another_evaluation_is_refused(self, study, tmp_path, changes, players, message):
        sweep(study, name_players(["never"]), tmp_path / "out", InProcess())
        with pytest.raises(ValueError, match=message) as error:
            sweep(replace(study, **changes), name_players(players), tmp_path / "out", InProcess())
        assert "\n" not in str(error.value)

    def test_a_folder_of_something_else_is_refused(self, study, tmp_path):
        (tmp_path / "thesis.tex").touch()
        with pytest.raises(ValueError, match="holds something else"):
            sweep(study, name_players(["never"]), tmp_path, InProcess())

    @pytest.mark.slow
    def test_crashes_are_reported_and_the_others_complete(self, study, own, tmp_path):
        players = name_players(["own_schedulers:Crashes", "dies=own_schedulers:Dies", "never"])
        with make_engine("local", jobs=2) as engine:
            outcome = sweep(study, players, tmp_path / "out", engine)
        assert list(outcome.result.kinds) == ["never"]
        assert outcome.failures["own_schedulers:Crashes, episodes 2 to 2"] == "RuntimeError: no luck"
        assert "exit code 9" in outcome.failures["dies, episodes 0 to 1"]
        assert json.loads((tmp_path / "out" / "failures.json").read_text()) == outcome.failures
        kept = [path.name for path in (tmp_path / "out" / CELLS).iterdir()]
        assert any(name.startswith("own_schedulers_Crashes") for name in kept)

    def test_the_scenario_written_down_is_the_one_played(self, study, tmp_path):
        sweep(study, name_players(["never"]), tmp_path / "out", InProcess())
        assert load_scenario(load_result(tmp_path / "out").config["scenario"]) == study.scenario


class TestPlayers:
    def test_all_and_lists_and_labels(self):
        assert "clairvoyant" in name_players(["all"])
        assert name_players(["never,random-m", "mine=own:Class"]) == {
            "never": "never",
            "random-m": "random-m",
            "mine": "own:Class",
        }

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([], "none given"),
            (["a=never", "a=random-m"], "names two players"),
            (["a:b", "a_b"], "LABEL=NAME"),
        ],
    )
    def test_bad_lists_are_refused(self, given, message):
        with pytest.raises(ValueError, match=message):
            name_players(given)

    def test_a_folder_that_is_no_run_is_refused(self, study, tmp_path):
        with pytest.raises(
            ValueError, match=r"config\.json: not there, expected the folder of a trained run"
        ):
            sweep(study, name_players([f"mine={tmp_path}"]), tmp_path / "out", InProcess())

    @pytest.mark.parametrize(
        ("env", "name"), [("frugalfl/Volunteers-v0", "volunteers"), ("phones", "phones")]
    )
    def test_worlds_by_id_and_name(self, env, name):
        assert scenario_of(env).name == name

    def test_unknown_worlds_are_refused(self):
        with pytest.raises(ValueError, match="did you mean 'frugalfl/Phones-v0'"):
            scenario_of("frugalfl/Phone-v0")


class TestCommand:
    @pytest.fixture
    def world(self, tmp_path):
        path = tmp_path / "small.yaml"
        path.write_text("base: volunteers\nname: small\nmax_rounds: 3\n")
        return str(path)

    def test_errors_are_one_line_and_exit_code_2(self, capsys, tmp_path, world):
        for arguments, message in (
            (["--episodes", "0"], "episodes: 0"),
            (["--schedulers", "randm-m"], "did you mean 'random-m'"),
            (["--env", "frugalfl/Nowhere-v0"], "'frugalfl/Nowhere-v0'"),
            (["--jobs", "0"], "jobs: 0"),
        ):
            assert evaluate_main(["--env", world, *arguments, "--out", str(tmp_path / "out")]) == 2
            told = capsys.readouterr().err
            assert message in told
            assert told.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_a_scheduler_of_ones_own_enters_the_table(self, capsys, own, tmp_path, world):
        players = ["--schedulers", "every-other=own_schedulers:EveryOther", "random-m", "--jobs", "1"]
        arguments = ["--env", world, *players, "--episodes", "3", "--out", str(tmp_path / "out")]
        assert evaluate_main(arguments) == 0
        assert "every-other" in capsys.readouterr().out
        result = load_result(tmp_path / "out")
        assert set(result.kinds) == {"every-other", "random-m"}
        assert result.config["command"].startswith("frugalfl evaluate --env")
        tables = {path.stem for path in (tmp_path / "out").glob("*.csv")}
        assert {"summary", "comparison", "at_budget", "to_target", "trade_offs", "profiles"} <= tables

    @pytest.mark.slow
    def test_a_crash_ends_in_exit_code_3_and_a_benchmark_goes_on(self, capsys, own, tmp_path, world):
        players = ["--schedulers", "own_schedulers:Dies", "never", "--episodes", "2", "--jobs", "1"]
        out = tmp_path / "bench"
        assert benchmark_main(["--envs", world, "quadratic", *players, "--out", str(out)]) == 3
        told = capsys.readouterr().err
        assert told.count("failed: own_schedulers:Dies, episodes 0 to 1: its process ended") == 2
        assert {path.name for path in out.iterdir()} == {"small", "quadratic"}
        assert list(load_result(out / "quadratic").kinds) == ["never"]

    @pytest.mark.skipif(os.name != "posix", reason="sends signals")
    @pytest.mark.parametrize(
        "number",
        [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM, signal.SIGKILL],
    )
    def test_a_signal_keeps_finished_cells_and_ends_the_workers(self, tmp_path, world, number):
        mark, out = tmp_path / "begun", tmp_path / "out"
        command = [sys.executable, "-m", "frugalfl.agents.commands.main", "evaluate", "--env", world]
        command += ["--schedulers", "never", "own_schedulers:Slow", "--jobs", "1", "--out", str(out)]
        path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**os.environ, "PYTHONPATH": path, "FRUGALFL_TEST_MARK": str(mark)}
        process = subprocess.Popen(
            [*command, "--episodes", "2"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        until = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, told = process.communicate(
            timeout=30
        )  # the worker, which holds the pipe too, would sleep for 60 s
        assert [path.name[:5] for path in (out / CELLS).iterdir()] == ["never"]
        assert "Traceback" not in told
        assert ended(int(mark.read_text()))
        if number == signal.SIGKILL:
            assert process.returncode == -number
            return
        assert process.returncode == 128 + number
        assert "Go on with: frugalfl evaluate" in told
        assert told.endswith(f"frugalfl evaluate: stopped ({number.name})\n")

    def test_two_commands_do_not_write_to_one_folder(self, capsys, tmp_path, world):
        out = tmp_path / "out"
        command = ["--env", world, "--schedulers", "never", "--episodes", "1", "--out", str(out)]
        with hold_folder(out):
            assert evaluate_main(command) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"frugalfl evaluate: out: {out} is in use by process {os.getpid()} on ")
        assert told.endswith("; wait until it ends, or choose another folder\n") and told.count("\n") == 1
        assert not out.exists()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda cell: (cell / "episodes.csv").write_text("scheduler,episode\nnever,5\n"),
            lambda cell: (cell / "curves.csv").write_bytes(b"\xff\x00,\n"),
            lambda cell: flip(cell / "timelines" / "never.npz"),
        ],
    )
    def test_a_damaged_cell_is_played_again(self, study, tmp_path, damage):
        play = InProcess()
        whole = sweep(study, name_players(["never"]), tmp_path / "out", play)
        (first,) = (tmp_path / "out" / CELLS).glob("*-00000-00002")
        damage(first)
        again = sweep(study, name_players(["never"]), tmp_path / "out", InProcess())
        assert again.played == 1
        same(again.result, whole.result)

    def test_a_folder_whose_beginning_was_killed_is_begun_anew(self, study, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / ".lock").write_text("process 1 on another machine (frugalfl evaluate)")
        (out / ".draft-999999999.config.json").write_text("{")
        assert sweep(study, name_players(["never"]), out, InProcess()).failures == {}
        assert not list(out.rglob(".*"))

    def test_another_processor_is_told(self, study, tmp_path):
        out = tmp_path / "out"
        sweep(study, name_players(["never"]), out, InProcess())
        config = json.loads((out / "config.json").read_text())
        assert config["processor"] == processor() != ""
        (out / "config.json").write_text(json.dumps({**config, "processor": "Z80"}))
        with pytest.warns(
            RuntimeWarning, match="begun with processor Z80, this is .*; last digits may differ"
        ):
            sweep(study, name_players(["never"]), out, InProcess())

    @pytest.mark.slow
    def test_the_folder_of_a_training_run_is_a_player(self, study, tmp_path):
        run = tmp_path / "my-run"
        settings = RunSettings(timesteps=256, num_envs=2, val_episodes=2, segment_steps=256)
        experiment = Experiment(settings, run, rivals=("none",))
        experiment.begin()
        experiment.train()
        players = name_players([str(run), "never"])
        with make_engine("local", jobs=1) as engine:
            outcome = sweep(study, players, tmp_path / "out", engine)
        assert outcome.result.kinds == {"my-run": "learned", "never": "handcrafted"}
        alone = evaluate(
            {"my-run": load_scheduler(run, study.scenario), "never": make_scheduler("never")},
            study.scenario,
            episodes=3,
            split="val",
            batch=2,
            progress=False,
        )
        same(outcome.result, alone)
        (entry, _) = outcome.result.config["schedulers"]
        assert entry["settings"]["run"] == str(run.resolve())
