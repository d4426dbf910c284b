"""The HTML page stands alone, tells what the evaluation says, and runs in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from frugalfl.agents.evaluation import EvaluationResult, evaluate, write_metrics
from frugalfl.agents.reports import styles_of, verdict, write_report
from frugalfl.agents.reports.html import page_data, write_html
from frugalfl.agents.reports.palette import STATUSES
from frugalfl.agents.schedulers import make_scheduler

HOSTILE = 'a</script><img src=x onerror="document.title=1">&'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def played(toy_world) -> EvaluationResult:
    players = {name: make_scheduler(name, participants=4) for name in ("random-m", "fastest-m")}
    players |= {"never": make_scheduler("never"), HOSTILE: make_scheduler("greenest-m", participants=3)}
    return evaluate(players, "toy", episodes=5, progress=False, make_world=toy_world)


@pytest.fixture
def page(played, tmp_path) -> str:
    return write_html(played, tmp_path / "new" / "report.html", "frugalfl <demo>").read_text(encoding="utf-8")


def embedded(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_page_needs_no_network(page):
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page)
    assert "default-src 'none'" in page


def test_names_cannot_break_out_of_the_data(page, played):
    assert HOSTILE not in page
    assert [row["name"] for row in embedded(page)["schedulers"]] == played.ranking()


def test_verdict_and_command_are_said(page, played):
    assert verdict(played) in html.unescape(page)
    assert "Made by <code>frugalfl &lt;demo&gt;</code>" in page


def test_data_equals_the_evaluation(played):
    data = page_data(played)
    summary = played.summary().set_index(["scheduler", "metric"])
    for row in data["schedulers"]:
        mine = summary.loc[(row["name"], "net_points")]
        assert row["cells"]["net_points"]["value"] == pytest.approx(mine["iqm"], abs=1e-4)
        assert row["cells"]["net_points"]["low"] == pytest.approx(mine["iqm_low"], abs=1e-4)
        assert sum(row["terms"].values()) == pytest.approx(played.values(row["name"]).mean(), abs=1e-3)
    rival = played.rival()
    assert [row["name"] for row in data["schedulers"] if "differences" not in row] == [rival]


def test_timeline_of_the_page_is_the_recorded_one(played):
    data = page_data(played)
    for name, timeline in played.timelines.items():
        shown = data["timelines"][name]
        assert np.array([list(map(int, row)) for row in shown["status"]]).tolist() == timeline.status.tolist()
        assert (
            np.array([list(map(int, row)) for row in shown["available"]]).tolist()
            == timeline.available.tolist()
        )
        busy = np.zeros_like(timeline.busy_h)
        for decision, pairs in enumerate(shown["busy_h"]):
            for client, hours in pairs:
                busy[decision, client] = hours
        np.testing.assert_allclose(busy, timeline.busy_h, atol=1e-5)


def test_the_page_draws_the_numbers_of_the_tables(played, tmp_path):
    write_report(played, tmp_path)
    write_metrics(played, tmp_path)
    data = page_data(played)
    for along, file in (("hours", "accuracy_time"), ("kilograms", "accuracy_co2e")):
        table = pd.read_csv(tmp_path / f"{file}.csv")
        for name, rows in table.groupby("scheduler"):
            series = data["curves"][along]["series"][name]
            np.testing.assert_allclose(data["curves"][along]["grid"], rows[along], atol=1e-5)
            np.testing.assert_allclose(series["mean"], 100 * rows["accuracy"], atol=0.006)
            np.testing.assert_allclose(series["low"], 100 * rows["accuracy_low"], atol=0.006)
    for name, rows in pd.read_csv(tmp_path / "profiles.csv").groupby("scheduler"):
        series = data["profiles"]["series"][name]
        np.testing.assert_allclose(data["profiles"]["grid"], rows["threshold"], atol=1e-4)
        np.testing.assert_allclose(series["mean"], rows["share"], atol=1e-4)
        np.testing.assert_allclose(series["high"], rows["share_high"], atol=1e-4)
    earned = pd.read_csv(tmp_path / "net_points.csv").set_index("scheduler")
    for row in data["schedulers"]:
        mine = earned.loc[row["name"]]
        assert row["cells"]["net_points"]["low"] == pytest.approx(mine["net_points_low"], abs=1e-4)
        assert row["terms"]["time"] == pytest.approx(mine["time"], abs=1e-4)


def test_page_and_plots_have_one_palette(page, played):
    data, styles = embedded(page), styles_of(played)
    for row in data["schedulers"]:
        style = styles[row["name"]]
        assert row["colour"] == (style.colour if row["prominent"] else style.shade)
        assert row["label"] == style.label
    for status in STATUSES.values():
        assert f"--{status.name}: {status.tone.light};" in page
    assert data["palette"]["statuses"] == ["not invited", "completed", "lost", "cancelled"]


def test_profile_counts_episodes_above_the_threshold(played):
    profiles = page_data(played)["profiles"]
    for name in played.kinds:
        values, series = played.values(name), profiles["series"][name]
        expected = [(values > threshold).mean() for threshold in profiles["grid"]]
        np.testing.assert_allclose(series["mean"], expected, atol=1 / len(values) + 1e-9)
        assert min(series["low"]) >= 0
        assert max(series["high"]) <= 1


def test_two_timelines_are_shown_first(played):
    first = page_data(played)["first_timelines"]
    assert len(first) == 2
    assert first[0] == played.best("handcrafted")


def test_a_single_run_that_never_trained(toy_world, tmp_path):
    result = evaluate(["never"], "toy", episodes=1, progress=False, make_world=toy_world)
    assert write_html(result, tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_page_draws_itself_in_a_browser(page, played, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    run = subprocess.run(
        [str(BROWSER), *options, profile, file.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert 'data-ready="yes"' in run.stdout, run.stderr[-2000:]
    body = run.stdout.split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr") == len(played.kinds)
    assert run.stdout.count("<canvas") == 2
    assert run.stdout.count("<svg") >= 6
    assert "<title>toy: who schedules best?</title>" in run.stdout
