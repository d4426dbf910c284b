"""The HTML page stands alone, tells what the evaluation says, and runs in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from frugalfl.agents.evaluation import EvaluationResult, evaluate
from frugalfl.agents.reports import verdict
from frugalfl.agents.reports.html import page_data, write_html
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
    assert html.escape(verdict(played)) in page
    assert "Made by <code>frugalfl &lt;demo&gt;</code>" in page


def test_data_equals_the_evaluation(played):
    data = page_data(played)
    summary = played.summary().set_index(["scheduler", "metric"])
    for row in data["schedulers"]:
        mine = summary.loc[(row["name"], "net_points")]
        assert row["cells"]["net_points"]["value"] == pytest.approx(mine["iqm"], abs=1e-4)
        assert row["cells"]["net_points"]["low"] == pytest.approx(mine["iqm_low"], abs=1e-4)
        assert sum(row["terms"].values()) == pytest.approx(played.values(row["name"]).mean(), abs=1e-3)
    rival = played.best("handcrafted")
    assert [row["name"] for row in data["schedulers"] if "differences" not in row] == [rival]


def test_timeline_of_the_page_is_the_recorded_one(played):
    data = page_data(played)
    for name, story in played.timelines.items():
        told = data["timelines"][name]
        assert np.array([list(map(int, row)) for row in told["status"]]).tolist() == story.status.tolist()
        assert (
            np.array([list(map(int, row)) for row in told["available"]]).tolist() == story.available.tolist()
        )
        busy = np.zeros_like(story.busy_h)
        for decision, pairs in enumerate(told["busy_h"]):
            for client, hours in pairs:
                busy[decision, client] = hours
        np.testing.assert_allclose(busy, story.busy_h, atol=1e-5)


def test_profile_counts_episodes_above_the_threshold(played):
    profiles = page_data(played)["profiles"]
    for name in played.kinds:
        values, series = played.values(name), profiles["series"][name]
        expected = [(values > threshold).mean() for threshold in profiles["grid"]]
        np.testing.assert_allclose(series["mean"], expected, atol=1 / len(values) + 1e-9)
        assert min(series["low"]) >= 0
        assert max(series["high"]) <= 1


def test_two_stories_are_told_first(played):
    told = page_data(played)["told"]
    assert len(told) == 2
    assert told[0] == played.best("handcrafted")


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
