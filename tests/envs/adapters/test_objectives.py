"""Vector rewards: objectives of one's choice, in every face that a library for several objectives takes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from frugalfl.envs.adapters import FederatedEnv
from frugalfl.envs.registration import entries

MO = [entry.id for entry in entries() if "/mo-Quadratic" in entry.id]


def busy(env, seed=3):
    """A step in which somebody trains, so that every term is at work."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    action = env.action_space.sample()
    action[..., 0] = 0
    *_, info = step = env.step(action)
    return step[1], info["reward_terms"]


def test_what_is_no_objective_is_added_to_the_first_at_its_price():
    env = gym.make("frugalfl/mo-Quadratic-v0", objectives=["accuracy", "emissions"])
    reward, (accuracy, hours, gigabytes, kilograms) = busy(env)
    assert min(abs(accuracy), -hours, -gigabytes, -kilograms) > 0
    np.testing.assert_allclose(reward, [accuracy + hours + gigabytes, kilograms], rtol=1e-6)
    assert reward.dtype == np.float32 and env.unwrapped.reward_space.contains(reward)
    assert env.unwrapped.reward_dim == 2 and env.unwrapped.reward_space.shape == (2,)


def test_objectives_of_costs_alone_keep_their_order_and_their_sum():
    whole = FederatedEnv("quadratic").reset(seed=3)
    env = FederatedEnv("quadratic", vector_reward=True, objectives=("emissions", "time", "accuracy"))
    reward, (accuracy, hours, gigabytes, kilograms) = busy(env)
    np.testing.assert_allclose(reward, [kilograms + gigabytes, hours, accuracy], rtol=1e-6)
    assert whole and reward.sum() == pytest.approx(accuracy + hours + gigabytes + kilograms, rel=1e-5)
    np.testing.assert_array_equal(env.reward_space.high, [0, 0, 100])


def test_the_reference_point_is_worse_than_runs_worth_making():
    env = gym.make("frugalfl/mo-Quadratic-v0")
    env.action_space.seed(0)
    env.reset(seed=0)
    total, ended = np.zeros(4), False
    while not ended:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total, ended = total + reward, terminated or truncated
    assert (total > env.unwrapped.reference_point).all()


def test_batches_have_the_same_vectors():
    batch = gym.make_vec("frugalfl/mo-Quadratic-v0", 2, "vector_entry_point", objectives=["accuracy", "time"])
    reward, terms = busy(batch)
    assert reward.shape == (2, 2) and batch.unwrapped.reward_space.shape == (2,)
    np.testing.assert_allclose(reward[:, 1], terms[:, 1], rtol=1e-6)
    np.testing.assert_allclose(reward.sum(axis=1), terms.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (["accuracy", "emission"], "'emission' is no term; did you mean 'emissions'"),
        (["time", "time"], "expected one term or several different ones"),
        ([], "expected one term or several different ones"),
    ],
)
def test_other_objectives_are_refused(objectives, message):
    with pytest.raises(ValueError, match=f"objectives: .*{message}"):
        gym.make("frugalfl/mo-Quadratic-v0", objectives=objectives)


def test_a_number_has_no_objectives():
    with pytest.raises(ValueError, match="expected vector_reward=True or an id mo-"):
        gym.make("frugalfl/Quadratic-v0", objectives=["accuracy"])


@pytest.mark.parametrize("env_id", MO)
def test_every_face_keeps_the_contract_of_mo_gymnasium(env_id):
    """What morl-baselines reads: a reward space, its size, float32 vectors, a plain action."""
    env = gym.make(env_id, objectives=["accuracy", "emissions"]).unwrapped
    env.reset(seed=1)
    env.action_space.seed(1)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert env.reward_space.shape == reward.shape == env.reference_point.shape == (2,)
    assert reward.dtype == np.float32 and env.observation_space.contains(observation)
    kinds = {"-discrete": gym.spaces.Discrete, "-scores": gym.spaces.Box}
    face = next((kinds[name] for name in kinds if name in env_id), gym.spaces.MultiDiscrete)
    assert isinstance(env.action_space, face)
    assert isinstance(env.observation_space, gym.spaces.Box) == ("-flat" in env_id)
