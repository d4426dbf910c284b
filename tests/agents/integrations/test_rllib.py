"""RLlib plays every id; its learners never choose what the mask forbids."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces

import frugalfl  # noqa: F401
from frugalfl.agents.integrations import (
    FlatLayout,
    MaskedObservations,
    MaskedVectorObservations,
    WeightedReward,
    flatten,
)
from frugalfl.envs.agent_view import CLIENT_FEATURES
from frugalfl.envs.registration import entries

# Ray's and its dependencies' own: deprecated parts of each other, and sockets and logs left to the garbage
# collector. RLlib also registers one and the same Gymnasium id for every environment it makes.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env-v0"),
]
WORLD = "frugalfl/Volunteers-v0"
SMALL = {"clients": 8, "max_rounds": 12}


@pytest.fixture(scope="module")
def rllib():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("ray.rllib")
        from frugalfl.agents.integrations import rllib

        return rllib


def heads_of(mask, nvec):
    return np.split(np.asarray(mask) > 0.5, np.cumsum(nvec)[:-1])


def is_legal(action, mask, nvec):
    return all(head[choice] for head, choice in zip(heads_of(mask, nvec), action, strict=True))


@pytest.mark.parametrize(
    "env_id", [entry.id for entry in entries() if "Quadratic" in entry.id and "-flat" not in entry.id]
)
def test_masks_need_choices(env_id):
    env = gym.make(env_id)
    if isinstance(env.action_space, spaces.Box):
        with pytest.raises(ValueError, match="masks need choices"):
            MaskedObservations(env)
    else:
        observation, _ = MaskedObservations(env).reset(seed=0)
        assert observation["action_mask"].size == spaces.flatdim(env.action_space)


def test_observations_are_the_environments_own_and_carry_the_next_mask():
    plain, masked = gym.make(WORLD, **SMALL), MaskedObservations(gym.make(WORLD, **SMALL))
    expected, _ = plain.reset(seed=5)
    observation, _ = masked.reset(seed=5)
    layout, rng, over = FlatLayout.of(plain.observation_space), np.random.default_rng(0), False
    while not over:
        assert observation in masked.observation_space
        parts = layout.split(observation["observations"])
        for name, values in expected.items():
            np.testing.assert_array_equal(parts[name], values)
        np.testing.assert_array_equal(observation["action_mask"] > 0.5, plain.unwrapped.action_masks())
        action = rng.integers(plain.action_space.nvec)
        expected, _, terminated, truncated, _ = plain.step(action)
        observation, *_ = masked.step(action)
        over = terminated or truncated


def test_a_batch_gives_what_its_environments_give():
    batch = MaskedVectorObservations(gym.make_vec(WORLD, 3, vectorization_mode="vector_entry_point", **SMALL))
    singles = [MaskedObservations(gym.make(WORLD, **SMALL)) for _ in range(3)]
    observations, _ = batch.reset(seed=7)
    alone = [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)]
    assert observations in batch.observation_space
    for _ in range(3):
        for name, rows in observations.items():
            np.testing.assert_array_equal(rows, [each[name] for each in alone])
        action = np.zeros(batch.action_space.shape, dtype=np.int64)
        action[:, 2:6] = 1
        observations = batch.step(action)[0]
        alone = [env.step(action[0])[0] for env in singles]


def test_flat_observations_of_others_are_refused():
    with pytest.raises(ValueError, match="expected a Dict of clients, server, zones"):
        FlatLayout.of(spaces.Box(-1, 1, (3,)))


def test_weights_make_one_number_of_a_vector_reward():
    scalar = gym.make("frugalfl/Quadratic-v0")
    summed = WeightedReward(gym.make("frugalfl/mo-Quadratic-v0"))
    green = WeightedReward(gym.make("frugalfl/mo-Quadratic-v0"), (1.0, 0.0, 0.0, 10.0))
    for env in (scalar, summed, green):
        env.reset(seed=1)
    action = np.ones(scalar.action_space.shape, dtype=np.int64)
    action[0] = 0
    reward, terms = scalar.step(action)[1], summed.env.unwrapped
    assert summed.step(action)[1] == pytest.approx(reward, rel=1e-5)
    _, mixed, _, _, info = green.step(action)
    assert mixed == pytest.approx(info["reward_terms"] @ [1.0, 0.0, 0.0, 10.0], rel=1e-5)
    with pytest.raises(ValueError, match=r"reward_weights: \(1.0,\), expected 4 finite numbers"):
        WeightedReward(terms, (1.0,))


def test_without_ray_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import frugalfl, frugalfl.agents.integrations.masked_observations\n"
        "try:\n    import frugalfl.agents.integrations.rllib\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(said.splitlines()) == 1
    assert said.startswith("RLlib cannot be imported (")
    assert said.strip().endswith("): pip install 'frugalfl[rllib]'")


def test_registration_is_idempotent_and_complete(rllib):
    from ray.tune.registry import ENV_CREATOR, _global_registry

    first, again = rllib.register_envs(), rllib.register_envs()
    assert first == again == tuple(entry.id for entry in entries())
    for env_id in first:
        assert _global_registry.contains(ENV_CREATOR, env_id)
    env = _global_registry.get(ENV_CREATOR, WORLD)({"clients": 6})
    assert env.unwrapped.scenario.clients == 6
    assert set(env.observation_space) == {"observations", "action_mask"}


@pytest.mark.parametrize("env_id", [entry.id for entry in entries() if "Volunteers" in entry.id])
def test_every_face_has_spaces_that_rllib_takes(rllib, env_id):
    env = rllib.make_env(env_id, SMALL)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    observation, reward, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert isinstance(reward, float)
    everything_is_legal = "discrete" in env_id or "scores" in env_id
    assert isinstance(env.observation_space, spaces.Box if everything_is_legal else spaces.Dict)


def test_env_config_is_checked(rllib):
    with pytest.raises(ValueError, match="did you mean 'frugalfl/Volunteers-v0'"):
        rllib.make_env("frugalfl/Volunteer-v0")
    with pytest.raises(ValueError, match="clients"):
        rllib.make_env(WORLD, {"clients": -1})
    with pytest.raises(ValueError, match="reward_weights: given for 'frugalfl/Volunteers-v0'"):
        rllib.make_env(WORLD, {"reward_weights": [1, 1, 1, 1]})
    with pytest.raises(ValueError, match="vectorize_mode 'sync'"):
        rllib.make_env("frugalfl/mo-Volunteers-v0", {"num_envs": 2})


def modules(rllib, env, env_id=WORLD):
    given = {"observation_space": env.observation_space, "action_space": env.action_space}
    spec = rllib.set_module_spec(env_id, SMALL, heads="independent", hidden=16)
    yield rllib.MaskedModule(**given, model_config={"hiddens": (16,)})
    yield rllib.MaskedSetModule(**given, model_config=spec.model_config)


def slate_module(rllib, env, env_id=WORLD):
    spec = rllib.set_module_spec(env_id, SMALL, hidden=16)
    given = {"observation_space": env.observation_space, "action_space": env.action_space}
    return rllib.MaskedSlateModule(**given, model_config=spec.model_config)


def test_no_illegal_choice_is_ever_sampled(rllib):
    batch = rllib.make_env(WORLD, SMALL | {"num_envs": 16})
    nvec = batch.single_action_space.nvec
    single = rllib.make_env(WORLD, SMALL)
    th.manual_seed(0)
    for module in (*modules(rllib, single), slate_module(rllib, single)):
        dist_cls, observation, checked, away = module.get_exploration_action_dist_cls(), None, 0, 0
        observation, _ = batch.reset(seed=3)
        for _ in range(25):
            tensors = {name: th.as_tensor(rows) for name, rows in observation.items()}
            logits = module.forward_exploration({"obs": tensors})["action_dist_inputs"]
            actions = dist_cls.from_logits(logits).sample().numpy()
            best = dist_cls.from_logits(logits).to_deterministic().sample().numpy()
            for row, mask in enumerate(observation["action_mask"]):
                assert is_legal(actions[row], mask, nvec) and is_legal(best[row], mask, nvec)
                away += int((mask == 0).sum())
                checked += 1
            observation = batch.step(actions)[0]
        assert checked == 400
        assert away > 1000


def test_a_slate_is_the_packages_own(rllib):
    """The same weights give the same log-probabilities, entropies and likeliest actions as with SB3."""
    from frugalfl.agents.policies.actor_critic import SetActorCriticPolicy

    batch, plain = rllib.make_env(WORLD, SMALL | {"num_envs": 16}), gym.make(WORLD, **SMALL)
    env = rllib.make_env(WORLD, SMALL)
    module = slate_module(rllib, env)
    policy = SetActorCriticPolicy(
        plain.observation_space,
        plain.action_space,
        lambda _: 0.0,
        hidden=16,
        heads="slate",
        storage_feature=list(CLIENT_FEATURES).index("storage_left"),
    )
    policy.actor.load_state_dict(module.actor.state_dict())
    layout = FlatLayout.of(plain.observation_space)
    observation, _ = batch.reset(seed=3)
    th.manual_seed(1)
    for _ in range(6):
        tensors = {name: th.as_tensor(rows) for name, rows in observation.items()}
        inputs = module.forward_train({"obs": tensors})["action_dist_inputs"]
        assert inputs.shape[1] == rllib.SlateChoice.required_input_dim(env.action_space, clients=8)
        ours = module.get_train_action_dist_cls().from_logits(inputs)
        theirs = policy.slate(layout.split(tensors["observations"]), None, tensors["action_mask"] > 0.5)
        actions = ours.sample()
        th.testing.assert_close(ours.logp(actions), theirs.log_prob(actions))
        th.testing.assert_close(ours.entropy(), theirs.entropy())
        assert th.equal(ours.to_deterministic().sample(), theirs.mode())
        assert (ours.kl(ours) == 0).all()
        observation = batch.step(actions.numpy())[0]


def test_the_divergence_of_slates_is_estimated_without_bias(rllib):
    """Of two clients and one place the divergence is known: that of two coins."""
    nvec, clients, rows = (2, 1, 2, 2), 2, 20_000
    sizes = th.full((8,), -1e8)
    sizes[0] = 0.0

    def inputs(odds):
        server, mask = th.tensor([0.0, -1e8, 0.0]), th.ones(2 + 1 + 4)
        return th.cat([server, sizes, th.tensor([odds, 0.0, 0.0, 0.0]), mask])

    one, two = (
        rllib.SlateChoice.from_logits(inputs(odds).expand(rows, -1), nvec=nvec, clients=clients)
        for odds in (1.0, -0.5)
    )
    th.manual_seed(0)
    p, q = th.sigmoid(th.tensor([1.0, -0.5])).tolist()
    exact = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert one.kl(two).mean().item() == pytest.approx(exact, abs=0.02)


def test_heads_have_names(rllib):
    with pytest.raises(ValueError, match="heads: 'coins', expected one of independent, slate"):
        rllib.set_module_spec(WORLD, SMALL, heads="coins")


def test_the_distribution_is_rllibs_own_in_one_tensor(rllib):
    from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical

    nvec, rng = (3, 2, 5, 5, 5), th.Generator().manual_seed(0)
    one, two = (th.randn(7, sum(nvec), generator=rng) for _ in range(2))
    for logits in (one, two):
        logits[:, 1] = logits[3:, 7] = -1e8
    actions = th.zeros(7, len(nvec), dtype=th.int64)
    ours = [rllib.MultiChoice.from_logits(logits, nvec=nvec) for logits in (one, two)]
    theirs = [TorchMultiCategorical.from_logits(logits, input_lens=list(nvec)) for logits in (one, two)]
    th.testing.assert_close(ours[0].logp(actions), theirs[0].logp(actions))
    th.testing.assert_close(ours[0].entropy(), theirs[0].entropy())
    th.testing.assert_close(ours[0].kl(ours[1]), theirs[0].kl(theirs[1]))
    assert (ours[0].kl(ours[0]) == 0).all()
    assert ours[0].sample().shape == (7, len(nvec))
    assert rllib.MultiChoice.required_input_dim(spaces.MultiDiscrete(nvec)) == sum(nvec)


def test_forbidden_choices_get_no_gradient_and_values_have_the_batchs_shape(rllib):
    env = rllib.make_env(WORLD, SMALL)
    observation, _ = env.reset(seed=2)
    tensors = {name: th.as_tensor(values)[None] for name, values in observation.items()}
    for module in modules(rllib, env):
        logits = module.forward_train({"obs": tensors})["action_dist_inputs"]
        assert logits.shape == (1, env.action_space.nvec.sum())
        forbidden = tensors["action_mask"] == 0
        assert (logits[forbidden] == -1e8).all() and (logits[~forbidden] > -1e3).all()
        logits.sum().backward()
        assert all(th.isfinite(p.grad).all() for p in module.actor.parameters() if p.grad is not None)
        timed = {"obs": {name: rows[:, None].repeat(1, 4, 1) for name, rows in tensors.items()}}
        assert module.compute_values(timed).shape == (1, 4)
        th.testing.assert_close(module.compute_values(timed)[:, 0], module.compute_values({"obs": tensors}))


def test_a_set_module_needs_its_layout(rllib):
    env = rllib.make_env(WORLD, SMALL)
    with pytest.raises(ValueError, match="no 'layout', expected that of set_module_spec"):
        rllib.MaskedSetModule(observation_space=env.observation_space, action_space=env.action_space)
    with pytest.raises(ValueError, match="expected a Dict of observations, action_mask"):
        rllib.MaskedModule(observation_space=spaces.Box(-1, 1, (3,)), action_space=env.action_space)


def test_flattening_keeps_the_order_of_parts():
    env = gym.make(WORLD, **SMALL)
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(flatten(observation), spaces.flatten(env.observation_space, observation))


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "heads"), [("sync", "independent"), ("vector_entry_point", "slate")])
def test_ppo_trains(rllib, mode, heads):
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    algorithm = None
    try:
        rllib.register_envs()
        config = (
            PPOConfig()
            .environment(WORLD, env_config=SMALL)
            .env_runners(num_env_runners=0, num_envs_per_env_runner=4, gym_env_vectorize_mode=mode)
            .learners(num_learners=0)
            .rl_module(rl_module_spec=rllib.set_module_spec(WORLD, SMALL, heads, hidden=16))
            .training(train_batch_size=96, minibatch_size=48, num_epochs=2, gamma=1.0)
            .debugging(seed=0)
        )
        algorithm = config.build_algo()
        before = {name: values.copy() for name, values in algorithm.get_module().get_state().items()}
        for _ in range(3):
            result = algorithm.train()
        after = algorithm.get_module().get_state()
        assert result["num_env_steps_sampled_lifetime"] >= 3 * 96
        assert np.isfinite(result["env_runners"]["episode_return_mean"])
        assert all(np.isfinite(value) for value in after.values() for value in value.ravel())
        assert any((before[name] != after[name]).any() for name in before)
    finally:
        if algorithm is not None:
            algorithm.stop()
        ray.shutdown()
