"""Pictures of a batch: each environment's own, for Gymnasium's and Stable-Baselines3's recorders."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import frugalfl
from frugalfl.envs.adapters import FederatedVectorEnv

ID = "frugalfl/Quadratic-v0"
E = 2


def actions(space, step):
    space.seed(step)
    action = space.sample()
    action[..., 0] = 0
    return action


def test_every_environment_of_a_batch_shows_what_it_shows_alone():
    batch = gym.make_vec(ID, E, "vector_entry_point", render_mode="ansi", max_rounds=2)
    singles = [gym.make(ID, render_mode="ansi", max_rounds=2) for _ in range(E)]
    batch.reset(seed=4)
    for row, env in enumerate(singles):
        env.reset(seed=4 + row)
    assert batch.render() == tuple(env.render() for env in singles)
    for step in range(2):
        action = actions(batch.action_space, step)
        batch.step(action)
        for row, env in enumerate(singles):
            env.step(action[row])
        assert batch.render() == tuple(env.render() for env in singles)
    before = batch.render()
    batch.step(action)  # both have ended: new episodes begin
    assert all("round 0 " in page and page != old for page, old in zip(batch.render(), before, strict=True))


def test_images_come_one_an_environment_and_tiled_for_sb3():
    batch = FederatedVectorEnv(E, "quadratic", render_mode="rgb_array")
    batch.reset(seed=0)
    assert [image.shape for image in batch.render()] == [(600, 960, 3)] * E
    venv = frugalfl.make_vec_env(ID, E, render_mode="rgb_array")
    venv.reset()
    assert venv.render().shape == (1200, 960, 3)
    assert venv.metadata["render_fps"] == 4 and "rgb_array" in venv.metadata["render_modes"]
    one = venv.env_method("render", indices=1)[0]
    np.testing.assert_array_equal(venv.render()[600:], one)
    np.testing.assert_array_equal(venv.get_attr("render", indices=[1])[0](), one)


@pytest.mark.parametrize(
    "make",
    [
        lambda mode: frugalfl.make_vec_env(ID, E, render_mode=mode),
        lambda mode: FederatedVectorEnv(E, "quadratic", render_mode=mode),
    ],
)
def test_other_render_modes_are_refused_and_none_warns(make):
    with pytest.raises(ValueError, match=r"render_mode: 'human', expected one of \['ansi', 'rgb_array'\]"):
        make("human")
    env = make(None)
    env.reset()
    with pytest.warns(UserWarning, match="render"):
        assert env.render() is None


@pytest.mark.slow
def test_recorders_write_films(tmp_path):
    pytest.importorskip("moviepy")
    from gymnasium.wrappers.vector import RecordVideo
    from stable_baselines3.common.vec_env import VecVideoRecorder

    batch = gym.make_vec(ID, E, "vector_entry_point", render_mode="rgb_array")
    film = RecordVideo(
        batch, str(tmp_path / "gymnasium"), video_length=2, step_trigger=lambda step: step == 0
    )
    film.reset(seed=0)
    for step in range(3):
        film.step(actions(batch.action_space, step))
    film.close()
    venv = frugalfl.make_vec_env(ID, E, render_mode="rgb_array")
    recorder = VecVideoRecorder(venv, str(tmp_path / "sb3"), lambda step: step == 0, video_length=2)
    recorder.reset()
    for step in range(3):
        recorder.step(np.stack([actions(venv.action_space, step)] * E))
    recorder.close()
    assert all(list((tmp_path / name).glob("*.mp4")) for name in ("gymnasium", "sb3"))
