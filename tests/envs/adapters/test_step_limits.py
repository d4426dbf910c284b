"""A limit of steps: told by every spec, and kept alike however environments are stepped."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import frugalfl
from frugalfl.envs.adapters import FederatedVectorEnv

ID = "frugalfl/Volunteers-v0"
QUICK = "frugalfl/Quadratic-v0"
E = 2


def training(space, seed=0):
    """A round that trains: whoever is invited, nobody stops or waits."""
    space.seed(seed)
    action = space.sample()
    action[..., 0] = 0
    return action


@pytest.mark.parametrize(("rounds", "steps"), [(None, 600), (7, 70)])
def test_the_spec_tells_the_limit_that_the_world_has(rounds, steps):
    changes = {} if rounds is None else {"max_rounds": rounds}
    assert gym.make(QUICK, **changes).spec.max_episode_steps == steps
    batch = gym.make_vec(QUICK, E, "vector_entry_point", **changes)
    assert batch.spec.max_episode_steps == steps
    venv = frugalfl.make_vec_env(QUICK, E, **changes)
    assert [spec.max_episode_steps for spec in venv.get_attr("spec")] == [steps] * E
    again = gym.make(gym.envs.registration.EnvSpec.from_json(venv.spec.to_json()))
    assert again.spec.max_episode_steps == steps and again.unwrapped.scenario == venv.agent_view.scenario


def test_the_limit_of_a_user_is_in_the_spec_if_it_is_the_nearer_one():
    assert gym.make(QUICK, max_episode_steps=3).spec.max_episode_steps == 3
    for limit, told in ((3, 3), (np.int64(4), 4), (10**6, 600), (-1, 600), (None, 600)):
        assert frugalfl.make_vec_env(QUICK, E, max_episode_steps=limit).spec.max_episode_steps == told
        assert FederatedVectorEnv(E, max_episode_steps=limit).agent_view.max_episode_steps == told
    for bad in (0, -2, 2.5, "3", True):
        with pytest.raises(ValueError, match=r"max_episode_steps: .*expected at least 1 step"):
            frugalfl.make_vec_env(QUICK, E, max_episode_steps=bad)


def test_an_observation_that_knows_the_time_can_be_had():
    env = gym.wrappers.TimeAwareObservation(gym.make(QUICK, max_rounds=7), flatten=False)
    env.reset(seed=0)
    observation, *_ = env.step(training(env.action_space))
    assert observation["time"] == [1] and env.observation_space["time"].high == [70]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("changes", [{}, {"late": {"kind": "keep"}, "max_rounds": 5}], ids=["plain", "late"])
def test_a_batch_is_cut_as_gymnasium_cuts_single_environments(mode, changes):
    limited = {"max_episode_steps": 3, **changes}
    batch = gym.make_vec(ID, E, "vector_entry_point", autoreset_mode=mode, **limited)
    loop = SyncVectorEnv([lambda: gym.make(ID, **limited)] * E, autoreset_mode=mode)
    (a, _), (b, _) = batch.reset(seed=9), loop.reset(seed=9)
    cuts = 0
    for step in range(9):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
        actions = training(batch.action_space, step)
        a, *rest_a, info_a = batch.step(actions)
        b, *rest_b, info_b = loop.step(actions)
        for x, y in zip(rest_a, rest_b, strict=True):
            np.testing.assert_array_equal(x, y)
        cuts += rest_a[2].sum()
        if "final_obs" in info_b:
            for env in range(E):
                for name, part in info_b["final_obs"][env].items():
                    np.testing.assert_array_equal(info_a["final_obs"][env][name], part)
    assert cuts >= 4 and not rest_a[1].any()


def test_a_cut_episode_is_frozen_until_it_is_reset():
    batch = gym.make_vec(ID, E, "vector_entry_point", autoreset_mode="Disabled", max_episode_steps=1)
    batch.reset(seed=1)
    *_, truncated, infos = batch.step(training(batch.action_space))
    assert truncated.all()
    spent = infos["episode_hours"].copy()
    with pytest.raises(ValueError, match="reset_mask"):
        batch.step(training(batch.action_space))
    assert not batch.world.running.any()
    np.testing.assert_array_equal(batch.world.totals()["hours"], spent)


def test_sb3_is_told_of_a_cut_but_not_of_a_cut_where_the_run_has_ended():
    venv = frugalfl.make_vec_env(ID, E, max_episode_steps=2, levels={"first_stop": 0})
    venv.seed(3)
    venv.reset()
    actions = np.stack([training(venv.action_space)] * E)
    assert not venv.step(actions)[2].any()
    actions[1, 0] = len(venv.agent_view.scenario.levels.wait_s) - 1  # the end of the run
    *_, dones, infos = venv.step(actions)
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [True, False]
    assert not venv.step(actions * [[1], [0]])[2].any(), "both count anew"


def test_paths_and_numpy_numbers_are_keywords_like_others(tmp_path):
    trace = tmp_path / "mine.csv"
    trace.write_text("time,zone,kind,g_per_kwh\n" + "\n".join(_hours()) + "\n")
    changes = {"carbon": [trace], "zones": np.int64(1), "clients": np.int32(12), "preferences": _prices()}
    env = gym.make(ID, **changes)
    env.reset(seed=0)
    assert env.unwrapped.scenario.clients == 12
    kept = json.loads(env.spec.to_json())["kwargs"]
    assert kept["carbon"] == [str(trace)] and kept["clients"] == 12
    assert kept["preferences"] == {"price_per_kg": [1.0, 5.0], "price_per_gb": 0.5}
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.scenario == env.unwrapped.scenario
    batch = gym.make_vec(
        ID, np.int64(2), "vector_entry_point", autoreset_mode=AutoresetMode.DISABLED, **changes
    )
    assert json.loads(batch.spec.to_json())["kwargs"]["autoreset_mode"] == "Disabled"
    batch.reset(seed=3)
    whole = gym.make(ID, scenario=env.unwrapped.scenario)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(whole.spec.to_json()))
    assert again.unwrapped.scenario == env.unwrapped.scenario


def _prices():
    return {"price_per_kg": np.array([1.0, 5.0]), "price_per_gb": np.float32(0.5)}


def _hours():
    start = 1_700_000_000 // 3600 * 3600
    return [
        f"{np.datetime64(start + 3600 * hour, 's')}Z,Z,direct,{200 + hour % 24}" for hour in range(24 * 90)
    ]
