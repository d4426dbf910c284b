"""The files for rl-baselines3-zoo: the ids exist, and every algorithm takes what stands there."""

import importlib
from pathlib import Path

import gymnasium as gym
import pytest
import yaml
from stable_baselines3 import A2C, DQN, PPO, SAC

import frugalfl
from frugalfl.agents.learning.algorithms import STORAGE_FEATURE

FOLDER = Path(frugalfl.__file__).parent / "agents" / "learning" / "hyperparams"
ALGORITHMS = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": SAC}
# What the zoo takes out before it builds the model.
ZOO_ONLY = ("n_envs", "n_timesteps", "normalize", "policy", "policy_kwargs")


def document(algo):
    return yaml.safe_load((FOLDER / f"{algo}.yml").read_text())


def entries():
    for algo in ALGORITHMS:
        for env_id in document(algo):
            if env_id != "default":
                yield algo, env_id


def test_there_is_a_file_for_every_algorithm_with_the_worlds_whose_clients_train_small_models():
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(ALGORITHMS)
    for algo in ALGORITHMS:
        ids = set(document(algo)) - {"default"}
        assert {env_id.split("/")[1].split("-")[0] for env_id in ids} == {
            "Volunteers",
            "Phones",
            "SpotMarket",
            "Outposts",
            "Roaming",
            "Quadratic",
        }


@pytest.mark.parametrize(("algo", "env_id"), list(entries()))
def test_the_algorithm_takes_the_settings_and_acts_on_the_id(algo, env_id):
    settings = document(algo)[env_id]
    assert env_id in gym.registry
    policy = settings["policy"]
    if "." in policy:
        module, _, name = policy.rpartition(".")
        policy = getattr(importlib.import_module(module), name)
    kwargs = eval(settings.get("policy_kwargs", "{}"), {"dict": dict})
    rest = {key: value for key, value in settings.items() if key not in ZOO_ONLY}
    if str(rest["learning_rate"]).startswith("lin_"):
        rest["learning_rate"] = float(rest["learning_rate"][4:])
    env = gym.make(env_id)
    if "buffer_size" in rest:
        rest["buffer_size"] = 100
    if algo == "ppo":
        assert settings["n_steps"] * settings["n_envs"] % settings["batch_size"] == 0
        rest["batch_size"] = settings["n_steps"]  # of the one environment here
    model = ALGORITHMS[algo](policy, env, policy_kwargs=kwargs, **rest)
    observation, _ = env.reset(seed=0)
    assert env.action_space.contains(model.predict(observation)[0])


@pytest.mark.parametrize("algo", ["ppo", "a2c"])
def test_the_storage_feature_is_the_one_of_the_encoder(algo):
    for env_id, settings in document(algo).items():
        assert f"storage_feature={STORAGE_FEATURE}" in settings["policy_kwargs"], env_id
