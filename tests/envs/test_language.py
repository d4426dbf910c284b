"""Language: a world of GPUs that train a transformer, in which every scheduler plays."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import frugalfl  # noqa: F401  registers the environments
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

PLAYABLE = [name for name in SCHEDULERS if name != "clairvoyant"]
SEEDS = np.array([3, 4])


@pytest.fixture(scope="module")
def world():
    return FederatedWorld(load_scenario("language"), 2, "val")


@pytest.mark.parametrize("name", PLAYABLE)
def test_every_scheduler_plays(world, name):
    scheduler, everywhere = make_scheduler(name), np.ones(2, dtype=bool)
    world.reset(everywhere, SEEDS)
    scheduler.reset(everywhere, SEEDS, 16)
    for _ in range(2):
        situation = world.situation(scheduler.clairvoyant)
        plan = scheduler.plan(situation)
        assert plan.upload_bits is None or set(plan.upload_bits) == {16}
        assert not (plan.invited & ~situation.clients.available).any()
        world.step(plan)
    assert np.isfinite(world.ledger.net_points).all()


def test_rounds_lower_the_loss_and_the_score_follows_it(world):
    everywhere = np.ones(2, dtype=bool)
    world.reset(everywhere, SEEDS)
    score = world.source.dataset.score
    scheduler = make_scheduler("diloco-h", local_steps=16, upload_bits=4)
    scheduler.reset(everywhere, SEEDS, 16)
    before = world.situation().run.loss
    assert np.all(before > 0.99 * np.log(12))  # it knows nothing yet
    for _ in range(6):
        world.step(scheduler.plan(world.situation()))
    run = world.situation().run
    assert np.all(run.loss < before - 0.1)
    assert np.array_equal(run.accuracy, score.of(run.accuracy, run.loss))
    assert np.all(run.accuracy > 0.05)


def test_actions_say_bits_and_outer_step():
    env = gym.make("frugalfl/Language-v0")
    assert env.action_space.nvec.tolist() == [5, 3, 3, 3] + [5] * 16
    _, info = env.reset(seed=0)
    action = np.array([0, 2, 1, 0] + [1] * 16)
    mask = np.split(env.unwrapped.action_masks(), np.cumsum(env.action_space.nvec)[:-1])
    action[4:] = [int(each[1]) for each in mask[4:]]
    *_, info = env.step(action)
    assert info["loss"] > 0
    assert info["completed"] + info["lost"] + info["cancelled"] == info["invited"] == action[4:].sum()


def test_a_text_of_ones_own(tmp_path):
    verse = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs!\n"
    for name in "abcdefghijklmnop":
        (tmp_path / f"{name}.txt").write_text(verse * 12)
    text = "{kind: text, path: [" + ", ".join(f"{name}.txt" for name in "abcdefghijklmnop") + "], by: file"
    (tmp_path / "mine.yaml").write_text(f"base: language\nname: mine\ndataset: {text}, context: 8}}\n")
    world = FederatedWorld(load_scenario(tmp_path / "mine.yaml"))
    everywhere = np.ones(1, dtype=bool)
    world.reset(everywhere, SEEDS[:1])
    scheduler = make_scheduler("diloco-h", local_steps=40)
    scheduler.reset(everywhere, SEEDS[:1], 16)
    start = world.situation().run.accuracy
    for _ in range(4):
        world.step(scheduler.plan(world.situation()))
    assert world.situation().run.accuracy > start + 0.05
