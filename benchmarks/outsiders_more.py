"""What libraries of more than one kind do with our environments, for `outsiders.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
from outsiders_checks import FLAT, ID, MENU, SCORES, batch, check, stepped, stepped_batch


@check("GymEnv on every face; GymWrapper", "torchrl")
def _() -> None:
    from torchrl.envs import GymEnv, GymWrapper, check_env_specs

    for env_id in (ID, FLAT, MENU, SCORES, "frugalfl/Volunteers-v0", "frugalfl/Serving-v0"):
        env = GymEnv(env_id)
        check_env_specs(env)
        env.rollout(3)
    GymWrapper(gym.make(ID)).rollout(3)


@check("Collector and ClipPPO on -flat-discrete", "torchrl", "tensordict")
def _() -> None:
    import torch
    from tensordict.nn import TensorDictModule
    from torchrl.collectors import Collector
    from torchrl.envs import GymEnv
    from torchrl.modules import OneHotCategorical, ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    env = GymEnv(MENU)
    wide, choices = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]
    net = TensorDictModule(torch.nn.Linear(wide, choices), ["observation"], ["logits"])
    actor = ProbabilisticActor(
        net, in_keys=["logits"], distribution_class=OneHotCategorical, return_log_prob=True
    )
    value = ValueOperator(torch.nn.Linear(wide, 1), in_keys=["observation"])
    loss = ClipPPOLoss(actor, value)
    for data in Collector(env, actor, frames_per_batch=32, total_frames=64):
        GAE(gamma=1.0, lmbda=0.95, value_network=value)(data)
        loss(data)["loss_objective"].backward()


@check("wrappers MONormalizeReward, MOClipReward, MORecordEpisodeStatistics", "mo_gymnasium")
def _() -> None:
    import mo_gymnasium as mo
    from mo_gymnasium import wrappers

    def make() -> gym.Env:
        return mo.make("frugalfl/mo-Quadratic-flat-discrete-v0")

    stepped(wrappers.MONormalizeReward(make(), idx=0))
    stepped(wrappers.MOClipReward(make(), idx=0, min_r=-1, max_r=1))
    stepped_batch(
        wrappers.vector.MORecordEpisodeStatistics(wrappers.vector.MOSyncVectorEnv([make, make])), 60
    )
    stepped_batch(batch("frugalfl/mo-Quadratic-v0"))


@check("Envelope on mo- -flat-discrete, CAPQL on mo- -flat-scores", "morl_baselines")
def _() -> None:
    from morl_baselines.multi_policy.capql.capql import CAPQL
    from morl_baselines.multi_policy.envelope.envelope import Envelope

    for learner, face in ((Envelope, "discrete"), (CAPQL, "scores")):
        env, other = (gym.make(f"frugalfl/mo-Quadratic-flat-{face}-v0") for _ in range(2))
        point = env.unwrapped.reference_point
        agent = learner(env, learning_starts=32, batch_size=16, net_arch=[32], log=False)
        agent.train(total_timesteps=64, eval_env=other, ref_point=point, eval_freq=10**6)


@check("DataCollector, with and without infos", "minari")
def _() -> None:
    import minari

    for infos in (False, True):
        env = minari.DataCollector(gym.make(ID), record_infos=infos)
        stepped(env, 20)
        kept = env.create_dataset(f"frugalfl/quadratic/infos{int(infos)}-v0", algorithm_name="random")
        assert kept.total_steps > 0
        assert kept.recover_environment().spec.id == ID


def command(*words: str) -> None:
    """A library's own command, which must succeed."""
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


@check("train and enjoy, with the settings of the package", "rl_zoo3")
def _() -> None:
    from frugalfl.agents import learning

    settings = str(Path(learning.__file__).parent / "hyperparams" / "ppo.yml")
    common = ("--algo", "ppo", "--env", ID, "--gym-packages", "frugalfl", "-f", "logs")
    command("rl_zoo3.train", *common, "-n", "2048", "-conf", settings)
    command("rl_zoo3.enjoy", *common, "-n", "50", "--no-render")


@check("PPO and DQN on -flat-discrete, SAC on -flat-scores", "sbx")
def _() -> None:
    import sbx

    sbx.PPO("MlpPolicy", MENU, n_steps=32, batch_size=32).learn(64)
    sbx.DQN("MlpPolicy", MENU, learning_starts=20).learn(64)
    sbx.SAC("MlpPolicy", SCORES, learning_starts=20).learn(64)


@check("PPO on -flat-discrete", "sheeprl")
def _() -> None:
    env = ("env=gym", f"env.id=frugalfl:{MENU}", "env.capture_video=False", "env.sync_env=True")
    how = ("fabric.accelerator=cpu", "dry_run=True", "metric.log_level=0", "algo.mlp_keys.encoder=[state]")
    command("sheeprl", "exp=ppo", *env, *how)


@check("DQN learns from a batch of -flat-discrete", "agilerl", "peft")
def _() -> None:
    from agilerl.algorithms import DQN
    from agilerl.components.data import Transition
    from agilerl.components.replay_buffer import ReplayBuffer

    envs = batch(MENU)
    agent = DQN(envs.single_observation_space, envs.single_action_space, batch_size=16)
    memory = ReplayBuffer(max_size=200)
    seen, _ = envs.reset(seed=0)
    for _ in range(20):
        action = agent.get_action(seen, epsilon=0.5)
        following, reward, over, _, _ = envs.step(action)
        step = Transition(obs=seen, action=action, reward=reward, next_obs=following, done=over)
        rows = step.to_tensordict()
        rows.batch_size = [envs.num_envs]
        memory.add(rows)
        seen = following
    agent.learn(memory.sample(16))
