"""What numbers come from is told as git tells it."""

from __future__ import annotations

import subprocess

import pytest

from frugalfl.agents.evaluation import git_version, machine


def git(folder, *words):
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("answer = 42\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "First")
    monkeypatch.setattr(machine, "_PACKAGE", tmp_path)
    return tmp_path


def test_the_commit_is_that_of_the_sources_and_says_whether_they_were_changed(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert git_version() == head[:12]
    (checkout / "code.py").write_text("answer = 43\n")
    assert git_version() == f"{head[:12]}-dirty"


def test_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_PACKAGE", tmp_path)
    assert git_version() is None
