"""What docs/schedulers.md shows works as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.base import draw_settings, knobs_of
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "schedulers.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAME = "my_schedulers:CheapPerSample"


@pytest.fixture(autouse=True)
def my_schedulers(tmp_path, monkeypatch):
    """The first snippet as the file it says it is."""
    (tmp_path / "my_schedulers.py").write_text(PYTHON[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_schedulers", None)


def test_it_is_ten_lines():
    lines = [line for line in PYTHON[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_its_knobs_are_declared_checked_and_searched():
    scheduler = make_scheduler(NAME)
    knobs = knobs_of(scheduler)
    assert {"thrift", "participants", "stop_gain"} <= set(knobs)
    for seed in range(5):
        make_scheduler(NAME, **draw_settings(scheduler, np.random.default_rng(seed)))
    with pytest.raises(ValueError, match=r"cheap-per-sample\.thrift: 9"):
        make_scheduler(NAME, thrift=9.0)


def test_it_is_evaluated_as_shown():
    names: dict = {}
    exec(PYTHON[1].replace("episodes=64", "episodes=2, progress=False"), names)
    assert np.isfinite(names["result"].values("mine", "net_points")).all()


def test_it_prefers_cheap_data(situation):
    scheduler = make_scheduler(NAME, participants=3)
    scheduler.reset(np.ones(1, dtype=bool), np.array([1]), situation.num_clients)
    invited = scheduler.plan(situation).invited[0]
    worth = (situation.clients.samples_held / situation.round_points(10))[0]
    there = situation.clients.available[0] & (situation.clients.samples_held[0] > 0)
    assert worth[invited].min() >= worth[there & ~invited].max(initial=0.0)


@pytest.fixture
def situation():
    """The first situation of an episode."""
    world = FederatedWorld(load_scenario("volunteers"), num_envs=1)
    world.reset(np.ones(1, dtype=bool), np.array([3]))
    return world.situation()
