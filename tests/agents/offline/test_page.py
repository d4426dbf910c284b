"""What docs/offline.md shows works as it stands, with fewer episodes and steps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("minari")
pytest.importorskip("h5py")

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "offline.md").read_text(encoding="utf-8")
REPLAY, LEARN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_replay_pays_the_recorded_rewards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(REPLAY.replace("episodes=20", "episodes=3"), names)
    assert names["dataset"].total_episodes == 3


def test_the_offline_learner_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shorter = LEARN.replace("150, 3000", "4, 30").replace('split="val")', 'split="val", max_rounds=3)')
    assert shorter != LEARN
    names: dict = {}
    exec(shorter, names)
    assert np.isfinite(names["points"]).all() and len(names["points"]) >= 64
    assert len(names["actions"]) == len(names["ends"]) > 12
