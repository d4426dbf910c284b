"""A policy among many more clients than in training invites as many as it would in one group of them."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from frugalfl.agents.learned.grouped import decide_in_groups, group_count
from frugalfl.agents.policies.actor_critic import SetActorCriticPolicy

F, G, Z, H, W, Q, S, L, T = 5, 3, 2, 4, 3, 2, 3, 4, 3


def make_policy(n, transfers=True, scales_step=False):
    th.manual_seed(0)
    observation = spaces.Dict(
        clients=spaces.Box(-1, 1, (n, F), np.float32),
        server=spaces.Box(-1, 1, (G,), np.float32),
        zones=spaces.Box(-1, 1, (Z, H), np.float32),
    )
    server = [W, Q, S] if scales_step else [W, Q]
    action = spaces.MultiDiscrete(server + [L] * n + ([T] * n if transfers else []))
    policy = SetActorCriticPolicy(
        observation, action, lambda _: 0.0, initial_level_logits=[1.0, 0.2, 0.0, 0.1]
    )
    with th.no_grad():
        for layer in (policy.actor.server_logits, policy.actor.client_logits):
            layer.weight.mul_(60)
    return policy


def observe(n, batch=6, seed=0):
    th.manual_seed(seed)
    obs = {"clients": th.rand(batch, n, F), "server": th.rand(batch, G), "zones": th.rand(batch, Z, H)}
    obs["clients"][..., 0] = (obs["clients"][..., 0] < 0.5).float()
    return obs


@pytest.mark.parametrize(
    ("clients", "trained", "groups"),
    [(24, 24, 1), (35, 24, 1), (36, 24, 2), (240, 24, 10), (5, 24, 1), (240, None, 1)],
)
def test_groups_are_as_large_as_the_training_world(clients, trained, groups):
    assert group_count(clients, trained) == groups


@pytest.mark.parametrize("scales_step", [True, False])
@pytest.mark.parametrize("transfers", [True, False])
def test_one_group_decides_like_the_policy_itself(transfers, scales_step):
    policy, obs = make_policy(9, transfers, scales_step), observe(9)
    with th.no_grad():
        alone = policy.decide(policy.get_distribution(obs))
        assert th.equal(decide_in_groups(policy, obs, 1), alone)


def test_ten_times_the_same_clients_get_as_many_invitations():
    small, obs = make_policy(8), observe(8)
    many = {**obs, "clients": obs["clients"].repeat_interleave(10, dim=1)}
    with th.no_grad():
        few = small.decide(small.get_distribution(obs))
        grouped = decide_in_groups(make_policy(80), many, 10)
    np.testing.assert_array_equal((few[:, 2:10] > 0).sum(dim=1), (grouped[:, 2:82] > 0).sum(dim=1))
    np.testing.assert_array_equal(few[:, :2], grouped[:, :2])


@pytest.mark.parametrize(("n", "groups"), [(17, 3), (20, 4), (7, 7)])
def test_actions_are_legal_whatever_the_number(n, groups):
    policy, obs = make_policy(n), observe(n, batch=20)
    obs["clients"][3, :, 0] = 0.0
    with th.no_grad():
        actions = decide_in_groups(policy, obs, groups)
    assert all(policy.action_space.contains(row) for row in actions.numpy())
    away = obs["clients"][..., 0] < 0.5
    assert (actions[:, 2 : 2 + n][away] == 0).all()
    assert (actions[:, 2 + n :][away] == 0).all()
    assert actions[3, 0] > 0, "nobody is there: training now is not an option"
    assert ((actions[:, 2 : 2 + n] > 0).any(dim=1) == ~away.all(dim=1)).all()


def test_rows_do_not_touch_each_other():
    policy, obs = make_policy(30), observe(30)
    with th.no_grad():
        together = decide_in_groups(policy, obs, 3)
        alone = [decide_in_groups(policy, {k: v[i : i + 1] for k, v in obs.items()}, 3) for i in range(6)]
    assert th.equal(together, th.cat(alone))
