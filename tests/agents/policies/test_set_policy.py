"""The set policy: equivariant, of any size, masked by what it sees, usable by Stable-Baselines3."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import VecEnv

from frugalfl.agents.policies.actor_critic import MaskableSetActorCriticPolicy, SetActorCriticPolicy
from frugalfl.agents.policies.client_set import tanh
from frugalfl.agents.policies.initial_logits import default_wait_logits, share_logits
from frugalfl.agents.policies.packed import Choices

F, G, Z, H = 6, 4, 3, 5
STORAGE = 2
W, Q, S, L, T = 4, 3, 2, 5, 3


def make_spaces(n, moves_data=True, scales_step=False):
    observation = spaces.Dict(
        clients=spaces.Box(-1, 1, (n, F), np.float32),
        server=spaces.Box(-1, 1, (G,), np.float32),
        zones=spaces.Box(-1, 1, (Z, H), np.float32),
    )
    server = [W, Q, S] if scales_step else [W, Q]
    return observation, spaces.MultiDiscrete(server + [L] * n + ([T] * n if moves_data else []))


def make_policy(n, cls=SetActorCriticPolicy, moves_data=True, scales_step=False, **kwargs):
    th.manual_seed(0)
    policy = cls(*make_spaces(n, moves_data, scales_step), lambda _: 1e-3, storage_feature=STORAGE, **kwargs)
    with th.no_grad():  # orthogonal output layers start near zero; make the outputs speak
        for layer in (policy.actor.server_logits, policy.actor.client_logits):
            layer.weight.mul_(100)
    return policy


def observe(n, batch=4, seed=0):
    rng = np.random.default_rng(seed)
    clients = rng.uniform(-1, 1, (batch, n, F)).astype(np.float32)
    clients[..., 0] = rng.random((batch, n)) < 0.5
    clients[..., STORAGE] = rng.integers(0, 2, (batch, n))
    obs = dict(
        clients=clients, server=rng.uniform(-1, 1, (batch, G)), zones=rng.uniform(-1, 1, (batch, Z, H))
    )
    return {key: th.tensor(value, dtype=th.float32) for key, value in obs.items()}


def client_logits(policy, flat, n):
    start = W + Q
    levels = flat[:, start : start + n * L].reshape(-1, n, L)
    transfers = flat[:, start + n * L :].reshape(-1, n, T)
    return th.cat([levels, transfers], dim=2)


@pytest.mark.parametrize("pooling", ["mean-max", "attention"])
def test_permuting_clients_permutes_the_logits_and_leaves_the_rest(pooling):
    n, policy, obs = 9, make_policy(9, pooling=pooling), observe(9)
    order = th.randperm(n, generator=th.Generator().manual_seed(1))
    shuffled = {**obs, "clients": obs["clients"][:, order]}
    with th.no_grad():
        first, second = policy.logits(obs), policy.logits(shuffled)
        assert th.allclose(
            client_logits(policy, first, n)[:, order], client_logits(policy, second, n), atol=1e-5
        )
        assert th.allclose(first[:, : W + Q], second[:, : W + Q], atol=1e-5)
        assert th.allclose(policy.predict_values(obs), policy.predict_values(shuffled), atol=1e-5)
        zones = {**obs, "zones": obs["zones"].flip(1)}
        assert th.allclose(first, policy.logits(zones), atol=1e-5)
    assert not th.allclose(
        client_logits(policy, first, n)[:, order], client_logits(policy, first, n), atol=1e-3
    )


@pytest.mark.parametrize("pooling", ["mean-max", "attention"])
def test_weights_fit_any_number_of_clients(pooling):
    small, large = make_policy(24, pooling=pooling), make_policy(100, pooling=pooling)
    large.load_state_dict(small.state_dict())
    actions, values, log_prob = large(observe(100))
    assert actions.shape == (4, 2 + 2 * 100)
    assert values.shape == (4, 1)
    assert log_prob.shape == (4,)


@given(seed=st.integers(0, 1000), deterministic=st.booleans())
@settings(max_examples=20, deadline=None)
def test_never_orders_what_the_observation_rules_out(seed, deterministic):
    n, policy, obs = 7, make_policy(7), observe(7, batch=16, seed=seed)
    obs["clients"][0, :, 0] = 0.0
    actions = policy(obs, deterministic=deterministic)[0].numpy()
    there = obs["clients"][..., 0].numpy() > 0.5
    storage = obs["clients"][..., STORAGE].numpy() > 0
    assert (actions[:, 2 : 2 + n][~there] == 0).all()
    assert (actions[:, 2 + n :][~(there & storage)] == 0).all()
    assert actions[0, 0] > 0, "nobody is there: training now is not an option"


def test_unavailable_clients_only_reach_the_others_through_the_context():
    policy, obs = make_policy(5, hidden=16), observe(5)
    with th.no_grad():
        nobody = {**obs, "clients": obs["clients"] * 0}
        assert th.isfinite(policy(nobody)[1]).all()
        assert th.isfinite(make_policy(5, pooling="attention")(nobody)[2]).all()


def test_the_deterministic_action_invites_the_expected_number_of_the_surest():
    n, policy, obs = 10, make_policy(10, initial_level_logits=[1.0, 0.0, 0.3, 0.0, 0.0]), observe(10, batch=6)
    obs["clients"][..., 0] = 1.0
    obs["clients"][5, 3:, 0] = 0.0
    distribution = policy.get_distribution(obs)
    levels = distribution.log_probs()[:, W + Q : W + Q + n * L].reshape(6, n, L).exp()
    chance = 1 - levels[..., 0]
    actions = th.tensor(
        policy.predict({key: rows.numpy() for key, rows in obs.items()}, deterministic=True)[0]
    )
    invited = actions[:, 2 : 2 + n] > 0
    assert th.equal(invited.sum(dim=1), chance.sum(dim=1).round().clamp_min(1).long())
    for row in range(6):
        assert chance[row][invited[row]].min() >= chance[row][~invited[row]].max()
    chosen = actions[:, 2 : 2 + n]
    assert th.equal(chosen[invited], 1 + levels[..., 1:].argmax(dim=2)[invited])
    assert th.equal(actions, policy(obs, deterministic=True)[0])
    mode = distribution.mode()
    assert th.equal(actions[:, :2], mode[:, :2])
    assert not th.equal(actions, mode)


def test_given_masks_forbid_more():
    n, policy, obs = 6, make_policy(6, MaskableSetActorCriticPolicy), observe(6, batch=32)
    masks = np.ones((32, W + Q + n * (L + T)), dtype=bool)
    masks[:, W] = False
    masks[:, W + Q + 1 : W + Q + L] = False
    actions = policy(obs, action_masks=masks)[0].numpy()
    assert (actions[:, 1] > 0).all()
    assert (actions[:, 2] == 0).all()
    _, log_prob, entropy = policy.evaluate_actions(obs, th.tensor(actions), th.tensor(masks).float())
    assert (log_prob > -1e6).all()
    assert (entropy > 0).all()


def test_heads_without_effect_do_not_count_in_the_log_probability():
    n, policy, obs = 4, make_policy(4), observe(4, batch=3)
    obs["clients"][..., 0] = 1.0
    obs["clients"][..., STORAGE] = 1.0
    waits, trains = th.zeros(3, 2 + 2 * n), th.zeros(3, 2 + 2 * n)
    waits[:, 0] = 1
    trains[:, 3] = 2  # only client 1 is invited
    for one, head, counts in (
        (waits, 0, True),
        (waits, 1, False),
        (waits, 2, False),
        (trains, 1, True),
        (trains, 2, True),
        (trains, 2 + n, False),
        (trains, 2 + n + 1, True),
    ):
        other = one.clone()
        other[:, head] = 2
        same = th.equal(policy.evaluate_actions(obs, one)[1], policy.evaluate_actions(obs, other)[1])
        assert same != counts
    stock = make_policy(4, effective_only=False)
    log_prob = stock.get_distribution(obs).log_prob(waits)
    assert th.allclose(stock.evaluate_actions(obs, waits)[1], log_prob, atol=1e-5)


def test_an_untrained_policy_keeps_the_episode_alive_and_invites_a_few():
    policy, obs = SetActorCriticPolicy(*make_spaces(50), lambda _: 1e-3), observe(50, batch=400)
    obs["clients"][..., 0] = 1.0
    actions = policy(obs)[0].numpy()
    assert (actions[:, 0] == 0).mean() > 0.85
    assert (actions[:, 0] == W - 1).mean() < 0.01
    assert (actions[:, 2:52] > 0).mean() == pytest.approx(0.3, abs=0.03)


def test_initial_logits_are_the_ones_asked_for():
    policy = SetActorCriticPolicy(
        *make_spaces(3),
        lambda _: 1e-3,
        initial_wait_logits=[0, -1, -2, -9],
        initial_level_logits=[1, 2, 3, 4, 5],
    )
    assert policy.actor.server_logits.bias[:W].tolist() == [0, -1, -2, -9]
    assert policy.actor.client_logits.bias[:L].tolist() == [1, 2, 3, 4, 5]
    assert default_wait_logits(1) == [0.0]
    assert share_logits(2, 0.5) == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"initial_wait_logits: \[0.0\], expected 4 finite numbers"):
        SetActorCriticPolicy(*make_spaces(3), lambda _: 1e-3, initial_wait_logits=[0])


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([2, 2]), "observation_space"),
        (make_spaces(3)[0], spaces.Discrete(4), "Discrete, expected MultiDiscrete"),
        (make_spaces(3)[0], spaces.MultiDiscrete([2, 2, 3, 3]), r"\[L\] \* 3"),
        (make_spaces(3)[0], spaces.MultiDiscrete([2, 2, 3, 4, 3]), r"\[L\] \* 3"),
    ],
)
def test_foreign_spaces_are_refused(observation, action, message):
    with pytest.raises(ValueError, match=message):
        SetActorCriticPolicy(observation, action, lambda _: 1e-3)
    with pytest.raises(ValueError, match="pooling: 'sum', expected one of"):
        make_policy(3, pooling="sum")


class Greens(VecEnv):
    """Invite whoever has feature 1 above zero: one step per episode, a reward for every right choice."""

    def __init__(self, n, num_envs):
        super().__init__(num_envs, *make_spaces(n, moves_data=False))
        self.n, self.rng = n, np.random.default_rng(0)

    def _observe(self):
        seed = int(self.rng.integers(2**31))
        self.obs = {key: value.numpy() for key, value in observe(self.n, self.num_envs, seed).items()}
        self.obs["clients"][:, 0, 0] = 1.0
        return {key: value.copy() for key, value in self.obs.items()}

    def reset(self):
        return self._observe()

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        there = self.obs["clients"][..., 0] > 0.5
        right = (self.actions[:, 2:] > 0) == (self.obs["clients"][..., 1] > 0)
        rewards = np.where(there, right, 0).sum(axis=1) / there.sum(axis=1)
        rewards = np.where(self.actions[:, 0] == 0, rewards, 0).astype(np.float32)
        return self._observe(), rewards, np.ones(self.num_envs, dtype=bool), [{} for _ in rewards]

    def env_method(self, method_name, *args, indices=None, **kwargs):
        masks = np.ones((self.num_envs, self.action_space.nvec.sum()), dtype=bool)
        masks[:, 1:W] = False  # training now is the only choice
        return list(masks)

    def has_attr(self, attr_name):
        return attr_name == "action_masks"

    def close(self): ...
    def get_attr(self, attr_name, indices=None):
        return [None] * self.num_envs

    def set_attr(self, attr_name, value, indices=None): ...
    def env_is_wrapped(self, wrapper_class, indices=None): ...


def score(model, n):
    obs = observe(n, batch=200, seed=99)
    obs["clients"][:, 0, 0] = 1.0
    actions, _ = model.predict({key: value.numpy() for key, value in obs.items()}, deterministic=True)
    there = obs["clients"][..., 0].numpy() > 0.5
    right = (actions[:, 2:] > 0) == (obs["clients"][..., 1].numpy() > 0)
    return right[there].mean()


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_ppo_learns_whom_to_invite_and_the_skill_transfers_to_more_clients(algorithm):
    th.set_num_threads(1)
    policy = MaskableSetActorCriticPolicy if algorithm is MaskablePPO else SetActorCriticPolicy
    settings_ = dict(
        n_steps=16, batch_size=128, n_epochs=4, learning_rate=3e-3, seed=0, device="cpu", gamma=0.0
    )
    model = algorithm(policy, Greens(8, 32), policy_kwargs=dict(hidden=32), **settings_)
    before = score(model, 8)
    model.learn(512 * 24)
    assert score(model, 8) > 0.9 > before
    larger = algorithm(policy, Greens(20, 8), policy_kwargs=dict(hidden=32), **settings_)
    larger.policy.load_state_dict(model.policy.state_dict())
    assert score(larger, 20) > 0.85


def test_a2c_and_saving_work(tmp_path):
    model = A2C(SetActorCriticPolicy, Greens(4, 4), policy_kwargs=dict(hidden=16), device="cpu", seed=0)
    model.learn(40)
    model.policy.save(tmp_path / "policy.pt")
    again = SetActorCriticPolicy.load(tmp_path / "policy.pt")
    obs = observe(4)
    assert again.hidden == 16
    assert th.equal(again.logits(obs), model.policy.logits(obs))


@pytest.mark.parametrize("scales_step", [True, False])
@pytest.mark.parametrize("moves_data", [True, False])
@pytest.mark.parametrize("effective_only", [True, False])
@pytest.mark.parametrize("pooling", ["mean-max", "attention"])
def test_packed_clients_give_what_dense_masked_logits_give(pooling, effective_only, moves_data, scales_step):
    parts = dict(moves_data=moves_data, scales_step=scales_step)
    policy = make_policy(8, pooling=pooling, effective_only=effective_only, **parts)
    obs = observe(8, batch=32)
    obs["clients"][3, :, 0] = 0.0
    dense = policy.get_distribution(obs)
    actions = dense.sample()
    values, log_prob, entropy = policy.evaluate_actions(obs, actions)
    assert th.allclose(entropy, dense.entropy(), atol=1e-5)
    assert th.allclose(log_prob, policy.action_log_prob(dense, actions), atol=1e-5)
    assert th.allclose(values, policy.predict_values(obs))
    gradients = []
    for loss in (
        log_prob.sum() + entropy.sum(),
        policy.action_log_prob(dense, actions).sum() + dense.entropy().sum(),
    ):
        policy.zero_grad()
        loss.backward(retain_graph=True)
        gradients.append(
            th.cat([each.grad.flatten() for each in policy.actor.parameters() if each.grad is not None])
        )
    assert th.allclose(*gradients, atol=1e-4)


@pytest.mark.parametrize("scales_step", [True, False])
def test_packed_clients_are_drawn_with_the_probabilities_of_the_dense_distribution(scales_step):
    policy, obs = make_policy(3, scales_step=scales_step), observe(3, batch=1, seed=3)
    obs = {key: rows.repeat(20_000, *[1] * (rows.ndim - 1)) for key, rows in obs.items()}
    th.manual_seed(1)
    with th.no_grad():
        actions = policy(obs)[0]
        chances = policy.get_distribution({key: rows[:1] for key, rows in obs.items()}).log_probs().exp()[0]
    first = 0
    for head, size in enumerate(policy.action_space.nvec):
        shares = th.bincount(actions[:, head], minlength=int(size)) / len(actions)
        assert th.allclose(shares, chances[first : first + size], atol=0.015)
        first += int(size)


@given(n=st.integers(2, 9), scales_step=st.booleans(), moves_data=st.booleans())
def test_the_parts_of_an_action_are_told_apart_by_their_number(n, scales_step, moves_data):
    action = make_spaces(n, moves_data, scales_step)[1]
    expected = Choices(W, Q, (S,) if scales_step else (), L, T if moves_data else 0)
    assert Choices.of(action.nvec.tolist(), n) == expected
    assert sum(expected.server) + n * sum(expected.clients) == action.nvec.sum()


def test_of_one_client_too():
    assert Choices.of([W, Q, L, T], 1) == Choices(W, Q, (), L, T)
    for sizes in ([W, Q], [W, Q, L, T, T], [W, Q, L, L + 1, T]):
        with pytest.raises(ValueError, match="action_space: nvec"):
            Choices.of(sizes, 1 if len(sizes) < 5 else 3)


def test_the_servers_step_counts_only_where_somebody_trains():
    policy, obs = make_policy(4, scales_step=True), observe(4)
    actions = policy.get_distribution(obs).sample()
    actions[:, 0] = th.tensor([0, 1, 0, 2])
    assert policy.effective(actions)[:, 1:3].tolist() == [[w == 0] * 2 for w in (0, 1, 0, 2)]
    other = actions.clone()
    other[:, 2] = 1 - other[:, 2]
    one, two = (policy.evaluate_actions(obs, each)[1] for each in (actions, other))
    assert (one != two).tolist() == [True, False, True, False]
    first = policy.distribution(obs).log_probs().exp()[:, W + Q : W + Q + S]
    assert th.allclose(first.sum(dim=1), th.ones(4))


@given(values=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30))
def test_the_fast_hyperbolic_tangent_is_one(values):
    ours, theirs = (th.tensor(values, requires_grad=True) for _ in range(2))
    assert th.allclose(tanh(ours), th.tanh(theirs), atol=5e-7)
    tanh(ours).sum().backward()
    th.tanh(theirs).sum().backward()
    assert th.allclose(ours.grad, theirs.grad, atol=1e-6)
