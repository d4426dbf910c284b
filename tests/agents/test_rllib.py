"""Under RLlib: masks travel in the observation, and no illegal action is ever taken."""

import os
import subprocess
import sys
import textwrap

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from frugalfl.agents.integrations.rllib import MASK, OBSERVATIONS, FlatWithMask, make_masked


@pytest.mark.parametrize("name", ["frugalfl/Volunteers-v0", "frugalfl/Phones-discrete-v0"])
def test_the_mask_of_the_next_decision_is_in_the_observation(name):
    env = make_masked(name, {"clients": 5})
    observation, _ = env.reset(seed=1)
    for _ in range(3):
        assert env.observation_space.contains(observation)
        assert np.array_equal(observation[MASK], env.unwrapped.action_masks())
        assert observation[OBSERVATIONS].ndim == 1
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, _ = env.reset()


def test_it_is_a_gymnasium_environment():
    env = make_masked("frugalfl/Volunteers-v0", {"clients": 4})
    # The checker warns of a wrapped environment whatever it is.
    with pytest.warns(UserWarning, match="wrapped"):
        check_env(env, skip_render_check=True)


def test_actions_without_masks_are_refused():
    with pytest.raises(ValueError, match="expected Discrete or MultiDiscrete"):
        FlatWithMask(gym.make("frugalfl/Volunteers-scores-v0"))


PROGRAM = """
import ray
ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
from ray.rllib.algorithms.ppo import PPOConfig
from frugalfl.agents.integrations.rllib import masked_module, register_rllib

assert "frugalfl/Volunteers-v0" in register_rllib()
config = (
    PPOConfig()
    .environment("frugalfl/Volunteers-v0", env_config={"clients": 4, "max_rounds": 8})
    .env_runners(num_env_runners=0)
    .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=2)
    .rl_module(rl_module_spec=masked_module(fcnet_hiddens=[32]))
)
algorithm = config.build_algo()
for _ in range(2):
    result = algorithm.train()

import numpy as np, torch
from ray.rllib.core.columns import Columns
module = algorithm.get_module()
env = algorithm.env_runner.env.unwrapped
from frugalfl.agents.integrations.rllib import make_masked
world = make_masked("frugalfl/Volunteers-v0", {"clients": 4})
observation, _ = world.reset(seed=0)
legal = observation["action_mask"] > 0
batch = {Columns.OBS: {k: torch.as_tensor(v)[None] for k, v in observation.items()}}
logits = module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS][0].detach().numpy()
assert (logits[~legal] <= -1e9).all() and (logits[legal] > -1e9).all() and (~legal).any()
learners = result["learners"]["default_policy"]
assert np.isfinite(learners["total_loss"]) and np.isfinite(learners["entropy"])
print("trained", int(result["env_runners"]["num_env_steps_sampled_lifetime"]))
ray.shutdown()
"""


@pytest.mark.slow
def test_a_short_training_with_masks(tmp_path):
    pytest.importorskip("ray.rllib")
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "trained 128" in done.stdout
