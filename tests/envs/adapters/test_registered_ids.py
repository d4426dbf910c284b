"""Every registered id is a good citizen of Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gym_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from frugalfl.envs.registration import entries

# Every world in its main faces, and every face in the quickest world.
MAIN = re.compile(r"/(mo-\w+|\w+(-discrete|-scores)?)-v0$")
ALL = [entry.id for entry in entries() if entry.scenario == "quadratic" or MAIN.search(entry.id)]
SCALAR = [env_id for env_id in ALL if "/mo-" not in env_id]
VECTOR = [env_id for env_id in ALL if "/mo-" in env_id]


def rollout(env, seed, steps=12):
    """Observations, rewards and ends under actions drawn from the space."""
    obs, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    trail = [obs]
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        trail.append((obs, reward, terminated, truncated, info))
        if terminated or truncated:
            break
    return trail


def assert_same(a, b):
    """Equal to the last bit, through nested containers."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("env_id", SCALAR)
def test_gymnasium_check_env(env_id):
    env = gym.make(env_id, disable_env_checker=True)
    gym_check_env(env.unwrapped, skip_render_check=False)


# Clients are a set `[N, F]`, by design; everything else that SB3 would warn about is an error.
@pytest.mark.filterwarnings("ignore:Your observation (clients|zones) has an unconventional shape")
@pytest.mark.parametrize("env_id", SCALAR)
def test_sb3_check_env(env_id):
    sb3_check_env(gym.make(env_id).unwrapped)


@pytest.mark.filterwarnings("ignore:Your observation (clients|zones) has an unconventional shape")
@pytest.mark.parametrize("env_id", SCALAR)
def test_a_world_in_which_the_servers_step_is_a_decision_passes_too(env_id):
    levels = {"server_step": [0.5, 1.0, 4.0]}
    gym_check_env(gym.make(env_id, disable_env_checker=True, levels=levels).unwrapped)
    sb3_check_env(gym.make(env_id, levels=levels).unwrapped)


class Summed(gym.Env):
    """A scalar reward over a vector one, without the wrapper that check_env warns about."""

    def __init__(self, env):
        self.inner = env
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.inner.reset(seed=seed, options=options)

    def step(self, action):
        obs, reward, *rest = self.inner.step(action)
        return obs, float(reward.sum()), *rest


@pytest.mark.parametrize("env_id", VECTOR)
def test_vector_rewards_pass_as_scalar_ones_through_mo_gymnasium(env_id):
    mo_gymnasium = pytest.importorskip("mo_gymnasium")
    env = mo_gymnasium.make(env_id)
    assert env.unwrapped.reward_space.shape == (4,)
    env.reset(seed=1)
    _, reward, *_, info = env.step(env.action_space.sample())
    assert reward.shape == (4,) and env.unwrapped.reward_space.contains(reward)
    np.testing.assert_allclose(reward, info["reward_terms"], rtol=1e-6)
    weight = np.array([1.0, 2.0, 3.0, 4.0])
    linear = mo_gymnasium.wrappers.LinearReward(mo_gymnasium.make(env_id), weight=weight)
    linear.reset(seed=1)
    _, reward, *_, info = linear.step(linear.action_space.sample())
    assert reward == pytest.approx(info["reward_terms"] @ weight, rel=1e-5)
    gym_check_env(Summed(mo_gymnasium.make(env_id).unwrapped), skip_render_check=True)


@pytest.mark.parametrize("env_id", ALL)
def test_the_same_seed_gives_the_same_episode(env_id):
    assert_same(rollout(gym.make(env_id), 3), rollout(gym.make(env_id), 3))


@pytest.mark.parametrize("env_id", ALL)
def test_spec_survives_json_and_pickle(env_id):
    spec = gym.make(env_id).spec
    again = gym.envs.registration.EnvSpec.from_json(spec.to_json())
    assert json.loads(again.to_json()) == json.loads(spec.to_json())
    assert_same(rollout(gym.make(pickle.loads(pickle.dumps(spec))), 5, 3), rollout(gym.make(again), 5, 3))


@pytest.mark.parametrize("env_id", SCALAR)
def test_observations_are_in_their_space_and_never_aliased(env_id):
    env = gym.make(env_id)
    trail = rollout(env, 7)
    observations = [trail[0]] + [step[0] for step in trail[1:]]
    copies = deepcopy(observations)
    for obs in observations:
        assert env.observation_space.contains(obs)
        for part in obs.values() if isinstance(obs, dict) else [obs]:
            part[...] = np.nan  # an alias of internal state would poison what follows
    again = rollout(env, 7)
    assert_same(copies, [again[0]] + [step[0] for step in again[1:]])


def test_a_module_prefix_finds_the_environment_from_anywhere(tmp_path):
    code = "import gymnasium as gym; gym.make('frugalfl:frugalfl/Phones-v0').reset(seed=0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
