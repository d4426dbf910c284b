"""What an episode saw last: the rows of those that have ended, and no others', from one batch or another."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import frugalfl
from frugalfl.envs.agent_view import AgentView
from frugalfl.worlds import scenario_names

E = 4


def same(one, two):
    assert one.keys() == two.keys()
    for part in one:
        np.testing.assert_array_equal(one[part], two[part])


@pytest.mark.parametrize(
    ("env_id", "limit"), [("Quadratic", 60), ("SpotMarket", 60), ("Streams", 5), ("Serving", 5)]
)
def test_the_sb3_batch_shows_what_the_gymnasium_batch_shows(env_id, limit):
    name = f"frugalfl/{env_id}-v0"
    ours = frugalfl.make_vec_env(name, E, max_episode_steps=limit)
    theirs = gym.make_vec(
        name,
        E,
        vectorization_mode="vector_entry_point",
        max_episode_steps=limit,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    ours.seed(3)
    ours.reset()
    theirs.reset(seed=3)
    theirs.action_space.seed(0)
    alone = 0
    for _ in range(30):
        action = theirs.action_space.sample()
        *_, done, infos = ours.step(action)
        *_, told = theirs.step(action)
        for env in np.flatnonzero(done):
            same(infos[env]["terminal_observation"], told["final_obs"][env])
        alone += 0 < done.sum() < E
    assert alone or limit == 5  # some went on while others ended


@pytest.mark.parametrize("world", [name for name in scenario_names() if name != "serving"])
def test_some_rows_are_those_of_all(world):
    view = AgentView(world, E)
    view.reset(np.ones(E, dtype=bool), np.arange(E))
    some = np.array([3, 1])
    known, few = view.situation, view.situation.rows(some)
    for name, value in known.flat().items():
        expected = value if name.endswith("_leads_s") else value[some]
        np.testing.assert_array_equal(few.flat()[name], expected, err_msg=name)
    same(view.observe_some(some), {part: rows[some] for part, rows in view.observe().items()})
