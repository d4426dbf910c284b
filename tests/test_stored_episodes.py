"""Stored episodes: moving code about must not change a bit of what is played; see `stored_episodes.py`."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "stored_episodes", Path(__file__).with_name("stored_episodes.py")
)
player = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(player)

DOCUMENT = player.load()
EPISODES = DOCUMENT["episodes"]
KEYS = player.stored_keys()
SAME_MACHINE = DOCUMENT["machine"] == player.machine()
every_episode = pytest.mark.parametrize(("name", "seed"), KEYS, ids=[f"{name}-{seed}" for name, seed in KEYS])
played = cache(player.play)


def test_all_cases_are_stored():
    assert list(EPISODES) == [f"{name}/{seed}" for name, seed in KEYS]


@every_episode
@pytest.mark.skipif(not SAME_MACHINE, reason=f"stored on another kind of machine: {DOCUMENT['machine']}")
def test_every_bit_is_as_stored(name, seed):
    found = player.differing_bits(EPISODES[f"{name}/{seed}"], played(name, seed))
    assert not found, "\n".join(found)


@every_episode
def test_on_any_machine_the_numbers_are_about_as_stored(name, seed):
    found = player.differing_numbers(EPISODES[f"{name}/{seed}"], played(name, seed))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", player.CASES)
def test_the_comparison_notices_another_episode(name):
    stored, other = EPISODES[f"{name}/1"], played(name, 1 + len(player.SEEDS))
    assert player.differing_bits(stored, other) and player.differing_numbers(stored, other)


def test_every_option_makes_a_difference():
    ends = {key: rows[-1]["final"] for key, rows in EPISODES.items()}
    assert len(set(ends.values())) == len(ends)
    assert all((EPISODES[f"{name}/{seed}"][-1]["probes"] > 0) == (name == "probes") for name, seed in KEYS)
