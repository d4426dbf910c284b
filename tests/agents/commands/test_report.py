"""`frugalfl report` draws what `frugalfl evaluate` has played."""

from __future__ import annotations

import pytest

from frugalfl.agents.commands.report import main
from frugalfl.agents.evaluation import evaluate, save_result


@pytest.fixture
def folder(toy_world, tmp_path):
    result = evaluate(["random-m", "never"], "toy", episodes=3, progress=False, make_world=toy_world)
    return save_result(result, tmp_path / "result")


def test_pages_are_written_beside_the_result(folder, capsys):
    assert main([str(folder)]) == 0
    for name in ("report.html", "report.md", "net_points.png"):
        assert (folder / name).stat().st_size > 1000
    told = capsys.readouterr().out
    assert "Best scheduler on 3 paired test episodes of toy: random-m." in told
    assert str(folder / "report.html") in told


def test_pages_may_go_elsewhere(folder, tmp_path):
    assert main([str(folder), "--out", str(tmp_path / "pages")]) == 0
    assert (tmp_path / "pages" / "report.html").is_file()
    assert not (folder / "report.html").exists()


def test_a_folder_without_an_evaluation_is_refused_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("frugalfl report: ")
    assert told.count("\n") == 1
    assert str(tmp_path) in told
