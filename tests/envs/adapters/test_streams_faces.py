"""The faces of a world that serves: ids, shapes, masks, infos, batches."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from frugalfl.envs.adapters.sb3_vec_env import FederatedVecEnv
from frugalfl.envs.agent_view import (
    CLIENT_FEATURES,
    SERVER_FEATURES,
    STREAM_CLIENT_TABLE,
    STREAM_SERVER_TABLE,
    AgentView,
    observation_columns,
)

SMALL = {"clients": 6, "budgets": {"hours": 4}, "drift": {"kind": "shift", "mean_h": 1.0}}
SERVED = ("requests", "right", "labels", "refreshed", "drift_events", "regret_points", "validation_accuracy")


def played(env, seed, rng_seed=0):
    """Rewards, last observation and infos of one episode of random orders that never stop."""
    rng = np.random.default_rng(rng_seed)
    observation, info = env.reset(seed=seed)
    rewards, infos = [], [info]
    while True:
        action = rng.integers(env.action_space.nvec)
        action[0] = action[0] % 2
        observation, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
        infos.append(info)
        if terminated or truncated:
            return rewards, observation, infos


def test_the_refresh_is_a_head_before_those_of_the_clients():
    env = gym.make("frugalfl/Streams-v0")
    assert env.action_space.nvec.tolist() == [4, 3, 3] + [5] * 24
    alone = gym.make("frugalfl/Streams-v0", serving={"refresh": ["available"]})
    assert alone.action_space.nvec.tolist() == [4, 3] + [5] * 24
    other = gym.make("frugalfl/Volunteers-v0", hub={"share": 0})
    assert other.action_space.nvec.size == 2 + 24


def test_columns_of_the_stream_follow_the_others():
    env = gym.make("frugalfl/Streams-v0", **SMALL)
    space = env.observation_space
    assert space["clients"].shape == (6, len(CLIENT_FEATURES) + len(STREAM_CLIENT_TABLE))
    assert space["server"].shape == (len(SERVER_FEATURES) + len(STREAM_SERVER_TABLE),)
    _, observation, _ = played(env, 3)
    columns = observation_columns(env.unwrapped.scenario)
    flat = gym.make("frugalfl/Streams-flat-v0", **SMALL)
    assert flat.observation_space.shape == (len(columns),)
    _, flat_observation, _ = played(flat, 3)
    named = dict(zip(columns, flat_observation, strict=True))
    assert named["server.right_fast"] == observation["server"][len(SERVER_FEATURES)]
    assert named["clients[2].filled"] == observation["clients"][2, len(CLIENT_FEATURES) + 1]
    assert named["clients[0].filled"] == 1.0 and named["server.page_hinkley"] <= 1.0


@pytest.mark.parametrize("face", ["Streams", "Streams-scores", "Streams-discrete", "Streams-flat-discrete"])
def test_gymnasium_finds_nothing_wrong(face):
    check_env(gym.make(f"frugalfl/{face}-v0", **SMALL).unwrapped, skip_render_check=True)


def test_infos_have_one_shape_and_sum_to_the_reward():
    env = gym.make("frugalfl/Streams-v0", **SMALL)
    rewards, _, infos = played(env, 5)
    assert all(info.keys() == infos[0].keys() for info in infos)
    assert all(name in infos[0] for name in SERVED)
    types = [{name: np.asarray(value).dtype for name, value in info.items()} for info in infos]
    assert all(each == types[0] for each in types)
    last = infos[-1]
    assert np.isclose(sum(rewards), last["episode_net_points"])
    world = env.unwrapped.world
    right, asked = (sum(info[name] for info in infos) for name in ("right", "requests"))
    assert np.isclose(right / asked, world.test_scores()[0][0])
    assert all(info["client_requests"].sum() == info["requests"] for info in infos)


def test_vector_rewards_have_the_answers_first():
    env = gym.make("frugalfl/mo-Streams-v0", **SMALL)
    rewards, _, infos = played(env, 5)
    rewards = np.array(rewards)
    assert rewards.shape[1] == 4 and (rewards[:, 0] >= 0).all() and (rewards[:, 1:] <= 0).all()
    points = 100 * np.array([info["right"] for info in infos[1:]])
    assert np.allclose(rewards[:, 0] / points.clip(1), (rewards[:, 0] / points.clip(1)).max())


def test_masks_leave_out_who_remembers_nothing():
    view = AgentView("streams", 1, **SMALL)
    view.reset(np.ones(1, dtype=bool), np.array([1]))
    masks = view.masks()[0]
    assert not masks[0]  # nobody has learned a label yet: no round
    assert masks[4 + 3 + 3 :].reshape(6, 5)[:, 1:].sum() == 0


def test_singles_batches_and_vec_envs_play_the_same():
    seeds, steps = [4, 9], 6
    single = [gym.make("frugalfl/Streams-v0", **SMALL) for _ in seeds]
    batch = gym.make_vec("frugalfl/Streams-v0", 2, gym.VectorizeMode.VECTOR_ENTRY_POINT, **SMALL)
    first = [env.reset(seed=seed)[0] for env, seed in zip(single, seeds, strict=True)]
    together, _ = batch.reset(seed=seeds)
    rng = np.random.default_rng(2)
    for step in range(steps):
        assert all(
            np.array_equal(together[part][row], first[row][part]) for row in (0, 1) for part in together
        )
        actions = rng.integers(single[0].action_space.nvec, size=(2, single[0].action_space.nvec.size))
        actions[:, 0] = step % 2
        together, rewards, *_ = batch.step(actions)
        results = [env.step(action) for env, action in zip(single, actions, strict=True)]
        first = [result[0] for result in results]
        assert rewards.tolist() == [result[1] for result in results]


def test_stable_baselines_gets_masks_and_observations():
    venv = FederatedVecEnv("streams", 2, **SMALL)
    venv.seed(1)
    assert venv.reset()["clients"].shape == (2, 6, len(CLIENT_FEATURES) + len(STREAM_CLIENT_TABLE))
    masks = np.array(venv.env_method("action_masks"))
    assert masks.shape == (2, venv.action_space.nvec.sum())
    venv.step(np.zeros((2, venv.action_space.nvec.size), dtype=int))
