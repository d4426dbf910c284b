"""Memory: the last observations side by side, in training and in play alike."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy

import frugalfl
from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.experiment.export import export_run
from frugalfl.agents.experiment.main_job import Experiment
from frugalfl.agents.learned import FrameStack, stacked_space
from frugalfl.agents.learned.scheduler import LearnedScheduler
from frugalfl.agents.learning import PolicySettings, PPOSettings, RunSettings
from frugalfl.agents.learning.imitation import demonstrate
from frugalfl.agents.learning.learners_view import LearnersView
from frugalfl.agents.learning.run_folder import load_scheduler
from frugalfl.agents.schedulers import make_scheduler

SHORT = {"scenario": "quadratic", "max_rounds": 5, "clients": 4}


def rows(*values):
    return {"server": np.array(values, dtype=np.float32)[:, None]}


def test_the_newest_comes_first_and_the_first_stands_for_what_was_before():
    frames = FrameStack(3)
    frames.forget(np.ones(2, dtype=bool))
    assert frames.add(rows(1, 10))["server"].tolist() == [[1, 1, 1], [10, 10, 10]]
    assert frames.add(rows(2, 20))["server"].tolist() == [[2, 1, 1], [20, 10, 10]]
    assert frames.ending(1, {"server": np.array([30.0])})["server"].tolist() == [30, 20, 10]
    frames.forget(np.array([False, True]))
    assert frames.add(rows(3, 70))["server"].tolist() == [[3, 2, 1], [70, 70, 70]]
    assert frames.add(rows(4, 80))["server"].tolist() == [[4, 3, 2], [80, 70, 70]]


def test_what_is_given_out_is_not_the_memory():
    frames = FrameStack(2)
    frames.forget(np.ones(1, dtype=bool))
    frames.add(rows(1))["server"][:] = 99
    assert frames.add(rows(2))["server"].tolist() == [[2, 1]]


def test_odd_uses_are_refused():
    with pytest.raises(ValueError, match="frames: 0, expected at least 1"):
        FrameStack(0)
    with pytest.raises(ValueError, match=r"2 environments, expected forget\(\)"):
        FrameStack(2).add(rows(1, 2))
    with pytest.raises(ValueError, match=r"policy\.frames: 0, expected at least 1"):
        RunSettings(policy=PolicySettings(frames=0)).check()


class Recorder(BasePolicy):
    """Plays the same actions again and again, and remembers what it was shown."""

    def __init__(self, env, actions):
        super().__init__(env.observation_space, env.action_space)
        self.actions, self.shown = actions, []

    def predict(self, observation, deterministic=False):
        self.shown.append(observation)
        return self.actions, None

    def _predict(self, observation, deterministic=False):
        raise NotImplementedError


def test_training_and_play_show_the_same():
    worlds = frugalfl.make_vec_env("frugalfl/Quadratic-v0", 3, "train", **SHORT)
    view, face = LearnersView(worlds, 10.0, frames=3), worlds.agent_view
    view.seed(1)
    observation = view.reset()
    codec = face.codec.layout
    actions = np.zeros((3, codec.nvec.size), dtype=np.int64)
    actions[:, 2 : 2 + codec.num_clients] = 1
    recorder = Recorder(view, actions)
    player = LearnedScheduler(recorder, face.encoder, face.action_mode, frames=3)
    player.reset(np.ones(3, dtype=bool), np.zeros(3, dtype=np.int64), codec.num_clients)
    assert spaces.flatdim(view.observation_space) == 3 * spaces.flatdim(worlds.observation_space)
    for _ in range(12):  # over the end of two episodes
        player.plan(face.situation)
        assert recorder.shown[-1].keys() == observation.keys()
        for name, expected in observation.items():
            np.testing.assert_array_equal(recorder.shown[-1][name], expected)
            assert view.observation_space[name].contains(expected[0])
        observation, _, dones, infos = view.step(actions)
        for index in np.flatnonzero(dones):
            last = infos[index]["terminal_observation"]
            assert last["clients"].shape == observation["clients"].shape[1:]
        if dones.any():
            player.reset(dones, np.zeros(3, dtype=np.int64), codec.num_clients)


def test_imitation_shows_what_the_learner_sees():
    worlds = frugalfl.make_vec_env("frugalfl/Quadratic-v0", 3, "train", **SHORT)
    narrow, wide = (demonstrate(worlds, make_scheduler("random-m"), 12, frames=count) for count in (1, 3))
    np.testing.assert_array_equal(narrow.actions, wide.actions)
    for name, rows in narrow.observations.items():
        np.testing.assert_array_equal(wide.observations[name][..., : rows.shape[-1]], rows)
        assert wide.observations[name].shape[-1] == 3 * rows.shape[-1]


def test_the_space_holds_what_it_is_made_of():
    plain = spaces.Dict({"server": spaces.Box(-1.0, 2.0, (2,), dtype=np.float32)})
    assert stacked_space(plain, 3)["server"] == spaces.Box(-1.0, 2.0, (6,), dtype=np.float32)


def test_a_run_with_memory_trains_ends_and_plays(tmp_path):
    settings = RunSettings(
        env="frugalfl/Quadratic-v0",
        timesteps=128,
        num_envs=4,
        segment_steps=64,
        val_episodes=2,
        world={"max_rounds": 5, "clients": 4},
        warm_start="random-m",
        warm_start_rounds=20,
        policy=PolicySettings(hidden=8, frames=2),
        ppo=PPOSettings(rollout_steps=16, epochs=1),
    )
    run = Experiment(settings, tmp_path / "run", eval_episodes=2, rivals=("none",))
    run.begin()
    run.train()
    assert len(run.compare(progress=False).result.episodes) == 2
    player = load_scheduler(tmp_path / "run")
    result = evaluate({"memory": player}, run.scenario, 3, progress=False)
    assert np.isfinite(result.values("memory")).all()
    shipped = frugalfl.load_scheduler(
        export_run(tmp_path / "run", "with-memory", tmp_path / "zoo"), run.scenario
    )
    again = evaluate({"memory": shipped}, run.scenario, 3, progress=False)
    np.testing.assert_array_equal(again.values("memory"), result.values("memory"))
    player.reset(np.ones(2, dtype=bool), np.zeros(2, dtype=np.int64), 4)
    with pytest.raises(ValueError, match="looks at 2 rounds"):
        player.probabilities(run.env.agent_view.situation)
