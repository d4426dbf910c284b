"""What is recorded is what an agent would have met: the same seed and actions pay the same rewards again."""

from __future__ import annotations

import numpy as np
import pytest
from own_worlds import FOLDER

from frugalfl.agents.commands.record import main
from frugalfl.agents.offline import record_episodes
from frugalfl.envs.adapters import FederatedEnv
from frugalfl.envs.agent_view import AgentView
from frugalfl.schedulers import make_scheduler

WORLD = {"scenario": str(FOLDER / "volunteers.yaml"), "clients": 6, "max_rounds": 4}
SEEDS = np.array([11, 5, 2**32 - 1, 7, 0])


def recorded(action="levels", scheduler="random-m", rows=2, **settings):
    view = AgentView(num_envs=rows, action=action, **WORLD)
    return list(record_episodes(view, make_scheduler(scheduler, **settings), SEEDS))


@pytest.mark.parametrize("action", ["levels", "discrete", "scores"])
def test_a_single_environment_pays_the_recorded_rewards_again_to_the_last_bit(action):
    env = FederatedEnv(action=action, **WORLD)
    for episode in recorded(action):
        observation, _ = env.reset(seed=episode.seed)
        for index, given in enumerate(episode.actions):
            assert env.action_space.contains(given)
            for name, values in observation.items():
                np.testing.assert_array_equal(values, episode.observations[name][index])
            if episode.masks is not None:
                np.testing.assert_array_equal(env.action_masks(), episode.masks[index])
            observation, reward, terminated, truncated, info = env.step(given)
            assert reward == episode.rewards[index]
            np.testing.assert_array_equal(info["reward_terms"], episode.terms[index])
            ends = index == len(episode.actions) - 1
            assert (terminated, truncated) == (ends and episode.terminated, ends and not episode.terminated)
        for name, values in observation.items():
            np.testing.assert_array_equal(values, episode.observations[name][-1])


def test_a_price_of_leakage_is_paid_again_to_the_last_bit():
    priced = WORLD | {"preferences": {"price_per_auc": [1.0, 4.0]}}
    env, fifth = FederatedEnv(**priced), []
    for episode in record_episodes(AgentView(num_envs=2, **priced), make_scheduler("all-available"), SEEDS):
        assert episode.terms.shape == (len(episode.rewards), 5)
        env.reset(seed=episode.seed)
        again = [env.step(action)[4]["reward_terms"] for action in episode.actions]
        np.testing.assert_array_equal(again, episode.terms)
        np.testing.assert_array_equal(np.sum(again, axis=1), episode.rewards)
        fifth.append(episode.terms[:, 4].sum())
    assert max(fifth) <= 0 and min(fifth) < -0.5


@pytest.mark.parametrize("scheduler", ["random-m", "oort"])
def test_how_many_are_played_at_once_changes_nothing(scheduler):
    one, three = recorded(scheduler=scheduler, rows=1), recorded(scheduler=scheduler, rows=3)
    assert [each.number for each in one] == [each.number for each in three] == list(range(len(SEEDS)))
    assert [each.seed for each in one] == SEEDS.tolist()
    for first, second in zip(one, three, strict=True):
        np.testing.assert_array_equal(first.actions, second.actions)
        np.testing.assert_array_equal(first.rewards, second.rewards)
    assert len({each.net_points for each in one}) > 1


def test_a_menu_is_recorded_as_the_entry_that_plans_the_same():
    menu = [{"scheduler": "random-m", "participants": 2}, {"wait_s": 1800.0}, {"scheduler": "all-available"}]
    view = AgentView(num_envs=2, action="discrete", menu=menu, **(WORLD | {"clients": 16}))
    episodes = list(record_episodes(view, make_scheduler("all-available"), SEEDS))
    available = np.concatenate([each.observations["clients"][:-1, :, 0] > 0.5 for each in episodes])
    actions = np.concatenate([each.actions for each in episodes])
    several = available.sum(axis=1) > 2
    assert (actions[several] == 2).all() and several.sum() > 5


def test_scores_keep_who_is_invited():
    for levels, scores in zip(
        recorded("levels", "fastest-m", participants=3, local_steps=10),
        recorded("scores", "fastest-m", participants=3, local_steps=10),
        strict=True,
    ):
        np.testing.assert_array_equal(levels.rewards, scores.rewards)
        assert scores.masks is None


def test_an_episode_has_a_row_more_of_what_is_seen_than_of_what_is_done():
    for episode in recorded():
        steps = len(episode.rewards)
        assert {len(rows) for rows in episode.observations.values()} == {steps + 1}
        assert len(episode.masks) == steps + 1 and len(episode.actions) == steps
        assert episode.net_points == pytest.approx(episode.terms.sum())


def test_without_minari_the_cure_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--scheduler", "random-m", "--out", str(tmp_path / "x-v0")]) == 2
    told = "frugalfl record: record: needs minari, which is not installed: pip install 'frugalfl[offline]'\n"
    assert capsys.readouterr().err == told
    assert list(tmp_path.iterdir()) == []
