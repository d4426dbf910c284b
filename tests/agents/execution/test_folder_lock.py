"""A folder is one process's at a time; its lock ends with the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings

import pytest

from frugalfl.agents.execution import folder_lock, hold_folder, is_empty

HOLD = """
import sys, time
from pathlib import Path
from frugalfl.agents.execution import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds a folder for some seconds."""
    started = []

    def start(seconds):
        command = [sys.executable, "-c", HOLD, str(tmp_path / "out"), str(seconds)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_who_holds_it_is_said_and_a_killed_one_holds_nothing(holder, tmp_path):
    out = tmp_path / "out"
    process = holder(60)
    told = rf"out: .* is in use by process {process.pid} on .*wait until"
    with pytest.raises(ValueError, match=told) as error, hold_folder(out):
        pass
    assert "\n" not in str(error.value)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / ".lock").exists()
    with hold_folder(out):
        assert is_empty(out)
        (out / "config.json").touch()
        assert not is_empty(out)
    assert [path.name for path in out.iterdir()] == ["config.json"]


def test_options_are_not_told_for_they_may_be_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/flwr-serverapp", "--token", "63bee0df"])
    with hold_folder(tmp_path / "out"):
        assert (tmp_path / "out" / ".lock").read_text(encoding="utf-8").endswith("(flwr-serverapp)\n")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/frugalfl", "train", "--out", "x"])
    with hold_folder(tmp_path / "out"):
        assert (tmp_path / "out" / ".lock").read_text(encoding="utf-8").endswith("(frugalfl train)\n")


def test_one_may_wait(holder, tmp_path):
    process = holder(0.5)
    with hold_folder(tmp_path / "out", patience_s=60.0):
        assert process.wait() == 0


def test_a_folder_that_stayed_empty_goes_again(tmp_path):
    with pytest.raises(RuntimeError), hold_folder(tmp_path / "a" / "b"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with (
        pytest.raises(ValueError, match=r"into: .*out is a file, expected a folder"),
        hold_folder(tmp_path / "out", "into"),
    ):
        pass


def test_where_nothing_can_be_locked_a_word_is_said(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    told = "files cannot be locked there; let only one command write"
    with pytest.warns(RuntimeWarning, match=told), hold_folder(tmp_path / "out"):
        (tmp_path / "out" / "x").touch()
    monkeypatch.undo()
    with warnings.catch_warnings(), hold_folder(tmp_path / "out"):
        pass
