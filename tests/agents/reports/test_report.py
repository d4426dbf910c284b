"""The report says what the numbers say, first of all who won."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from frugalfl.agents.evaluation import EvaluationResult, evaluate
from frugalfl.agents.reports import held_curves, print_report, verdict, write_report
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.baselines import TunedRule


class Learned(TunedRule):
    kind = "learned"


@pytest.fixture
def played(toy_world) -> EvaluationResult:
    players = {name: make_scheduler(name, participants=4) for name in ("random-m", "fastest-m")}
    players |= {"never": make_scheduler("never"), "ppo": Learned(participants=4, wait_saving=0.05)}
    return evaluate(players, "toy", episodes=4, progress=False, make_world=toy_world)


def shifted(result: EvaluationResult, scheduler: str, points: float) -> EvaluationResult:
    table = result.episodes.copy()
    table.loc[table["scheduler"] == scheduler, "net_points"] += points
    return EvaluationResult(result.world, result.split, table, result.curves, result.timelines)


class TestVerdict:
    def test_a_lost_comparison_is_said_first(self, played):
        rival = played.best("handcrafted")
        assert verdict(shifted(played, "ppo", -500)).startswith(
            f"A handcrafted scheduler, {rival}, beats the lear"
        )

    def test_a_won_comparison(self, played):
        assert verdict(shifted(played, "ppo", 500)).startswith(
            "The learned scheduler ppo beats the handcrafted rival"
        )

    def test_an_open_comparison_is_called_open(self, played):
        table = played.episodes.copy()
        mine, best = table["scheduler"] == "ppo", table["scheduler"] == played.best("handcrafted")
        table.loc[mine, "net_points"] = table.loc[best, "net_points"].to_numpy() + np.array(
            [9.0, -9.0, 9.0, -8.0]
        )
        result = EvaluationResult(played.world, played.split, table, played.curves)
        assert verdict(result).startswith("No clear winner")

    def test_without_a_learned_scheduler_it_names_the_best(self, played):
        table = played.episodes[played.episodes["kind"] == "handcrafted"]
        result = EvaluationResult("toy", "test", table, played.curves)
        assert verdict(result).startswith("Best scheduler on 4 paired test episodes of toy")


class TestFiles:
    def test_report_is_complete(self, played, tmp_path):
        page = write_report(played, tmp_path / "out", zones=("DE", "GB", "CA"), command="demo")
        text = page.read_text(encoding="utf-8")
        assert text.splitlines()[0] == verdict(played)
        pictures = [part.split(")")[0] for part in text.split("](")[1:]]
        assert len(pictures) == 5
        for name in pictures:
            assert (page.parent / name).read_bytes().startswith(b"\x89PNG")
        assert text.rstrip().endswith("Made by `demo`.")

    def test_rounds_spent_stand_beside_everybody(self, played, tmp_path):
        spent = {"random-m": 61_000.0, "ppo": 600_064.0}
        table = played.episodes.assign(rounds_spent=played.episodes["scheduler"].map(spent))
        result = EvaluationResult(played.world, played.split, table, played.curves)
        lines = write_report(result, tmp_path).read_text(encoding="utf-8").splitlines()
        ends = {
            line.split("|")[1].strip(): line.split("|")[-2].strip() for line in lines if line.count("|") > 8
        }
        assert ends["scheduler"] == "rounds spent"
        assert (ends["random-m"], ends["never"], ends["**ppo (learned)**"]) == ("61,000", "-", "600,064")

    def test_odd_names_are_shown_as_they_are(self, played, tmp_path):
        odd = "a|b <i>$x$</i> [bold]"
        table = played.episodes.replace({"scheduler": {"random-m": odd}})
        curves = played.curves.replace({"scheduler": {"random-m": odd}})
        result = EvaluationResult(played.world, played.split, table, curves)
        text = write_report(result, tmp_path).read_text(encoding="utf-8")
        assert "| a\\|b \\<i\\>$x$\\</i\\> \\[bold\\] |" in text
        console = Console(width=250, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        with console.file:
            print_report(result, console)
            assert odd in console.export_text()

    def test_csv_holds_every_episode(self, played, tmp_path):
        write_report(played, tmp_path)
        table = pd.read_csv(tmp_path / "evaluation.csv")
        assert len(table) == 16
        assert table["net_points"].to_numpy() == pytest.approx(played.episodes["net_points"].to_numpy())

    def test_a_result_of_runs_that_never_trained_can_be_reported(self, toy_world, tmp_path):
        result = evaluate(["never"], "toy", episodes=1, progress=False, make_world=toy_world)
        assert write_report(result, tmp_path).exists()

    def test_terminal_table_is_best_first_and_marks_kinds(self, played):
        console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        with console.file:
            print_report(played, console)
            text = console.export_text()
        places = [text.index(f"│ {name}") for name in played.ranking()]
        assert places == sorted(places)
        assert "ppo (learned)" in text
        assert "accuracy [%]" in text


def test_held_curves_hold_the_last_value():
    curves = pd.DataFrame({"episode": 0, "hours": [0.0, 1.0, 2.0], "accuracy": [0.1, 0.5, 0.7]})
    held = held_curves(curves, "hours", np.array([0.0, 0.99, 1.0, 1.5, 2.0, 99.0]))
    assert held.tolist() == [[0.1, 0.1, 0.5, 0.5, 0.7, 0.7]]


def renamed(result: EvaluationResult, scheduler: str, name: str) -> EvaluationResult:
    """The result with a scheduler under another name."""
    tables = [frame.replace({"scheduler": {scheduler: name}}) for frame in (result.episodes, result.curves)]
    timelines = {
        name if key == scheduler else key: replace(timeline, scheduler=name if key == scheduler else key)
        for key, timeline in result.timelines.items()
    }
    return EvaluationResult("[/b] $w$", result.split, *tables, timelines, ("<z>", r"$\z$", "c", "d"))


def test_names_are_shown_as_they_are_and_are_no_markup_of_anything(played, tmp_path):
    wild = r"my[/rule] [link] $\bad$ a|b <i>" + "\x1b[2J\ntwo"
    result = renamed(played, "ppo", wild)
    console = Console(file=io.StringIO(), width=250)
    print_report(result, console)
    page = console.file.getvalue()
    assert "my[/rule] [link]" in page and "\x1b[2J" not in page and "[/b] $w$" in page
    write_report(result, tmp_path, result.zones, command="frugalfl report")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if "rule" in line]
    assert any(r"a\|b \<i\>?" in line for line in rows if line.startswith("|"))
    assert not any(re.search(r"(?<!\\)<i>", line) for line in rows) and "\x1b" not in text
