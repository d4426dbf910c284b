"""Flat observations: Gymnasium's FlattenObservation to the last bit, however environments are stepped."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import frugalfl
from frugalfl.envs.registration import entries

SHORT = {"max_rounds": 3}
E = 2
FLAT = [entry.id for entry in entries() if "Volunteers-flat" in entry.id and "/mo-" not in entry.id]


def seldom_idle(space, steps):
    space.seed(4)
    actions = [space.sample() for _ in range(steps)]
    return [np.asarray(action) for action in actions]


@pytest.mark.parametrize("flat_id", FLAT)
def test_single_environments_show_what_gymnasium_flattens(flat_id):
    flat = gym.make(flat_id, **SHORT)
    wrapped = gym.wrappers.FlattenObservation(gym.make(flat_id.replace("-flat", ""), **SHORT))
    assert flat.observation_space == wrapped.observation_space
    (a, _), (b, _) = flat.reset(seed=7), wrapped.reset(seed=7)
    for action in seldom_idle(flat.action_space, 6):
        assert a.dtype == np.float32 and flat.observation_space.contains(a)
        np.testing.assert_array_equal(a, b)
        a, *rest_a, _ = flat.step(action)
        b, *rest_b, _ = wrapped.step(action)
        assert rest_a == rest_b
        if rest_a[1] or rest_a[2]:
            (a, _), (b, _) = flat.reset(), wrapped.reset()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_batches_show_the_same_numbers_to_the_last_of_an_episode(mode):
    name = "frugalfl/Volunteers{}-v0"
    flat, parts = (
        gym.make_vec(name.format(face), E, "vector_entry_point", autoreset_mode=mode, **SHORT)
        for face in ("-flat", "")
    )
    both = parts.single_observation_space
    (a, _), (b, _) = flat.reset(seed=3), parts.reset(seed=3)
    ended = 0
    for action in seldom_idle(flat.action_space, 8):
        assert a.shape == flat.observation_space.shape
        for env in range(E):
            row = {part: rows[env] for part, rows in b.items()}
            np.testing.assert_array_equal(a[env], gym.spaces.flatten(both, row))
        a, *_, info = flat.step(action)
        b, *_, told = parts.step(action)
        for env in np.flatnonzero(info.get("_final_obs", np.zeros(E))):
            ended += 1
            np.testing.assert_array_equal(
                info["final_obs"][env], gym.spaces.flatten(both, told["final_obs"][env])
            )
    assert ended or mode == "NextStep"


def test_the_sb3_batch_shows_the_same_numbers():
    flat = frugalfl.make_vec_env("frugalfl/Volunteers-flat-v0", E, max_rounds=1)
    parts = frugalfl.make_vec_env("frugalfl/Volunteers-v0", E, max_rounds=1)
    for venv in (flat, parts):
        venv.seed(5)
    a, b, action = flat.reset(), parts.reset(), np.zeros((E, *flat.action_space.shape), dtype=np.int64)
    np.testing.assert_array_equal(
        a[1], gym.spaces.flatten(parts.observation_space, {k: v[1] for k, v in b.items()})
    )
    *_, done, told_flat = flat.step(action)
    *_, told = parts.step(action)
    assert done.all()
    last = gym.spaces.flatten(parts.observation_space, told[0]["terminal_observation"])
    np.testing.assert_array_equal(told_flat[0]["terminal_observation"], last)


def test_every_number_has_a_name_of_its_own():
    env = gym.make("frugalfl/Volunteers-v0")
    names = frugalfl.observation_columns(env.unwrapped.scenario)
    assert len(names) == len(set(names)) == gym.spaces.flatdim(env.observation_space)
    obs, _ = env.reset(seed=1)
    flat = dict(zip(names, gym.spaces.flatten(env.observation_space, obs), strict=True))
    assert flat["clients[3].available"] == obs["clients"][3, 0]
    assert flat["server.rounds_done"] == obs["server"][0]
    situation = env.unwrapped.agent_view.situation
    now = situation.zones.carbon_g_per_kwh[0, 2] / 300
    assert flat["zones[2].carbon_now"] == pytest.approx(now / (1 + now), rel=1e-6)
    ahead = situation.zones.carbon_forecast[0, 2, 1] / 300
    assert situation.zones.carbon_leads_s[1] == 2 * 3600
    assert flat["zones[2].carbon_in_2h"] == pytest.approx((ahead - now) / (ahead + now), rel=1e-5)


def test_another_observation_is_refused():
    with pytest.raises(ValueError, match="observation: 'flatt', expected one of dict, flat"):
        gym.make("frugalfl/Quadratic-v0", observation="flatt")
