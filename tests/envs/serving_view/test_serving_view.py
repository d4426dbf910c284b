"""Worlds of serving as an agent sees them: bounds, masks, actions, and the faces of Gymnasium and SB3."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces.utils import flatten
from gymnasium.utils.env_checker import check_env
from small_serving import SMALL, small
from stable_baselines3 import PPO

from frugalfl import make_vec_env
from frugalfl.envs.adapters import ServingEnv, ServingVectorEnv
from frugalfl.envs.registration import find_entry, serving_entries
from frugalfl.envs.serving import ServingPlan
from frugalfl.envs.serving_view import (
    SERVER_TABLE,
    SLOT_TABLE,
    TASK_TABLE,
    ServingView,
    slot_features,
    task_features,
)

QUICK = {name: SMALL[name] for name in SMALL if name != "name"}


def legal(view, rng):
    """A legal action of every environment at random."""
    masks, nvec = view.masks(), view.action_mode.nvec
    heads = np.split(masks, np.cumsum(nvec)[:-1], axis=1)
    return np.stack([[rng.choice(np.flatnonzero(row)) for row in head] for head in heads], axis=1)


@pytest.fixture
def view():
    """Three worlds in which episodes have begun."""
    made = ServingView(small(), 3)
    made.reset(np.ones(3, dtype=bool), np.array([5, 11, 923]))
    return made


def test_legal_actions_need_no_repair_and_observations_stay_in_bounds(view):
    rng = np.random.default_rng(0)
    for _ in range(view.scenario.steps):
        observation = view.observe()
        for row in range(3):
            one = {name: values[row] for name, values in observation.items()}
            assert view.observation_space.contains(one)
        result = view.act(legal(view, rng))
        assert not result.outcome.repairs.any()
    assert result.terminated.all()


def test_observations_have_a_name_for_every_column(view):
    space = view.observation_space
    assert space["slots"].shape == (6, len(slot_features(view.scenario)))
    assert space["tasks"].shape == (4, len(task_features(view.scenario)))
    slots = dict(zip(slot_features(view.scenario), view.observe()["slots"][0].T, strict=True))
    known = view.situation.slots
    np.testing.assert_array_equal(slots["available"], known.available[0])
    np.testing.assert_allclose(slots["forecast"], known.available_forecast[0, :, -1], rtol=1e-6)


def test_what_is_loaded_is_seen(view):
    s = view.situation
    load = np.where(s.loadable, 1 + 2 * 5 + 4, 0)
    view.step(ServingPlan(load, np.zeros((3, 4)), np.ones(3)))
    names, seen = slot_features(view.scenario), view.observe()["slots"]
    now = view.situation.slots
    has = (now.model >= 0) | (now.loading >= 0)
    np.testing.assert_array_equal(seen[..., names.index("task_2")], has)
    np.testing.assert_array_equal(seen[..., names.index("rung_4")], has)
    np.testing.assert_array_equal(seen[..., names.index("loading")], now.loading >= 0)


def test_a_plan_of_levels_is_its_own_action(view):
    rng = np.random.default_rng(1)
    actions = legal(view, rng)
    plan = view.action_mode.read(actions, view.situation)
    np.testing.assert_array_equal(view.action_mode.encode(plan, view.situation), actions)


def test_an_illegal_order_is_encoded_as_keeping(view):
    everywhere = ServingPlan(np.ones((3, 6), dtype=np.int64), np.zeros((3, 4)), np.ones(3))
    found = view.action_mode.encode(everywhere, view.situation)
    np.testing.assert_array_equal(found[:, 5:] == 1, view.situation.loadable)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.zeros((3, 10), dtype=int), "shape"),
        (np.zeros((3, 11)), "dtype float64"),
        (np.full((3, 11), 99), "expected 0 <= action"),
    ],
)
def test_actions_outside_the_space_are_refused(view, action, said):
    with pytest.raises(ValueError, match=f"action: .*{said}"):
        view.act(action)


def test_other_faces_are_refused():
    with pytest.raises(ValueError, match="action: 'scores', expected levels"):
        ServingEnv(small(), action="scores")
    with pytest.raises(ValueError, match="observation: 'wide', expected one of dict, flat"):
        ServingEnv(small(), observation="wide")
    with pytest.raises(TypeError, match="'huub'; did you mean 'hub'"):
        ServingEnv(small(), huub=3)


@pytest.mark.parametrize("entry", list(serving_entries()), ids=lambda entry: entry.id)
def test_every_id_is_a_good_citizen(entry):
    env = gym.make(entry.id, disable_env_checker=True, **QUICK)
    if "mo-" in entry.id:
        env.reset(seed=1)
        reward = env.step(env.action_space.sample())[1]
        assert reward.shape == (4,) and env.unwrapped.reward_space.contains(reward)
    else:
        check_env(env.unwrapped, skip_render_check=True)


def test_flat_is_gymnasiums_flat():
    by_parts, flat = ServingEnv(small()), ServingEnv(small(), observation="flat")
    first, vector = by_parts.reset(seed=4)[0], flat.reset(seed=4)[0]
    np.testing.assert_array_equal(flatten(by_parts.observation_space, first), vector)


def test_a_vector_environment_plays_what_single_ones_play():
    batch = ServingVectorEnv(2, small())
    singles = [ServingEnv(small()) for _ in range(2)]
    seen = batch.reset(seed=9)[0]
    alone = [env.reset(seed=9 + row)[0] for row, env in enumerate(singles)]
    batch.action_space.seed(0)
    for _ in range(6):
        for row in range(2):
            for name, values in alone[row].items():
                np.testing.assert_array_equal(seen[name][row], values)
        actions = batch.action_space.sample()
        seen, reward, *_ = batch.step(actions)
        steps = [env.step(action) for env, action in zip(singles, actions, strict=True)]
        alone = [step[0] for step in steps]
        np.testing.assert_array_equal(reward, [step[1] for step in steps])


def test_info_has_one_shape_from_reset_to_end_and_sums_to_the_reward():
    env = ServingEnv(small(hours=1))
    first, ended, net = env.reset(seed=2)[1], False, 0.0
    while not ended:
        _, reward, ended, _, info = env.step(env.action_space.sample())
        net += reward
        assert {name: np.shape(value) for name, value in info.items()} == {
            name: np.shape(value) for name, value in first.items()
        }
        assert reward == pytest.approx(info["reward_terms"].sum())
    assert net == pytest.approx(info["episode_net_points"])
    assert info["bytes"] == pytest.approx(info["slot_bytes"].sum())


def test_a_limit_of_steps_truncates():
    env = gym.make("frugalfl/Serving-v0", max_episode_steps=3, **QUICK)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_stock_ppo_runs_and_episodes_are_reported():
    venv = make_vec_env("frugalfl/Serving-flat-v0", 4, **{**QUICK, "hours": 1})
    assert venv.action_masks().shape == (4, sum(venv.action_space.nvec))
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=16, n_epochs=1, seed=0)
    model.learn(64)
    assert len(model.ep_info_buffer) >= 4
    assert all(episode["l"] == 6 for episode in model.ep_info_buffer)


def test_pictures_are_drawn():
    text = ServingEnv(small(), render_mode="ansi")
    text.reset(seed=0)
    text.step(text.action_space.sample())
    assert "slots    " in text.render() and "dropped" in text.render()
    picture = ServingEnv(small(), render_mode="rgb_array")
    picture.reset(seed=0)
    picture.step(picture.action_space.sample())
    assert picture.render().shape == (600, 960, 3)


def test_ids_of_serving_are_found_among_all():
    assert find_entry("frugalfl/Serving-v0") in serving_entries()
    with pytest.raises(ValueError, match="did you mean 'frugalfl/Serving-v0'"):
        find_entry("frugalfl/Servin-v0")


def test_the_page_says_what_every_column_means():
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
    for table in (SLOT_TABLE, TASK_TABLE, SERVER_TABLE):
        rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in table.items())
        assert rows in page


def test_the_pages_first_snippet_works():
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
    snippet = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    names: dict = {}
    exec(snippet, names)
    assert np.isfinite(names["reward"]) and not names["terminated"]
