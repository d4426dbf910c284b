"""`frugalfl deploy`: what is wrong is said in one line, and what Flower needs is written down."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from frugalfl.agents.commands import deploy as command
from frugalfl.agents.commands.main import main as frugalfl
from frugalfl.agents.deploy import ServeSettings, read_settings
from frugalfl.agents.deploy.run import QUIET, follow_run, start_run, write_app
from frugalfl.agents.execution import hold_folder

if sys.version_info >= (3, 11):
    import tomllib

with_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is of Python 3.11")


def options(tmp_path, **changes):
    return command.Options(**{"superlink": "127.0.0.1:1", "out": tmp_path / "o'ut", "clients": 3, **changes})


@with_toml
def test_the_app_folder_holds_all_that_flower_needs(tmp_path):
    settings = command.settings_of(options(tmp_path))
    written = write_app(settings, tmp_path / "x", "host:1234", tmp_path / "ca.crt")
    app = tomllib.loads((written.app / "pyproject.toml").read_text(encoding="utf-8"))
    for component in app["tool"]["flwr"]["app"]["components"].values():
        module = component.partition(":")[0].replace(".", "/")
        assert (written.app / f"{module}.py").is_file()
    config = tomllib.loads(written.run_config.read_text(encoding="utf-8"))
    assert set(config) == set(app["tool"]["flwr"]["app"]["config"])
    assert read_settings(config["deployment"]).text() == settings.text()
    connection = tomllib.loads((written.home / "config.toml").read_text(encoding="utf-8"))["superlink"]
    assert connection["deployment"] == {
        "address": "host:1234",
        "root-certificates": str((tmp_path / "ca.crt").resolve()),
    }
    plain = write_app(settings, tmp_path / "y", "host:1234")
    text = (plain.home / "config.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["superlink"]["deployment"]["insecure"] is True


def test_options_become_settings(tmp_path):
    settings = command.settings_of(options(tmp_path, rounds=7, deadline_s=40.0, seed=9, env="phones"))
    world = settings.world()
    assert (world.clients, world.max_rounds, world.workload.deadline_s) == (3, 7, 40.0)
    assert world.name == "phones" and settings.seed == 9 and Path(settings.out).is_absolute()
    simulated = command.settings_of(options(tmp_path, superlink=None, simulate=5, clients=None))
    assert simulated.world().clients == 5 and simulated.min_nodes == 5 and simulated.poll_s == 0.02


def test_a_world_of_serving_has_settings_of_its_own(tmp_path):
    given = options(tmp_path, serve=True, clients=None, rounds=7, patience_s=9.0, seed=4)
    settings = command.settings_of(given)
    assert isinstance(settings, ServeSettings) and settings.world().name == "serving"
    assert (settings.scheduler, settings.steps, settings.patience_s) == ("online-greedy", 7, 9.0)
    assert read_settings(settings.text()).text() == settings.text()
    world = tmp_path / "three.yaml"
    world.write_text("base: serving\nname: three\nhours: 2\n", encoding="utf-8")
    named = command.settings_of(options(tmp_path, serve=True, clients=None, env=str(world), scheduler="lru"))
    assert named.world().steps == 12 and named.scheduler == "lru" and named.steps == 0
    for changes, complaint in (
        ({"clients": 3}, "clients: 3, expected none with --serve"),
        ({"clients": None, "env": "frugalfl/Volunteers-v0"}, "is no world of serving"),
        (
            {"clients": None, "serve": False, "patience_s": 2.0},
            "patience_s: 2, expected none where nodes train",
        ),
    ):
        with pytest.raises(ValueError, match=complaint):
            command.settings_of(options(tmp_path, **({"serve": True} | changes)))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--superlink", "a:1", "--simulate", "2"], "expected either --superlink"),
        ([], "expected either --superlink"),
        (["--superlink", "a:1", "--scheduler", "random"], "did you mean"),
        (["--superlink", "a:1", "--scheduler", "clairvoyant"], "future"),
        (["--superlink", "a:1", "--env", "nowhere"], "nowhere"),
        (["--superlink", "a:1", "--root-certificates", "/nowhere.crt"], "no such file"),
        (["--superlink", "a:1", "--time-scale", "0"], "time_scale"),
        (["--superlink", "a:1", "--env", "quadratic"], "in a live federation"),
    ],
)
def test_bad_options_are_refused_in_one_line(monkeypatch, capsys, tmp_path, arguments, complaint):
    monkeypatch.setattr(command, "require_flower", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert frugalfl(["deploy", *arguments]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(importlib.util.find_spec("flwr") is not None, reason="Flower is installed")
def test_without_flower_it_says_what_to_install(capsys):
    assert frugalfl(["deploy", "--superlink", "a:1"]) == 2
    assert 'pip install "frugalfl[flower]"' in capsys.readouterr().err


def test_nothing_needs_flower_until_it_is_used():
    folders = ("nodes", "run", "transport", "federation", "serving", "rehearsal")
    modules = ", ".join(f"frugalfl.agents.deploy.{folder}" for folder in folders)
    code = f"import sys, frugalfl.agents.commands.deploy, {modules}; print('flwr' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_flower_is_told_to_keep_quiet():
    assert QUIET["FLWR_TELEMETRY_ENABLED"] == "0"
    assert QUIET["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert QUIET["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"


def test_the_answers_of_flowers_commands_are_read(tmp_path):
    written = write_app(command.settings_of(options(tmp_path)), tmp_path, "a:1")
    answers = {
        "run": json.dumps({"success": True, "run-id": "12"}),
        "log": "",
        "list": "note\n" + json.dumps({"runs": [{"status": "finished:failed"}]}),
    }

    def flower(arguments, _, capture):
        return subprocess.CompletedProcess(arguments, 0, answers[arguments[0]], "")

    assert start_run(written, flower) == "12"
    with pytest.raises(ValueError, match="run 12: finished:failed"):
        follow_run("12", written, flower)
    answers["list"] = json.dumps({"runs": [{"status": "finished:completed"}]})
    follow_run("12", written, flower)
    answers["run"] = json.dumps({"success": False, "error-message": "no SuperLink"})
    with pytest.raises(ValueError, match="did not start: no SuperLink"):
        start_run(written, flower)


def test_a_stopped_run_has_left_its_folder_before_the_command_ends(monkeypatch, capfd, tmp_path):
    out, coordinators = tmp_path / "out", []
    hold = (
        "import sys, time; from pathlib import Path; from frugalfl.agents.execution import hold_folder\n"
        "with hold_folder(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(float(sys.argv[2]))"
    )

    def stop_while_it_goes_on(run_id, written):
        process = subprocess.Popen(
            [sys.executable, "-c", hold, str(out), coordinators.pop()], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "held\n"
        coordinators.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "require_flower", lambda: None)
    monkeypatch.setattr(command, "start_run", lambda written: "12")
    monkeypatch.setattr(command, "follow_run", stop_while_it_goes_on)
    arguments = ["deploy", "--superlink", "a:1", "--clients", "3", "--out", str(out)]
    coordinators.append("1")
    assert frugalfl(arguments) == 130
    with hold_folder(out):
        pass
    process = coordinators.pop()
    assert process.wait(timeout=60) == 0, "the coordinator has ended by itself"
    process.stdout.close()
    assert "with --resume goes on" in capfd.readouterr().err
    monkeypatch.setattr(command, "_STOPPING_S", 0.2)
    coordinators.append("60")
    assert frugalfl(arguments) == 130
    process = coordinators.pop()
    assert f"in use by process {process.pid}" in capfd.readouterr().err
    process.kill()
    process.wait()
    process.stdout.close()
