"""The command `frugalfl` finds its subcommands and refuses others."""

from __future__ import annotations

import sys

import pytest

from frugalfl.agents.commands.main import COMMANDS, main
from frugalfl.agents.commands.terminal import Stopped


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_has_help(name, capsys):
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = stop.code
    assert code in (0, None)
    assert "usage" in capsys.readouterr().out.lower()


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
    assert capsys.readouterr().err.count("\n") == 1
