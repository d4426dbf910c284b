"""Three action spaces, one world: what the choices mean, as keyword and as wrapper."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.adapters import ClientScores, SchedulerMenu
from frugalfl.envs.agent_view import DEFAULT_MENU, ActionCodec, AgentView, ScoresMode, make_action_mode
from frugalfl.envs.contract import STOP_S, RoundPlan, scheduler_seeds

LEVELS = "frugalfl/Volunteers-v0"
FACTORS = {"levels": {"server_step": [0.5, 1.0, 4.0]}}
every_layout = pytest.mark.parametrize("changes", [{}, FACTORS], ids=["fixed step", "server step"])


def same_episode(a, b, actions):
    (x, _), (y, _) = a.reset(seed=4), b.reset(seed=4)
    for action in actions:
        for name in x:
            np.testing.assert_array_equal(x[name], y[name])
        x, reward_x, *ends_x, _ = a.step(action)
        y, reward_y, *ends_y, _ = b.step(action)
        assert reward_x == reward_y and ends_x == ends_y


def test_the_wrappers_equal_the_ids():
    same_episode(
        SchedulerMenu(gym.make(LEVELS)), gym.make("frugalfl/Volunteers-discrete-v0"), [0, 5, 7, 6, 3, 2]
    )
    env = gym.make("frugalfl/Volunteers-scores-v0")
    env.action_space.seed(0)
    actions = [env.action_space.sample() * [0.2, *[1.0] * (env.action_space.shape[0] - 1)] for _ in range(5)]
    same_episode(ClientScores(gym.make(LEVELS)), env, np.array(actions, dtype=np.float32))


def test_wrappers_refuse_foreign_environments():
    with pytest.raises(ValueError, match="expected an environment of frugalfl"):
        SchedulerMenu(gym.make("CartPole-v1"))


@pytest.mark.parametrize("choice", range(len(DEFAULT_MENU)))
def test_a_menu_entry_plays_as_its_scheduler(choice):
    view = AgentView("volunteers", 2, action="discrete")
    seeds, everybody = np.array([1, 2]), np.ones(2, dtype=bool)
    view.reset(everybody, seeds)
    situation = view.situation
    plan = view.action_mode.read(np.array([choice, choice]), situation)
    entry = dict(DEFAULT_MENU[choice])
    if "wait_s" in entry:
        assert (plan.wait_s == entry["wait_s"]).all()
        return
    alone = make_scheduler(entry.pop("scheduler"), **entry)
    alone.reset(everybody, scheduler_seeds(seeds), situation.num_clients)
    expected = alone.plan(situation)
    np.testing.assert_array_equal(plan.local_steps, expected.local_steps)
    np.testing.assert_array_equal(plan.quorum, expected.quorum)
    if expected.weights is not None:
        np.testing.assert_array_equal(plan.weights, expected.weights)


@every_layout
def test_scores_invite_the_best_available_clients(changes):
    view = AgentView("volunteers", 1, **changes)
    view.reset(np.ones(1, dtype=bool), np.array([3]))
    layout, situation = view.codec.layout, view.situation
    leading = 4 + bool(changes)
    action = np.full((1, leading + layout.num_clients), -1.0)
    action[0, leading:] = np.linspace(-1, 1, layout.num_clients)
    for participants in (1, 3, 7):
        action[0, 1] = 2 * (participants - 1) / (layout.num_clients - 1) - 1
        plan = ScoresMode(layout).plan(action, situation)
        best = np.flatnonzero(situation.clients.available[0])[-participants:]
        assert np.flatnonzero(plan.local_steps[0]).tolist() == best.tolist()
    assert plan.wait_s[0] == 0
    if changes:
        for number, factor in ((-1.0, 0.5), (0.0, 1.0), (1.0, 4.0)):
            action[0, 4] = number
            assert ScoresMode(layout).plan(action, situation).server_step.tolist() == [factor]
    else:
        assert plan.server_step is None
    action[0, 0] = 1.0
    assert ScoresMode(layout).read(action, situation).wait_s[0] == STOP_S


@every_layout
@pytest.mark.parametrize("world", ["volunteers", "quadratic"])
def test_decode_and_encode_are_inverse(world, changes):
    view = AgentView(world, 4, **changes)
    layout = view.codec.layout
    rng = np.random.default_rng(0)
    actions = rng.integers(0, layout.nvec, size=(50, layout.nvec.size))
    first = layout.server_heads
    levels, sent = np.split(actions[:, first:], [layout.num_clients], axis=1)
    if layout.moves_data:
        sent[levels == 0] = 0  # nothing travels without an invitation
    plan = ActionCodec(layout).decode(actions)
    np.testing.assert_array_equal(ActionCodec(layout).encode(plan), actions)
    if changes:
        assert plan.server_step.tolist() == np.array(layout.server_step)[actions[:, 2]].tolist()
        nearest = ActionCodec(layout).encode(replace(plan, server_step=None))[:, 2]
        assert (nearest == 1).all()  # the level 1


@every_layout
def test_scores_say_whatever_has_one_step_level_for_all(changes):
    view = AgentView("volunteers", 40, action="scores", **changes)
    view.reset(np.ones(40, dtype=bool), np.arange(40))
    situation, layout, rng = view.situation, view.codec.layout, np.random.default_rng(0)
    invited = situation.clients.available & (rng.random((40, layout.num_clients)) < 0.4)
    sent = np.where(invited & (rng.random(invited.shape) < 0.5), layout.transfer_samples[-1], 0)
    plan = RoundPlan(
        np.where(invited, rng.choice(layout.local_steps[1:], (40, 1)), 0).astype(np.int32),
        sent.astype(np.int32),
        rng.choice(layout.quorum, 40),
        np.where(rng.random(40) < 0.5, 0.0, rng.choice(layout.wait_s, 40)),
        server_step=rng.choice(layout.server_step, 40) if changes else None,
    )
    actions = view.action_mode.encode(plan, situation)
    assert all(view.action_mode.space.contains(action) for action in actions)
    again, trains = view.action_mode.read(actions, situation), plan.wait_s == 0
    nobody = trains & ~invited.any(axis=1)
    wanted = np.where(nobody, layout.wait_s[1], plan.wait_s)
    np.testing.assert_array_equal(again.wait_s, wanted)
    for name in ("local_steps", "transfer_samples", "quorum"):
        mine, theirs = getattr(plan, name), getattr(again, name)
        np.testing.assert_array_equal(mine[trains & ~nobody], theirs[trains & ~nobody])
    assert changes == {} or (again.server_step == plan.server_step).all()
    assert (trains & ~nobody).sum() > 10


def test_the_servers_step_is_a_head_of_its_own_only_where_it_is_a_decision():
    plain, scaled = (AgentView("volunteers", 1, **changes).codec.layout for changes in ({}, FACTORS))
    assert scaled.nvec.tolist() == [*plain.nvec[:2], 3, *plain.nvec[2:]]
    assert plain.further == () and scaled.further == ("server_step",)


@every_layout
def test_masks_forbid_exactly_what_would_be_repaired(changes):
    view = AgentView("volunteers", 3, **changes)
    view.reset(np.ones(3, dtype=bool), np.arange(3))
    layout, masks, rng = view.codec.layout, view.masks(), np.random.default_rng(1)
    edges = np.concatenate([[0], np.cumsum(layout.nvec)])
    actions = np.array([[rng.choice(np.flatnonzero(row[a:b])) for a, b in pairwise(edges)] for row in masks])
    actions[:, 0] = 0
    away = ~view.situation.clients.available
    result = view.act(actions)
    assert not result.outcome.invited[away].any()
    transfers = actions[:, layout.server_heads + layout.num_clients :]
    assert ((result.outcome.repairs == 0) | (transfers > 0).any(axis=1)).all()


def test_bad_actions_are_refused():
    env = gym.make(LEVELS, disable_env_checker=True)
    env.reset(seed=0)
    for bad in (
        np.full(env.action_space.shape, 99),
        np.zeros(3, dtype=int),
        np.zeros(env.action_space.shape),
    ):
        with pytest.raises(ValueError, match="action:"):
            env.step(bad)


class TellsItsSeeds:
    """A scheduler that writes down by which seeds it could look into the future."""

    name = "tells-its-seeds"
    told: list[list[int]] = []

    def reset(self, envs, seeds, num_clients):
        self.told.append(np.asarray(seeds).tolist())
        self.num_clients = num_clients

    def plan(self, situation):
        raise NotImplementedError


def test_the_schedulers_of_a_menu_are_not_told_the_seeds_of_the_episodes():
    made = lambda name, **settings: TellsItsSeeds()
    view = AgentView("quadratic", 2)
    view.action_mode = make_action_mode("discrete", view.codec.layout, [{"scheduler": "mine"}], made)
    view.reset(np.ones(2, dtype=bool), np.array([1, 2]))
    assert TellsItsSeeds.told == [scheduler_seeds(np.array([1, 2])).tolist()]


def test_bad_choices_of_a_menu_are_refused_like_bad_levels():
    single = gym.make("frugalfl/Quadratic-discrete-v0", disable_env_checker=True)
    single.reset(seed=0)
    for bad in (np.float32(1.0), 1.0, np.array([2.0]), True, "1", None, -1, 99, np.array([0, 1])):
        with pytest.raises(ValueError, match=r"action: .*expected"):
            single.step(bad)
    for good in (1, np.int8(1), np.uint64(1), np.array(1), np.array([1])):
        single.step(good)
    batch = gym.make_vec("frugalfl/Quadratic-discrete-v0", 2, "vector_entry_point")
    batch.reset(seed=0)
    for bad in ([0.0, 1.0], [0, 1, 1]):
        with pytest.raises(ValueError, match=r"action: .*expected"):
            batch.step(np.array(bad))


@pytest.mark.parametrize("name", ["Phones", "Volunteers", "SpotMarket", "Quadratic"])
def test_rendering_shows_the_episode(name):
    env = gym.make(f"frugalfl/{name}-v0", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.zeros(env.action_space.shape, dtype=np.int64) + 1)
    second = env.render()
    assert first.shape == second.shape == (600, 960, 3) and second.dtype == np.uint8
    assert (first != second).any()
    text = gym.make(f"frugalfl/{name}-v0", render_mode="ansi")
    text.reset(seed=0)
    assert "g/kWh" in text.render() and "round 0" in text.render()


def test_record_video_works(tmp_path):
    pytest.importorskip("moviepy")
    env = RecordVideo(
        gym.make(LEVELS, render_mode="rgb_array", max_rounds=3), str(tmp_path / "video"), disable_logger=True
    )
    env.reset(seed=0)
    ended = False
    while not ended:
        action = env.action_space.sample()
        action[0] = 0
        *_, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
    env.close()
    assert next((tmp_path / "video").glob("*.mp4")).stat().st_size > 1000
