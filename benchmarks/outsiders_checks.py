"""What Gymnasium, Stable-Baselines3 and other libraries do with our environments, for `outsiders.py`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np

import frugalfl

ID, FLAT = "frugalfl/Quadratic-v0", "frugalfl/Quadratic-flat-v0"
MENU, SCORES = "frugalfl/Quadratic-flat-discrete-v0", "frugalfl/Quadratic-flat-scores-v0"


@dataclass(frozen=True)
class Check:
    """Something that a library does with our environments."""

    what: str
    needs: tuple[str, ...]  # modules
    run: Callable[[], object]


CHECKS: list[Check] = []


def check(what: str, *needs: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Enters a function, which raises unless the library does what it should."""

    def enter(run: Callable[[], object]) -> Callable[[], object]:
        CHECKS.append(Check(what, needs, run))
        return run

    return enter


def stepped(env: gym.Env, steps: int = 30) -> None:
    """A single environment is reset and stepped, over the ends of its episodes."""
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert np.isfinite(reward).all()
        if terminated or truncated:
            env.reset()


def stepped_batch(envs: gym.vector.VectorEnv, steps: int = 30) -> None:
    """The same of a batch."""
    envs.reset(seed=0)
    envs.action_space.seed(0)
    for _ in range(steps):
        _, rewards, *_ = envs.step(envs.action_space.sample())
        assert np.isfinite(np.asarray(rewards, dtype=float)).all()
    envs.close()


def batch(env_id: str = ID, num_envs: int = 2, **keywords: object) -> gym.vector.VectorEnv:
    """Our own vector environment."""
    return gym.make_vec(env_id, num_envs, "vector_entry_point", **keywords)


@check("check_env, without a warning: every world, every face of one", "gymnasium")
def _() -> None:
    from gymnasium.utils.env_checker import check_env

    ids = [name for name in gym.registry if name.startswith("frugalfl/") and "mo-" not in name]
    ids = [name for name in ids if name.count("-") == 1 or "/Quadratic-" in name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ids:
            check_env(gym.make(name, disable_env_checker=True).unwrapped, skip_render_check=True)


@check("20 wrappers of single environments", "gymnasium")
def _() -> None:
    w = gym.wrappers
    box = gym.spaces.Box(-np.inf, np.inf, (2,))
    of_dict: list[Callable[[gym.Env], gym.Env]] = [
        w.FlattenObservation,
        lambda env: w.FilterObservation(env, ["clients", "server"]),
        lambda env: w.TransformObservation(env, lambda seen: seen["server"][:2], box),
        lambda env: w.TimeAwareObservation(env, flatten=False),
        lambda env: w.StickyAction(env, 0.2),
        lambda env: w.RepeatAction(env, 2),
        lambda env: w.ClipReward(env, -1, 1),
        lambda env: w.TransformReward(env, lambda reward: reward / 10),
        w.NormalizeReward,
        lambda env: w.TimeLimit(env, 5),
        w.RecordEpisodeStatistics,
        w.Autoreset,
    ]
    of_vector: list[Callable[[gym.Env], gym.Env]] = [
        lambda env: w.DtypeObservation(env, np.float64),
        lambda env: w.FrameStackObservation(env, 3),
        lambda env: w.DelayObservation(env, 2),
        lambda env: w.MaxAndSkipObservation(env, 2),
        w.NormalizeObservation,
        lambda env: w.AddWhiteNoise(env, 0.1),
    ]
    for env_id, wraps in ((ID, of_dict), (FLAT, of_vector)):
        for wrap in wraps:
            stepped(wrap(gym.make(env_id)))
    stepped(w.ClipAction(gym.make(SCORES)))
    stepped(w.RescaleAction(gym.make(SCORES), -1, 1))


@check("10 wrappers of batches", "gymnasium")
def _() -> None:
    w = gym.wrappers.vector
    stepped_batch(w.FlattenObservation(batch()))
    stepped_batch(w.FilterObservation(batch(), ["server"]))
    stepped_batch(w.DtypeObservation(batch(FLAT), np.float64))
    stepped_batch(w.NormalizeObservation(batch(FLAT)))
    stepped_batch(w.NormalizeReward(batch()))
    stepped_batch(w.ClipReward(batch(), -1, 1))
    stepped_batch(w.TransformReward(batch(), lambda rewards: rewards / 10))
    stepped_batch(w.RecordEpisodeStatistics(batch()))
    stepped_batch(w.RescaleAction(batch(SCORES), -1, 1))
    stepped_batch(w.DictInfoToList(batch()))


@check("films, of one and of a batch", "gymnasium", "moviepy")
def _() -> None:
    one = gym.make(ID, render_mode="rgb_array")
    stepped(gym.wrappers.RecordVideo(one, "one", episode_trigger=lambda number: number == 0), 12)
    films = batch(render_mode="rgb_array")
    stepped_batch(gym.wrappers.vector.RecordVideo(films, "batch", video_length=3), 5)
    assert list(Path("one").glob("*.mp4"))
    assert list(Path("batch").glob("*.mp4"))


@check("NumpyToTorch, of one and of a batch", "gymnasium", "array_api_compat")
def _() -> None:
    envs = gym.wrappers.vector.NumpyToTorch(batch())
    seen, _ = envs.reset(seed=0)
    assert seen["clients"].shape[0] == 2
    gym.wrappers.NumpyToTorch(gym.make(ID)).reset(seed=0)


@check("make_vec: sync, async, own batch x three autoreset modes", "gymnasium")
def _() -> None:
    for mode in gym.vector.AutoresetMode:
        ended = set()
        for kind in ("sync", "async", "vector_entry_point"):
            how = {} if kind == "vector_entry_point" else {"vector_kwargs": {"autoreset_mode": mode}}
            own = {"autoreset_mode": mode} if kind == "vector_entry_point" else {}
            envs = gym.make_vec(ID, 2, kind, **how, **own)
            envs.reset(seed=0)
            envs.action_space.seed(0)
            ends = 0
            for _ in range(60):
                *_, terminated, truncated, _ = envs.step(envs.action_space.sample())
                over = terminated | truncated
                ends += over.sum()
                if mode == gym.vector.AutoresetMode.DISABLED and over.any():
                    envs.reset(options={"reset_mask": over})
            envs.close()
            ended.add(int(ends))
        assert len(ended) == 1, ended
        assert ended != {0}


@check("speed utilities, env_match, spec as JSON", "gymnasium")
def _() -> None:
    from gymnasium.envs.registration import EnvSpec
    from gymnasium.utils import env_match, performance

    env = gym.make(ID, clients=7, render_mode="rgb_array")
    assert performance.benchmark_step(env, target_duration=1, seed=0) > 0
    assert performance.benchmark_render(env, target_duration=1) > 0
    assert performance.benchmark_init(lambda: gym.make(ID), target_duration=1, seed=0) > 0
    assert performance.benchmark_vector_step(batch(), target_duration=1, seed=0) > 0
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    env_match.check_environments_match(env, again, num_steps=20)


def learn_sb3(name: str, env: object = ID, policy: str = "MultiInputPolicy", **settings: object) -> None:
    """An algorithm of Stable-Baselines3 or its contributions, for a few steps."""
    import sb3_contrib
    import stable_baselines3

    learner = getattr(stable_baselines3, name, None) or getattr(sb3_contrib, name)
    steps = settings.pop("steps", 128)
    model = learner(policy, env, **settings).learn(steps)
    model.save("model")
    learner.load("model.zip", env=model.get_env())


for _name, _env, _policy, _settings in (
    ("PPO", ID, "MultiInputPolicy", {"n_steps": 64}),
    ("A2C", ID, "MultiInputPolicy", {}),
    ("MaskablePPO", ID, "MultiInputPolicy", {"n_steps": 64}),
    ("TRPO", ID, "MultiInputPolicy", {"n_steps": 64}),
    ("RecurrentPPO", ID, "MultiInputLstmPolicy", {"n_steps": 64}),
    ("DQN", "frugalfl/Quadratic-discrete-v0", "MultiInputPolicy", {"learning_starts": 20}),
    ("QRDQN", "frugalfl/Quadratic-discrete-v0", "MultiInputPolicy", {"learning_starts": 20}),
    ("SAC", "frugalfl/Quadratic-scores-v0", "MultiInputPolicy", {"learning_starts": 100}),
    ("TD3", "frugalfl/Quadratic-scores-v0", "MultiInputPolicy", {"learning_starts": 100}),
    ("TQC", "frugalfl/Quadratic-scores-v0", "MultiInputPolicy", {"learning_starts": 100}),
    ("CrossQ", SCORES, "MlpPolicy", {"learning_starts": 100}),
    ("ARS", SCORES, "LinearPolicy", {"n_delta": 2}),
    ("ARS", MENU, "LinearPolicy", {"n_delta": 2}),
):
    check(f"{_name} on {_env.removeprefix('frugalfl/')}", "stable_baselines3", "sb3_contrib")(
        lambda name=_name, env=_env, policy=_policy, settings=_settings: learn_sb3(
            name, env, policy, **dict(settings)
        )
    )


@check("PPO on Dummy, Subproc and our own VecEnv", "stable_baselines3")
def _() -> None:
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    for kind in (DummyVecEnv, SubprocVecEnv):
        envs = make_vec_env(ID, n_envs=2, vec_env_cls=kind)
        learn_sb3("PPO", envs, n_steps=32, batch_size=32)
        envs.close()
    learn_sb3("PPO", frugalfl.make_vec_env(ID, n_envs=2), n_steps=32, batch_size=32)


@check("check_env; VecMonitor, VecNormalize, VecFrameStack", "stable_baselines3")
def _() -> None:
    from stable_baselines3.common.env_checker import check_env
    from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize

    check_env(gym.make(FLAT), warn=True)
    venv = VecMonitor(frugalfl.make_vec_env(ID, n_envs=2), "monitor", info_keywords=("episode_kilograms",))
    learn_sb3("PPO", VecNormalize(VecFrameStack(venv, 2)), n_steps=64, batch_size=64, steps=256)
    assert len(Path("monitor.monitor.csv").read_text().splitlines()) > 2


@check("EvalCallback, CheckpointCallback", "stable_baselines3")
def _() -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common import callbacks
    from stable_baselines3.common.vec_env import VecMonitor

    other = VecMonitor(frugalfl.make_vec_env(ID, n_envs=2))
    seen = callbacks.EvalCallback(other, eval_freq=32, n_eval_episodes=2, verbose=0)
    kept = callbacks.CheckpointCallback(32, "kept")
    model = PPO("MultiInputPolicy", frugalfl.make_vec_env(ID, n_envs=2), n_steps=32, batch_size=32)
    model.learn(128, callback=[seen, kept])
    assert np.isfinite(seen.last_mean_reward)
    assert list(Path("kept").glob("*.zip"))


@check("VecVideoRecorder", "stable_baselines3", "moviepy")
def _() -> None:
    from stable_baselines3.common.vec_env import VecVideoRecorder

    venv = frugalfl.make_vec_env(ID, n_envs=2, render_mode="rgb_array")
    film = VecVideoRecorder(venv, "films", lambda step: step == 0, video_length=3)
    film.reset()
    for _ in range(5):
        film.step(np.stack([venv.action_space.sample()] * 2))
    film.close()
    assert list(Path("films").glob("*.mp4"))
