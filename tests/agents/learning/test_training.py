"""Training in segments: a run that was killed ends exactly as one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from frugalfl.agents.learning import (
    ALGORITHMS,
    A2CSettings,
    DQNSettings,
    PolicySettings,
    PPOSettings,
    RunSettings,
    SACSettings,
)
from frugalfl.agents.learning.algorithms import (
    STORAGE_FEATURE,
    build_model,
    check_algorithm,
    learning_rate_at,
)
from frugalfl.agents.learning.checkpoint import latest_checkpoint, load_tensors, save_checkpoint
from frugalfl.agents.learning.learners_view import LearnersView
from frugalfl.agents.learning.training import CHECKPOINTS, TrainingRun, rounds_on_disk
from frugalfl.envs.agent_view import CLIENT_FEATURES, SERVER_FEATURES

N, STEPS = 5, 7
F, G = len(CLIENT_FEATURES), len(SERVER_FEATURES)
FACES = {
    "levels": spaces.MultiDiscrete([4, 3] + [5] * N + [3] * N),
    "discrete": spaces.Discrete(6),
    "scores": spaces.Box(-1, 1, (4 + N,), np.float32),
}
FACE_OF = {"ppo": "levels", "maskable-ppo": "levels", "a2c": "levels", "dqn": "discrete", "sac": "scores"}
ID_OF = {"levels": "frugalfl/Volunteers-v0", "discrete": "frugalfl/Volunteers-discrete-v0"}


class TinyEnv(VecEnv):
    """Random observations, a reward for inviting, seven rounds; every row has its own generator."""

    def __init__(self, num_envs=4, face="levels"):
        observation = spaces.Dict(
            clients=spaces.Box(-1, 1, (N, F), np.float32),
            server=spaces.Box(-1, 1, (G,), np.float32),
            zones=spaces.Box(-1, 1, (2, 4), np.float32),
        )
        self.render_mode = None
        super().__init__(num_envs, observation, FACES[face])
        self.generators = [np.random.default_rng() for _ in range(num_envs)]
        self.round = np.zeros(num_envs, dtype=int)
        self.points = np.zeros(num_envs)
        self.interrupt_at = None
        self.steps = 0

    def _observe(self):
        rows = []
        for generator in self.generators:
            clients = generator.uniform(-1, 1, (N, F)).astype(np.float32)
            clients[:, 0] = generator.random(N) < 0.7
            clients[:, STORAGE_FEATURE] = generator.integers(0, 2, N)
            rows.append((clients, generator.uniform(-1, 1, G), generator.uniform(-1, 1, (2, 4))))
        self.there = np.stack([row[0][:, 0] for row in rows]) > 0.5
        names = ("clients", "server", "zones")
        return {
            key: np.stack(part).astype(np.float32)
            for key, part in zip(names, zip(*rows, strict=True), strict=True)
        }

    def reset(self):
        for index, seed in enumerate(self._seeds):
            if seed is not None:
                self.generators[index] = np.random.default_rng(seed)
        self._reset_seeds()
        self.round[:] = 0
        self.points[:] = 0
        return self._observe()

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        self.steps += 1
        if self.interrupt_at is not None and self.steps >= self.interrupt_at:
            raise KeyboardInterrupt
        flat = np.asarray(self.actions, dtype=np.float64).reshape(self.num_envs, -1)
        rewards = np.tanh(flat).mean(axis=1).astype(np.float32)
        self.round += 1
        self.points += rewards
        dones = self.round >= STEPS
        observation = self._observe()
        infos = [{} for _ in dones]
        for index in np.flatnonzero(dones):
            infos[index] = {
                "terminal_observation": {key: rows[index] for key, rows in observation.items()},
                "TimeLimit.truncated": True,
                "episode": {"r": float(self.points[index]), "l": STEPS},
                "episode_totals": {"net_points": self.points[index], "accuracy": 0.5},
            }
        self.round[dones] = 0
        self.points[dones] = 0
        return observation, rewards, dones, infos

    def env_method(self, method_name, *args, indices=None, **kwargs):
        masks = np.ones((self.num_envs, self.action_space.nvec.sum()), dtype=bool)
        masks[:, 3] = False
        return list(masks)

    def has_attr(self, attr_name):
        return attr_name == "action_masks"

    def get_attr(self, attr_name, indices=None):
        return [getattr(self, attr_name)] * self.num_envs

    def close(self): ...
    def set_attr(self, attr_name, value, indices=None): ...
    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs


def make_settings(algo="ppo", **changes):
    off = dict(batch_size=16, learning_starts=16, gradient_steps=1, buffer_mb=1)
    defaults = dict(
        env=ID_OF.get(FACE_OF[algo], "frugalfl/Volunteers-scores-v0"),
        algo=algo,
        timesteps=192,
        num_envs=4,
        segment_steps=64,
        validate_every=1,
        policy=PolicySettings(hidden=8),
        ppo=PPOSettings(rollout_steps=8, batch_size=16, epochs=2),
        a2c=A2CSettings(rollout_steps=4),
        dqn=DQNSettings(**off, target_update_steps=32),
        sac=SACSettings(**off),
    )
    return RunSettings(**{**defaults, **changes})


def make_run(out, algo="ppo", env=None, **kwargs):
    settings = kwargs.pop("settings", None) or make_settings(algo)
    return TrainingRun(settings, env or TinyEnv(face=FACE_OF[algo]), Path(out), **kwargs)


def validate(model):
    """Any fixed function of the weights will do."""
    return float(sum(tensor.double().sum() for tensor in model.policy.state_dict().values())), "mode"


def same_weights(first, second):
    one, two = first.model.policy.state_dict(), second.model.policy.state_dict()
    return one.keys() == two.keys() and all(th.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_resumed_run_ends_as_an_unbroken_one(algo, tmp_path):
    unbroken = make_run(tmp_path / "a", algo, validate=validate)
    untrained = {key: tensor.clone() for key, tensor in unbroken.model.policy.state_dict().items()}
    unbroken.train()
    assert any(not th.equal(untrained[key], now) for key, now in unbroken.model.policy.state_dict().items())

    env = TinyEnv(face=FACE_OF[algo])
    broken = make_run(tmp_path / "b", algo, env, validate=validate)
    env.interrupt_at = 26  # in the second segment
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    assert rounds_on_disk(tmp_path / "b") == 64
    th.rand(3)  # whatever happens in between must not matter
    resumed = make_run(tmp_path / "b", algo, validate=validate)
    resumed.load(latest_checkpoint(tmp_path / "b" / CHECKPOINTS))
    resumed.train()
    assert resumed.done == unbroken.done == 192
    assert same_weights(resumed, unbroken)
    assert resumed.history == unbroken.history
    assert resumed.best == unbroken.best
    assert same_weights_of(resumed.best_model(), unbroken.best_model())


def same_weights_of(first, second):
    one, two = first.policy.state_dict(), second.policy.state_dict()
    return all(th.equal(one[key], two[key]) for key in one)


def test_seeds_decide_everything(tmp_path):
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run = make_run(tmp_path / name, settings=make_settings(seed=seed, timesteps=64))
        run.train()
        runs.append(run)
    assert same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


def test_the_best_model_on_validation_is_kept(tmp_path):
    scores = iter([1.0, 5.0, 3.0, 2.0])
    seen = []

    def judge(model):
        seen.append({key: tensor.clone() for key, tensor in model.policy.state_dict().items()})
        return next(scores), "count"

    run = make_run(tmp_path, validate=judge)
    run.train()
    assert run.best == {"net_points": 5.0, "segment": 1, "decision": "count"}
    best = run.best_model().policy.state_dict()
    assert all(th.equal(best[key], seen[1][key]) for key in best)
    assert [line["val_net_points"] for line in run.history] == [5.0, 3.0, 2.0]
    assert run.history[0]["rounds_trained"] == 64
    assert run.history[0]["accuracy"] == 0.5


def test_the_warm_start_happens_once_and_before_the_first_checkpoint(tmp_path):
    calls = []
    settings = make_settings(warm_start="random-m")
    run = make_run(tmp_path, settings=settings, warm_start=calls.append)
    run.train()
    again = make_run(tmp_path, settings=settings, warm_start=calls.append)
    again.load(latest_checkpoint(tmp_path / CHECKPOINTS))
    again.train()
    assert len(calls) == 1


def test_an_interrupt_before_the_first_checkpoint_is_no_loss(tmp_path):
    def impatient(model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, validate=impatient).train()
    assert rounds_on_disk(tmp_path) == 0


def test_rewards_are_scaled_and_the_round_limit_is_an_end():
    env = TinyEnv(num_envs=2)
    view = LearnersView(env, 10.0)
    env.seed(0)
    view.reset()
    actions = np.ones((2, env.action_space.nvec.size), dtype=int)
    for _ in range(STEPS):
        _, rewards, dones, infos = view.step(actions)
    assert rewards == pytest.approx(np.tanh(1) / 10)
    assert dones.all()
    assert not infos[0]["TimeLimit.truncated"]
    assert infos[0]["episode_totals"]["net_points"] == pytest.approx(STEPS * np.tanh(1))


def test_the_learning_rate_falls_over_the_whole_run_not_over_segments(tmp_path):
    settings = make_settings()
    assert learning_rate_at(settings, 0) == settings.ppo.learning_rate
    assert learning_rate_at(settings, 192) == pytest.approx(settings.ppo.final_learning_rate)
    run = make_run(tmp_path, settings=settings)
    run.train()
    rate = run.model.policy.optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(learning_rate_at(settings, 128))


class TestCheckpoints:
    def trained(self, tmp_path, algo="ppo"):
        run = make_run(tmp_path, algo, settings=make_settings(algo, timesteps=64))
        run.train()
        return run, tmp_path / CHECKPOINTS

    def test_only_the_latest_two_stay(self, tmp_path):
        make_run(tmp_path).train()
        names = sorted(path.name for path in (tmp_path / CHECKPOINTS).iterdir())
        assert names == ["step-000000000128", "step-000000000192"]

    def test_nothing_in_them_needs_pickle(self, tmp_path):
        _, root = self.trained(tmp_path, "sac")
        folder = latest_checkpoint(root).folder
        load_tensors(folder / "state.pt", "cpu")
        with np.load(folder / "buffer.npz", allow_pickle=False) as arrays:
            assert arrays["rewards"].shape == (16, 4)
        json.loads((folder / "state.json").read_text())

    def test_damage_is_reported_in_one_line(self, tmp_path):
        _, root = self.trained(tmp_path)
        path = self.only_the_last(root) / "state.pt"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        self.refuses(root, "state.pt: missing or damaged")
        path.unlink()
        self.refuses(root, "state.pt: missing or damaged")
        (path.parent / "state.json").write_text('{"format": "other"}')
        self.refuses(root, "format 'other', expected 'frugalfl-checkpoint-1'")
        (path.parent / "state.json").write_text('{"format":')
        self.refuses(root, "not JSON")
        (path.parent / "state.json").unlink()
        self.refuses(root, "No such file")
        self.refuses(tmp_path / "nowhere", "no checkpoint there")

    def only_the_last(self, root):
        last = latest_checkpoint(root).folder
        for other in root.iterdir():
            if other != last:
                shutil.rmtree(other)
        return last

    def test_a_damaged_one_is_passed_over(self, tmp_path):
        make_run(tmp_path).train()
        root = tmp_path / CHECKPOINTS
        newest = latest_checkpoint(root).folder
        (newest / "state.json").write_text("")
        with pytest.warns(
            RuntimeWarning, match="not JSON.*; going on from step-000000000128, the one before it"
        ):
            assert latest_checkpoint(root).num_timesteps == 128

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"files": []}, "files: input should be"),
            ({"counters": {"num_timesteps": "many"}}, "counters.num_timesteps: input should be"),
            ({"settings": None}, "settings: input should be"),
        ],
    )
    def test_a_state_of_other_types_is_one_line(self, tmp_path, change, words):
        _, root = self.trained(tmp_path)
        path = self.only_the_last(root) / "state.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        self.refuses(root, f"state.json: {words}")

    def refuses(self, root, message):
        with pytest.raises(ValueError, match=message) as error:
            latest_checkpoint(root)
        assert "\n" not in str(error.value)

    def test_a_pickle_is_not_opened(self, tmp_path):
        path = tmp_path / "state.pt"
        th.save({"weights": Path("anything")}, path)
        with pytest.raises(ValueError, match="not a file of tensors"):
            load_tensors(path, "cpu")
        path.write_text("rubbish")
        with pytest.raises(ValueError, match="not a file of tensors"):
            load_tensors(path, "cpu")

    def test_another_runs_checkpoint_is_refused(self, tmp_path):
        _, root = self.trained(tmp_path)
        other = make_run(tmp_path, settings=make_settings(seed=3, timesteps=64))
        with pytest.raises(ValueError, match="settings differ"):
            other.load(latest_checkpoint(root))
        wide = make_run(tmp_path, settings=make_settings(timesteps=64, policy=PolicySettings(hidden=12)))
        with pytest.raises(ValueError, match="does not fit this run") as error:
            latest_checkpoint(root).restore(wide.model)
        assert "\n" not in str(error.value)

    def test_half_written_ones_are_never_seen(self, tmp_path):
        run, root = self.trained(tmp_path)
        draft = root / ".draft-1.step-000000009999"
        draft.mkdir()
        found = latest_checkpoint(root)
        assert found.num_timesteps == 64
        save_checkpoint(root, run.model, {**found.document, "segment": 7}, None)
        assert latest_checkpoint(root).document["segment"] == 7


@pytest.mark.parametrize(
    ("algo", "face", "message"),
    [
        ("dqn", "levels", "expected Discrete; use --env frugalfl/Volunteers-discrete-v0"),
        ("sac", "levels", "expected Box; use --env frugalfl/Volunteers-scores-v0"),
        ("sac", "discrete", "use --env frugalfl/Volunteers-scores-v0"),
        ("maskable-ppo", "scores", "expected MultiDiscrete; use --env frugalfl/Volunteers-v0"),
    ],
)
def test_an_algorithm_that_cannot_act_says_which_id_to_use(algo, face, message):
    env_id = "frugalfl/Volunteers-v0" if face == "levels" else f"frugalfl/Volunteers-{face}-v0"
    with pytest.raises(ValueError, match=message):
        check_algorithm(algo, env_id, FACES[face])


@pytest.mark.parametrize(("algo", "face"), [("ppo", "discrete"), ("ppo", "scores"), ("a2c", "scores")])
def test_ppo_and_a2c_act_in_every_face(algo, face, tmp_path):
    settings = make_settings(algo, timesteps=64)
    TrainingRun(settings, TinyEnv(face=face), tmp_path).train()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(algo="reinforce"), "algo: 'reinforce', expected one of ppo, maskable-ppo, a2c, dqn, sac"),
        (dict(num_envs=0), "num_envs: 0, expected at least 1"),
        (dict(timesteps=-5), "timesteps: -5, expected at least 1"),
        (dict(seed=-1), "seed: -1"),
        (dict(ppo=PPOSettings(learning_rate=-1.0)), "ppo.learning-rate: -1.0, expected a positive number"),
        (dict(ppo=PPOSettings(epochs=0)), "ppo.epochs: 0, expected at least 1"),
        (dict(ppo=PPOSettings(gamma=1.5)), "ppo.gamma: 1.5, expected at most 1"),
        (dict(policy=PolicySettings(hidden=0)), "policy.hidden: 0"),
        (dict(device="abacus"), "device: 'abacus'"),
        (dict(policy=PolicySettings(pooling="sum")), "pooling: 'sum'"),
    ],
)
def test_bad_settings_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        build_model(replace(make_settings(), **changes).check(), TinyEnv())
    assert "\n" not in str(error.value)


def test_settings_survive_json():
    settings = make_settings(world={"clients": 5, "carbon": ["a", "b"]})
    document = json.loads(json.dumps(settings.to_json()))
    assert RunSettings.from_json(document) == settings
    with pytest.raises(ValueError, match="unknown field 'speed'"):
        RunSettings.from_json({**document, "speed": 1})
    older = {**document, "policy": {name: v for name, v in document["policy"].items() if name != "frames"}}
    assert RunSettings.from_json(older) == settings
    with pytest.raises(ValueError, match=r"settings.ppo.epochs: 'x', expected int"):
        RunSettings.from_json({**document, "ppo": {**document["ppo"], "epochs": "x"}})


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
import test_training as t
class Slow(t.TinyEnv):
    def step_wait(self):
        time.sleep(0.01)
        return super().step_wait()
run = t.make_run({out!r}, settings=t.make_settings(timesteps=640), env=Slow(), validate=t.validate)
if Path({out!r}, t.CHECKPOINTS).exists():
    run.load(t.latest_checkpoint(Path({out!r}, t.CHECKPOINTS)))
run.train()
t.th.save(run.model.policy.state_dict(), Path({out!r}, "final.pt"))
"""


@pytest.mark.slow
def test_a_run_killed_with_sigkill_resumes_and_ends_the_same(tmp_path):
    def start(out):
        code = SCRIPT.format(here=str(Path(__file__).parent), out=str(out))
        return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert start(tmp_path / "whole").wait(120) == 0
    victim = start(tmp_path / "killed")
    root = tmp_path / "killed" / CHECKPOINTS
    while not (root / "step-000000000192").exists():
        time.sleep(0.02)
        assert victim.poll() is None
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "killed" / "final.pt").exists()
    assert start(tmp_path / "killed").wait(120) == 0
    whole, killed = (load_tensors(tmp_path / name / "final.pt", "cpu") for name in ("whole", "killed"))
    assert all(th.equal(whole[key], killed[key]) for key in whole)


def test_whose_settings_nobody_searched_is_called_untuned():
    labels = {algo: make_settings(algo).label for algo in ALGORITHMS}
    assert labels["ppo"] == "ppo"
    assert labels["dqn"] == "dqn-untuned"
    assert sum(label.endswith("-untuned") for label in labels.values()) == 3
