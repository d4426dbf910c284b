"""Infos: one shape and one set of types to the end, and in batches what Gymnasium makes of single ones."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

ID = "frugalfl/Volunteers-v0"
SHORT = {"max_rounds": 2, "clients": 8}
E = 3


def shape_of(info):
    """Names, types and shapes; no entry is a dictionary, which TorchRL's reader could not take."""
    return {name: (value.dtype, value.shape) for name, value in info.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        if isinstance(a[name], dict):
            assert_same(a[name], b[name])
        elif name != "final_obs":
            assert a[name].dtype == b[name].dtype, name
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("changes", [{}, {"malicious": {"share": 0.2}}], ids=["honest", "liars"])
def test_every_info_of_an_episode_has_the_shape_of_the_first(changes):
    env = gym.make(ID, **SHORT, **changes)
    env.action_space.seed(1)
    _, first = env.reset(seed=5)
    assert first["episode_seed"].dtype == np.int64 and first["accuracy"] > 0
    assert first["episode_rounds"] == 0 and first["bytes"] == 0
    ended, hours = False, 0.0
    while not ended:
        action = env.action_space.sample()
        action[0] = 0
        *_, terminated, truncated, info = env.step(action)
        assert shape_of(info) == shape_of(first)
        assert info["episode_seed"] == first["episode_seed"]
        hours += info["duration_s"] / 3600
        assert info["episode_hours"] == pytest.approx(hours)
        ended = terminated or truncated
    assert hours > 0 and env.reset()[1]["episode_seed"] != first["episode_seed"]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_infos_of_a_batch_are_those_that_gymnasium_makes_of_single_environments(mode):
    batch = gym.make_vec(ID, E, "vector_entry_point", autoreset_mode=mode, **SHORT)
    loop = SyncVectorEnv([lambda: gym.make(ID, **SHORT)] * E, autoreset_mode=mode)
    assert_same(batch.reset(seed=9)[1], loop.reset(seed=9)[1])
    batch.action_space.seed(2)
    resets = 0
    for _ in range(8):
        action = batch.action_space.sample()
        *_, terminated, truncated, told = batch.step(action)
        assert_same(told, loop.step(action)[-1])
        ended = terminated | truncated
        resets += ended.sum()
        if mode == AutoresetMode.DISABLED and ended.any():
            infos = [each.reset(options={"reset_mask": ended.copy()})[1] for each in (batch, loop)]
            assert_same(*infos)
            assert (infos[0]["_episode_seed"] == ended).all()
    assert resets >= E
