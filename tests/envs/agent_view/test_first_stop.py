"""The end of a run is masked in the first rounds."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import frugalfl
from frugalfl.envs.agent_view import AgentView
from frugalfl.envs.contract import STOP_S

K = 2
CHANGES = {"levels": {"first_stop": K}, "clients": 8}


def stopping(view):
    """An action that ends the run, though it also says who would train."""
    mode = view.action_mode
    if isinstance(mode.space, gym.spaces.Box):
        return np.ones((1, *mode.space.shape))
    if isinstance(mode.space, gym.spaces.Discrete):
        return np.array([mode.space.n - 1])
    action = np.ones((1, mode.space.shape[0]), dtype=np.int64)
    action[0, 0] = mode.space.nvec[0] - 1
    return action


def begun(action="levels", **changes):
    view = AgentView("quadratic", 1, action=action, **{**CHANGES, **changes})
    view.reset(np.ones(1, dtype=bool), np.array([3]))
    return view


@pytest.mark.parametrize("action", ["levels", "discrete", "scores"])
def test_a_run_ends_by_choice_only_after_the_first_rounds(action):
    view = begun(action)
    for index in range(K):
        result = view.act(stopping(view))
        assert not result.terminated.any() and view.situation.run.round_index.tolist() == [index + 1]
        assert result.outcome.repairs[0] >= 1
    assert view.act(stopping(view)).terminated.all()


def test_who_chooses_it_too_early_plays_a_round_without_anybody():
    held, said = begun(), begun()
    stop, nobody = stopping(held), stopping(said)
    nobody[0, 0], nobody[0, 2:10] = 0, 0
    a, b = held.act(stop), said.act(nobody)
    assert not a.outcome.invited.any() and a.outcome.duration_s > 0
    assert a.reward == b.reward and a.outcome.repairs == b.outcome.repairs + 1
    assert held.info(a)["repairs"] == said.info(b)["repairs"] + 1


@pytest.mark.parametrize("action", ["levels", "discrete"])
def test_it_is_masked_as_long(action):
    view = begun(action)
    stop = len(view.codec.layout.wait_s) - 1 if action == "levels" else view.action_mode.space.n - 1
    for _ in range(K):
        assert not view.masks()[0, stop] and view.masks()[0].any()
        view.act(stopping(view))
    assert view.masks()[0, stop]


def test_something_always_remains_to_be_chosen():
    view = begun(levels={"first_stop": K, "wait_s": [0, "inf"]})
    s = view.situation
    nobody = replace(s, clients=replace(s.clients, available=np.zeros_like(s.clients.available)))
    assert view.codec.masks(nobody)[0, :2].tolist() == [True, False]
    late = replace(nobody, run=replace(s.run, round_index=np.array([K])))
    assert view.codec.masks(late)[0, :2].tolist() == [False, True]


def test_schedulers_may_stop_at_once_in_the_same_world():
    view = begun()
    plan = view.codec.decode(stopping(view))
    assert (plan.wait_s == STOP_S).all() and view.step(plan).terminated.all()


@pytest.mark.parametrize("world", ["Phones", "Volunteers", "SpotMarket", "Quadratic"])
def test_agents_of_the_packaged_worlds_are_guarded_and_the_packages_learners_are_not(world):
    from frugalfl.agents.learning import RunSettings
    from frugalfl.agents.learning.run_folder import training_worlds

    env_id = f"frugalfl/{world}-v0"
    assert frugalfl.make_vec_env(env_id, 1).agent_view.codec.layout.first_stop == 10
    settings = RunSettings(env=env_id, num_envs=1)
    assert training_worlds(settings).agent_view.codec.layout.first_stop == 0
    own = replace(settings, world={"levels": {"first_stop": 3}})
    assert training_worlds(own).agent_view.codec.layout.first_stop == 3


def test_a_shipped_scheduler_stops_as_early_as_it_learned_to():
    player = frugalfl.load_scheduler("volunteers-ppo")
    view = AgentView("volunteers", 1)
    view.reset(np.ones(1, dtype=bool), np.array([3]))
    action = np.zeros((1, view.action_mode.space.shape[0]), dtype=np.int64)
    action[0, 0] = len(view.codec.layout.wait_s) - 1
    assert view.action_mode.plan(action, view.situation).wait_s == 0
    assert player._action_mode.plan(action, view.situation).wait_s == STOP_S
