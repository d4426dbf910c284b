"""Registering the environments costs nothing: heavy libraries are imported when a world is made."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import pytest

from frugalfl.envs import find_entry, register_all
from frugalfl.envs.registration import entries, serving_entries

HEAVY = (
    "torch",
    "stable_baselines3",
    "sb3_contrib",
    "numba",
    "pandas",
    "matplotlib",
    "scipy",
    "sklearn",
    "ray",
    "flwr",
    "frugalfl.fl_core",
    "frugalfl.traces",
    "frugalfl.agents",
)


def test_importing_the_package_loads_no_heavy_library():
    script = (
        "import sys, frugalfl, gymnasium\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))\n"
        "assert 'frugalfl/Volunteers-v0' in gymnasium.registry"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []


def test_worlds_need_no_learning_library():
    script = (
        "import sys, gymnasium, frugalfl\n"
        "env = gymnasium.make('frugalfl/Quadratic-v0')\n"
        "env.reset(seed=1)\n"
        "env.step(env.action_space.sample())\n"
        "print(*(name for name in ('torch', 'stable_baselines3', 'matplotlib') if name in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []


def test_every_id_is_registered_once_and_found():
    before = dict(gym.registry)
    register_all()
    assert dict(gym.registry) == before
    for entry in (*entries(), *serving_entries()):
        assert entry.id in gym.registry and find_entry(entry.id) == entry


def test_an_unknown_id_comes_with_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'frugalfl/Phones-v0'"):
        find_entry("frugalfl/Phone-v0")
