"""One world, however it is stepped: single, batch, subprocesses, SB3."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from stable_baselines3.common.vec_env import SubprocVecEnv

import frugalfl

WORLDS = ["frugalfl/Phones-v0", "frugalfl/Volunteers-v0", "frugalfl/SpotMarket-v0"]
SHORT = {"max_rounds": 4}
E = 3


def actions_of(env, steps, seed=11):
    """Actions that train, wait and seldom stop, the same for everybody."""
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(steps)]


def play_singles(env_id, actions, seed):
    """Each environment alone, with an immediate reset after an end, as SB3 does."""
    envs = [gym.make(env_id, **SHORT) for _ in range(E)]
    trail = [[env.reset(seed=seed + i)[0] for i, env in enumerate(envs)]]
    for batch in actions:
        rows = []
        for env, action in zip(envs, batch, strict=True):
            obs, reward, terminated, truncated, told = env.step(action)
            if terminated or truncated:
                obs, _ = env.reset()
            rows.append((obs, reward, terminated, truncated, told))
        trail.append(rows)
    return trail


@pytest.mark.parametrize("env_id", WORLDS)
def test_sb3_batch_equals_singles(env_id):
    vec = frugalfl.make_vec_env(env_id, E, **SHORT)
    actions = [np.array(a) for a in actions_of(gym.make_vec(env_id, E, "vector_entry_point", **SHORT), 10)]
    vec.seed(5)
    trail = play_singles(env_id, actions, 5)
    obs = vec.reset()
    for i in range(E):
        for name in obs:
            np.testing.assert_array_equal(obs[name][i], trail[0][i][name])
    for batch, rows in zip(actions, trail[1:], strict=True):
        obs, reward, done, infos = vec.step(batch)
        for i, (own, value, terminated, truncated, told) in enumerate(rows):
            assert done[i] == (terminated or truncated)
            assert reward[i] == np.float32(value)
            if done[i]:
                assert infos[i]["TimeLimit.truncated"] == truncated
                assert infos[i]["episode"]["r"] == infos[i]["episode_totals"]["net_points"]
                for name, total in infos[i]["episode_totals"].items():
                    assert infos[i][f"episode_{name}"] == told[f"episode_{name}"] == total
            for name in obs:
                np.testing.assert_array_equal(obs[name][i], own[name])


@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
@pytest.mark.parametrize("env_id", WORLDS[1:2])
def test_batch_equals_gymnasiums_own_vectorisation(env_id, mode):
    batch = gym.make_vec(env_id, E, "vector_entry_point", autoreset_mode=mode.value, **SHORT)
    loop = AsyncVectorEnv([lambda: gym.make(f"frugalfl:{env_id}", **SHORT)] * E, autoreset_mode=mode)
    try:
        (a, _), (b, _) = batch.reset(seed=9), loop.reset(seed=9)
        for action in actions_of(batch, 12):
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])
            a, *rest_a, info_a = batch.step(action)
            b, *rest_b, info_b = loop.step(action)
            for x, y in zip(rest_a, rest_b, strict=True):
                np.testing.assert_array_equal(x, y)
            assert ("final_obs" in info_a) == ("final_obs" in info_b)
            if "final_obs" in info_a:
                for env in np.flatnonzero(info_b["_final_obs"]):
                    for name, part in info_b["final_obs"][env].items():
                        np.testing.assert_array_equal(info_a["final_obs"][env][name], part)
    finally:
        loop.close()


def test_disabled_autoreset_resets_only_what_is_asked():
    env = gym.make_vec(WORLDS[1], 2, "vector_entry_point", autoreset_mode="Disabled", max_rounds=1)
    env.reset(seed=1)
    action = env.action_space.sample()
    action[:, 0] = 0
    obs, _, terminated, truncated, _ = env.step(action)
    assert truncated.all() and not terminated.any()
    with pytest.raises(ValueError, match="reset_mask"):
        env.step(action)
    after, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert (after["clients"][0] != obs["clients"][0]).any()
    np.testing.assert_array_equal(after["clients"][1], obs["clients"][1])


@pytest.mark.slow
def test_subprocesses_equal_singles():
    env_id = WORLDS[1]
    actions = [np.array(a) for a in actions_of(gym.make_vec(env_id, E, "vector_entry_point", **SHORT), 6)]
    trail = play_singles(env_id, actions, 5)
    vec = SubprocVecEnv([lambda: gym.make(f"frugalfl:{env_id}", **SHORT)] * E, start_method="spawn")
    try:
        vec.seed(5)
        obs = vec.reset()
        for batch, rows in zip(actions, trail[1:], strict=True):
            obs, reward, _, _ = vec.step(batch)
            for i, (own, value, *_) in enumerate(rows):
                assert np.float32(reward[i]) == np.float32(value)
                for name in obs:
                    np.testing.assert_array_equal(obs[name][i], own[name])
    finally:
        vec.close()


def test_tools_of_sb3_that_ask_single_environments_are_answered_for_each():
    vec = frugalfl.make_vec_env(WORLDS[1], E, clients=6)
    vec.seed(2)
    vec.reset()
    masks = vec.action_masks()
    assert (masks[0] != masks[1]).any()
    for row, ask in enumerate(vec.get_attr("action_masks")):
        np.testing.assert_array_equal(ask(), masks[row])
    for row, own in zip((2, 0), vec.env_method("action_masks", indices=[2, 0]), strict=True):
        np.testing.assert_array_equal(own, masks[row])
    assert [spec.id for spec in vec.get_attr("spec")] == [WORLDS[1]] * E
    assert vec.spec.kwargs == {"split": "train", "scenario": "volunteers", "clients": 6}
    assert vec.get_attr("render_mode", indices=1) == [None]
    assert vec.has_attr("action_masks") and not vec.has_attr("reset") and not vec.has_attr("nothing")
    with pytest.raises(AttributeError, match="all environments at once"):
        vec.get_attr("step")
    with pytest.raises(AttributeError, match="expected one of action_masks, render"):
        vec.env_method("step")
