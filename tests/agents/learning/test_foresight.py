"""A critic that is shown the future while it learns: it sees what is true, and whoever acts does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from frugalfl.agents.learning.algorithms import build_model
from frugalfl.agents.learning.foresight import foresight
from frugalfl.agents.learning.learners_view import learners_view
from frugalfl.agents.learning.run_folder import training_worlds
from frugalfl.agents.learning.settings import PolicySettings, PPOSettings, RunSettings
from frugalfl.agents.policies.set_policy import TRUE_CLIENTS, TRUE_ZONES


def settings_of(env="frugalfl/SpotMarket-v0", algo="ppo", heads="slate"):
    policy = PolicySettings(foresight=True, heads=heads, hidden=16)
    ppo = PPOSettings(rollout_steps=4, batch_size=8, epochs=2)
    return RunSettings(env=env, algo=algo, num_envs=3, policy=policy, ppo=ppo, world={"clients": 5})


@pytest.fixture
def view():
    settings = settings_of()
    made = learners_view(settings, training_worlds(settings))
    made.seed(0)
    return made


def test_what_is_shown_is_what_will_be(view):
    view.reset()
    world = view.unwrapped.agent_view.world
    for _ in range(20):
        before = world.situation(clairvoyant=True)
        wait = np.zeros((3, view.action_space.nvec.size), dtype=np.int64)
        wait[:, 0] = 1
        observation, _, done, _ = view.step(wait)
        after = world.situation(clairvoyant=True)
        hours = observation[TRUE_CLIENTS] / (1.0 - observation[TRUE_CLIENTS])
        assert np.allclose(hours[..., 0] * 3600.0, after.future.session_left_s, rtol=1e-3, atol=1.0)
        passed_s = (after.run.time_s - before.run.time_s)[:, None]
        stays = before.clients.available & (before.future.session_left_s > passed_s) & ~done[:, None]
        left_s = before.future.session_left_s - passed_s
        assert np.allclose(after.future.session_left_s[stays], left_s[stays], atol=1e-6)
        grids = observation[TRUE_ZONES]
        assert np.array_equal(
            grids > 0, after.future.carbon_g_per_kwh > after.zones.carbon_g_per_kwh[:, :, None]
        )


@pytest.mark.parametrize("heads", ["slate", "independent"])
@pytest.mark.parametrize("algo", ["ppo", "maskable-ppo", "a2c"])
def test_values_depend_on_it_and_actions_do_not(algo, heads):
    settings = settings_of(algo=algo, heads=heads)
    model = build_model(settings, learners_view(settings, training_worlds(settings)))
    model.learn(24)
    seen = {name: th.as_tensor(rows) for name, rows in model._last_obs.items()}
    other = {name: th.rand_like(rows) if name.startswith("true_") else rows for name, rows in seen.items()}
    policy = model.policy
    assert (policy.predict_values(seen) != policy.predict_values(other)).all()
    assert th.equal(policy.likeliest(seen), policy.likeliest(other))
    without = {name: rows for name, rows in seen.items() if not name.startswith("true_")}
    assert th.equal(policy.likeliest(seen), policy.likeliest(without))


def test_the_actor_begins_as_without_it():
    settings = settings_of()
    plain = RunSettings.from_json({**settings.to_json(), "policy": {"hidden": 16}})
    first, second = (
        build_model(each, learners_view(each, training_worlds(each))) for each in (settings, plain)
    )
    ours, theirs = first.policy.actor.state_dict(), second.policy.actor.state_dict()
    assert all(th.equal(ours[name], theirs[name]) for name in ours)
    assert (
        first.policy.critic.encoder.client_in.in_features
        == 2 + second.policy.critic.encoder.client_in.in_features
    )


@pytest.mark.parametrize(
    "changes",
    [{"algo": "dqn", "env": "frugalfl/SpotMarket-discrete-v0"}, {"env": "frugalfl/Serving-v0", "world": {}}],
    ids=["no critic", "no such future"],
)
def test_where_there_is_no_such_critic_it_is_refused(changes):
    settings = RunSettings.from_json({**settings_of().to_json(), **changes})
    with pytest.raises(ValueError, match=r"policy.foresight: True, expected False"):
        learners_view(settings, training_worlds(settings))


def test_a_situation_without_a_future_is_refused(view):
    view.reset()
    with pytest.raises(ValueError, match="no future"):
        foresight(view.unwrapped.agent_view.world.situation())
