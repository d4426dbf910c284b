"""Loops that know nothing of frugalfl train on its ids: CleanRL-style PPO, MO-Gymnasium."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

HERE = Path(__file__).parent


def load_cleanrl():
    spec = importlib.util.spec_from_file_location("cleanrl_ppo", HERE / "cleanrl_ppo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_cleanrl_style_ppo_loop_learns_on_an_id():
    returns = load_cleanrl().train("frugalfl/Quadratic-v0", total_timesteps=16_384)
    tenth = len(returns) // 10
    assert tenth > 20
    assert np.mean(returns[-2 * tenth :]) > np.mean(returns[:tenth]) + 5.0


@pytest.mark.parametrize("env_id", ["frugalfl/mo-Volunteers-v0", "frugalfl/mo-Quadratic-v0"])
def test_mo_gymnasiums_wrappers_carry_vector_and_scalar_rewards(env_id):
    mo_gymnasium = pytest.importorskip("mo_gymnasium")
    wrappers = mo_gymnasium.wrappers
    weight = np.array([1.0, 1.0, 0.5, 2.0])
    env = wrappers.MORecordEpisodeStatistics(mo_gymnasium.make(env_id), gamma=0.99)
    assert env.unwrapped.reward_space.shape == (4,)
    linear = wrappers.LinearReward(env, weight=weight)
    linear.reset(seed=3)
    rng, total, discounted, power, over = np.random.default_rng(0), np.zeros(4), np.zeros(4), 1.0, False
    nvec = linear.action_space.nvec
    while not over:
        action = rng.integers(nvec)
        action[0] = 0  # train now: the last wait ends the run
        _, reward, terminated, truncated, info = linear.step(action)
        assert reward == pytest.approx(float(weight @ info["vector_reward"]), rel=1e-5)
        total += info["vector_reward"]
        discounted += power * info["vector_reward"]
        power *= 0.99
        over = terminated or truncated
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-4)
    np.testing.assert_allclose(info["episode"]["dr"], discounted, rtol=1e-4)


@pytest.mark.slow
def test_stable_baselines_trains_behind_mo_gymnasiums_linear_reward():
    mo_gymnasium = pytest.importorskip("mo_gymnasium")
    from stable_baselines3 import PPO

    env = mo_gymnasium.wrappers.LinearReward(
        mo_gymnasium.make("frugalfl/mo-Quadratic-v0"), weight=np.array([1.0, 1.0, 1.0, 4.0])
    )
    model = PPO("MultiInputPolicy", env, n_steps=64, batch_size=64, n_epochs=1, seed=0)
    model.learn(256)
    assert isinstance(model.action_space, spaces.MultiDiscrete)
    assert model.num_timesteps == 256
