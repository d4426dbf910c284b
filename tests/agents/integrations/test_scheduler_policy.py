"""A scheduler in somebody else's loop plays what it plays in ours."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import frugalfl
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import rollout
from frugalfl.worlds import FederatedWorld

ID = "frugalfl/Quadratic-v0"
# Steps and quorum of the scheduler are levels of the world: its plans can be said exactly.
SETTINGS = {"local_steps": 10, "quorum": 0.8, "participants": 4, "stop_after_rounds": 3}
CHANGES = {"clients": 8, "levels": {"first_stop": 0}}


def expected(seeds):
    """Net points of the same episodes in the package's own loop."""
    world = FederatedWorld(frugalfl.load_scenario("quadratic", **CHANGES), len(seeds), "train")
    for _ in rollout(world, make_scheduler("random-m", **SETTINGS), np.asarray(seeds)):
        pass
    return world.totals()["net_points"]


def policy_of(env):
    return frugalfl.as_policy(make_scheduler("random-m", **SETTINGS), env)


def test_a_single_environment_episode_after_episode():
    env = gym.make(ID, **CHANGES)
    policy, seeds, points = policy_of(env), [], []
    observation, info = env.reset(seed=4)
    for _ in range(2):
        ended = False
        while not ended:
            action, state = policy.predict(observation)
            assert state is None and env.action_space.contains(action)
            observation, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        seeds.append(info["episode_seed"])
        points.append(info["episode_net_points"])
        observation, _ = env.reset()
    np.testing.assert_array_equal(points, expected(seeds))


def first_ends(env, policy, steps):
    """Seeds and net points of the first episode of each of three environments."""
    observation, _ = env.reset(seed=4)
    found = {}
    for _ in range(steps):
        actions, _ = policy.predict(observation)
        observation, *_, info = env.step(actions)
        for row in np.flatnonzero(info.get("_final_info", np.zeros(3))):
            told = info["final_info"]
            found.setdefault(row, (told["episode_seed"][row], told["episode_net_points"][row]))
    assert set(found) == {0, 1, 2}
    return zip(*(found[row] for row in range(3)), strict=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gym.make_vec(ID, 3, "vector_entry_point", autoreset_mode=AutoresetMode.SAME_STEP, **CHANGES),
        lambda: SyncVectorEnv([lambda: gym.make(ID, **CHANGES)] * 3, autoreset_mode=AutoresetMode.SAME_STEP),
    ],
    ids=["batch", "sync"],
)
def test_batches_of_gymnasium(make):
    env = make()
    seeds, points = first_ends(env, policy_of(env), steps=40)
    np.testing.assert_array_equal(points, expected(seeds))


@pytest.mark.parametrize(
    "make",
    [
        lambda: VecMonitor(frugalfl.make_vec_env(ID, 2, **CHANGES)),
        lambda: DummyVecEnv([lambda: Monitor(gym.make(ID, **CHANGES))] * 2),
        lambda: Monitor(gym.make(ID, **CHANGES)),
    ],
    ids=["VecEnv", "DummyVecEnv", "single"],
)
def test_evaluate_policy_of_sb3_needs_nothing_else(make):
    env = make()
    env.reset() if isinstance(env, gym.Env) else env.seed(3)
    points, lengths = evaluate_policy(policy_of(env), env, n_eval_episodes=4, return_episode_rewards=True)
    assert len(points) == 4 and len(set(points)) == 4
    assert min(lengths) >= SETTINGS["stop_after_rounds"]


def test_the_settings_tuned_for_the_world_are_the_defaults_of_a_name():
    env = gym.make(ID)
    env.reset(seed=1)
    tuned = frugalfl.as_policy("oort", env)._seats[0]._scheduler
    assert tuned.local_steps == make_scheduler("oort", "quadratic").local_steps
    assert frugalfl.as_policy("oort", env, local_steps=7)._seats[0]._scheduler.local_steps == 7


@pytest.mark.parametrize(
    ("make", "source", "message"),
    [
        (
            lambda: gym.make("CartPole-v1"),
            "random-m",
            "env: CartPoleEnv, expected an environment of frugalfl",
        ),
        (lambda: gym.make("frugalfl/Quadratic-discrete-v0"), "random-m", "expected action: 'levels'"),
        (lambda: gym.make(ID), "clairvoyant", "has to see its episodes before"),
        (lambda: gym.make(ID), "ortt", "did you mean 'oort'"),
    ],
)
def test_what_cannot_be_played_is_said_at_once(make, source, message):
    with pytest.raises(ValueError, match=message):
        frugalfl.as_policy(source, make())


def test_a_question_that_no_action_can_ask_is_refused():
    env = gym.make("frugalfl/Volunteers-v0", clients=8)
    observation, _ = env.reset(seed=1)
    policy = frugalfl.as_policy(make_scheduler("cpow-d", participants=2), env)

    def play():
        for _ in range(20):
            env.step(policy.predict(observation)[0])

    with pytest.raises(ValueError, match="asks clients for their losses, which no action can say"):
        play()


def test_before_an_episode_there_is_nothing_to_decide():
    env = gym.make(ID)
    with pytest.raises(ValueError, match="no episode has begun; reset the environment first"):
        frugalfl.as_policy("random-m", env).predict(env.observation_space.sample())
