"""What the README shows works as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
PYTHON = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_environments_are_made_as_shown():
    names: dict = {}
    exec(PYTHON[0], names)
    obs, _ = names["env"].reset(seed=0)
    assert names["env"].observation_space.contains(obs)
    assert names["batch"].num_envs == names["sb3"].num_envs == 32


def test_the_world_of_ones_own_plays(tmp_path):
    text = YAML[0].replace("carbon: [FR_2024_hourly.csv, DE_2024_hourly.csv]", "carbon: [GB, DE]")
    path = tmp_path / "my-lab.yaml"
    path.write_text(text)
    env = gym.make("frugalfl/Volunteers-v0", scenario=str(path))
    env.reset(seed=0)
    assert env.unwrapped.scenario.clients == 40
    env.step(env.action_space.sample())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_scheduler_of_ones_own_enters_a_comparison(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_module.py").write_text(PYTHON[1])
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict = {}
    exec(PYTHON[2].replace("episodes=64", "episodes=2, progress=False"), names)
    assert np.isfinite(names["result"].values("my_module:CheapestFive", "net_points")).all()
    assert "my_module:CheapestFive" in capsys.readouterr().out
    checks: dict = {}
    exec(next(text for text in PYTHON if "frugalfl.testing" in text), checks)
    checks["test_mine"]()
    sys.modules.pop("my_module", None)


def test_the_trained_scheduler_loads():
    names: dict = {}
    exec(next(text for text in PYTHON if "load_scheduler" in text), names)
    assert names["scheduler"].kind == "learned"
