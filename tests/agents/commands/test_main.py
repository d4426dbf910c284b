"""The command `frugalfl` finds its subcommands and refuses others."""

from __future__ import annotations

import sys

import pytest

import frugalfl
from frugalfl.agents.commands.main import COMMANDS, main
from frugalfl.agents.commands.terminal import Stopped
from frugalfl.agents.schedulers import SCHEDULERS
from frugalfl.agents.zoo import shipped_names
from frugalfl.envs.registration import entries, serving_entries
from frugalfl.worlds import scenario_names


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_has_help(name, capsys):
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = stop.code
    assert code in (0, None)
    text = capsys.readouterr().out
    # `traces` is a family of commands, and tells of them.
    assert f"usage: frugalfl {name}" in text
    assert "Attributes:" not in text, "what an option means stands beside it, and nowhere else"


def test_help_lists_the_subcommands(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


def test_a_missing_extra_is_told_with_the_cure(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "flwr", None)
    monkeypatch.setitem(COMMANDS, "deploy", ("flwr:main", "needs Flower"))
    assert main(["deploy", "--help"]) == 2
    told = "frugalfl deploy: needs flwr, which is not installed: pip install 'frugalfl[flower]'\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("stop", [KeyboardInterrupt, lambda: Stopped(15)])
def test_ctrl_c_while_importing_is_one_line(capsys, monkeypatch, stop):
    def interrupted(name):
        raise stop()

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert main(["report"]) in (130, 143)
    told = capsys.readouterr().err
    assert told.startswith("frugalfl report: stopped (SIG") and told.count("\n") == 1


def test_unknown_commands_are_refused_in_one_line(capsys):
    assert main(["trian"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "did you mean 'train'?" in told


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"frugalfl {frugalfl.__version__}\n"


def test_every_environment_is_listed_with_what_it_is(capsys):
    assert main(["envs"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "world", "observation", "action", "reward"]
    assert [row.split()[0] for row in rows] == [entry.id for entry in (*entries(), *serving_entries())]
    row = next(row for row in rows if "mo-Phones-flat-scores" in row)
    assert row.split()[1:] == ["phones", "flat", "scores", "vector"]


def test_every_scheduler_is_listed_with_its_tuning(capsys):
    assert main(["schedulers", "--world", "quadratic"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == [*SCHEDULERS, *shipped_names()]
    scores = {row[0]: row[1] for row in rows}
    assert float(scores["mpc"]) > 0 and scores["volunteers-ppo"] == scores["never"] == "-"
    assert main(["schedulers", "--world", "quadratc"]) == 2
    assert "did you mean 'quadratic'" in capsys.readouterr().err


@pytest.mark.slow
def test_warming_up_plays_in_every_world(capsys):
    assert main(["warmup"]) == 0
    assert capsys.readouterr().out.split() == [
        word for name in scenario_names() for word in (f"{name}:", "ready")
    ]
