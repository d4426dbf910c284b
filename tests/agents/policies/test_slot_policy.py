"""The policy of slots: what it forbids, that order does not matter, and the chain from training to a card."""

import json

import numpy as np
import pytest
import torch as th
from small_serving import SMALL, small

import frugalfl
from frugalfl.agents.experiment.export import export_run
from frugalfl.agents.experiment.main_job import Experiment
from frugalfl.agents.learning import RunSettings
from frugalfl.agents.learning.run_folder import load_scheduler
from frugalfl.agents.players import make_player
from frugalfl.agents.policies.actor_critic import MaskableSlotActorCriticPolicy, SlotActorCriticPolicy
from frugalfl.envs.contract import rollout
from frugalfl.envs.serving import ServingWorld
from frugalfl.envs.serving_view import slot_features
from frugalfl.evaluation import evaluate


@pytest.fixture(scope="module")
def venv():
    made = frugalfl.make_vec_env("frugalfl/Serving-v0", 4, scenario=SMALL)
    made.seed(0)
    return made


@pytest.fixture(scope="module")
def observation(venv):
    seen = venv.reset()
    rng = np.random.default_rng(0)
    for _ in range(3):
        load = rng.integers(0, venv.action_space.nvec, (4, venv.action_space.nvec.size))
        seen = venv.step(load)[0]
    return {key: th.as_tensor(rows) for key, rows in seen.items()}


def policy_of(venv, kind=SlotActorCriticPolicy):
    th.manual_seed(0)
    return kind(venv.observation_space, venv.action_space, lambda _: 1e-3, hidden=16)


def test_orders_to_slots_that_are_away_or_loading_are_forbidden(venv, observation):
    policy = policy_of(venv)
    known = venv.agent_view.situation
    probabilities = policy.distribution(observation).log_probs().exp()
    loads = probabilities[:, -known.num_slots * policy._loads :].reshape(4, known.num_slots, -1)
    keeps = loads[..., 0].detach().numpy() == 1.0
    np.testing.assert_array_equal(keeps, ~known.loadable)
    assert keeps.any() and not keeps.all()
    masks = venv.action_masks()
    masked = policy_of(venv, MaskableSlotActorCriticPolicy)
    assert (masked.distribution(observation, masks).log_probs().exp().detach().numpy()[~masks] == 0).all()


@pytest.mark.parametrize("share", [0.005, 0.3])
def test_untrained_it_takes_four_proposals_of_five_and_seldom_anything_else(venv, observation, share):
    th.manual_seed(0)
    space, actions = venv.observation_space, venv.action_space
    policy = SlotActorCriticPolicy(space, actions, lambda _: 1e-3, hidden=16, initial_share=share)
    known, names = venv.agent_view.situation, slot_features(venv.agent_view.scenario)
    task, rung = (
        [place for place, name in enumerate(names) if name.startswith(part)]
        for part in ("proposed_task", "proposed_rung")
    )

    def chances(slots):
        each = policy.distribution(observation | {"slots": slots}).log_probs().exp().detach().numpy()
        return each[:, -known.num_slots * policy._loads :].reshape(4, known.num_slots, -1)

    slots = observation["slots"]
    what = 1 + slots[..., task].argmax(dim=2) * len(rung) + slots[..., rung].argmax(dim=2)
    proposed = known.loadable & slots[..., task].any(dim=2).numpy()
    followed = np.take_along_axis(chances(slots), what.numpy()[..., None], axis=2)[..., 0]
    assert proposed.any()
    np.testing.assert_allclose(followed[proposed], 0.8, atol=0.1)
    bare = slots.clone()
    bare[..., task + rung] = 0.0
    np.testing.assert_allclose(1.0 - chances(bare)[known.loadable][:, 0], share, rtol=0.3)


def test_how_far_proposals_are_followed_is_learned(venv, observation):
    policy = policy_of(venv)
    actions = policy.likeliest(observation)
    policy.evaluate_actions(observation, actions)[1].sum().backward()
    assert policy.follow.grad is not None and float(policy.follow.grad) != 0.0


def test_the_order_of_slots_is_the_order_of_their_orders(venv, observation):
    policy = policy_of(venv)
    order = th.randperm(observation["slots"].shape[1], generator=th.Generator().manual_seed(1))
    turned = observation | {"slots": observation["slots"][:, order]}
    before, after = policy.likeliest(observation), policy.likeliest(turned)
    np.testing.assert_array_equal(policy.levels_of(after), policy.levels_of(before)[:, order])
    th.testing.assert_close(policy.predict_values(turned), policy.predict_values(observation))


def test_training_and_evaluation_see_the_same_probabilities(venv, observation):
    policy = policy_of(venv)
    actions, values, chosen = policy(observation)
    again = policy.evaluate_actions(observation, actions)
    th.testing.assert_close(again[0], values)
    th.testing.assert_close(again[1], chosen)
    by_hand = policy.distribution(observation).head_log_prob(actions).sum(dim=1)
    th.testing.assert_close(chosen, by_hand)


def test_from_a_run_to_a_card_to_a_table(tmp_path):
    settings = RunSettings(
        env="frugalfl/Serving-v0",
        algo="maskable-ppo",
        timesteps=192,
        num_envs=4,
        segment_steps=96,
        validate_every=1,
        val_episodes=2,
        warm_start="online-greedy",
        warm_start_rounds=48,
        world={"scenario": {**SMALL, "kind": "serving", "hours": 2}},
    )
    run = tmp_path / "run"
    experiment = Experiment(settings, run, eval_episodes=2, rivals=["hub-only"])
    experiment.begin()
    experiment.train()
    outcome = experiment.compare(progress=False)
    assert set(outcome.result.kinds.values()) == {"learned", "handcrafted"}
    folder = export_run(run, "mine", tmp_path / "zoo")
    card = json.loads((folder / "card.json").read_text())
    assert card["choices"]["load"] == 1 + 4 * 5 and card["trained_clients"] == 6
    world = small(hours=2)
    players = {"card": make_player(str(folder), world), "run": load_scheduler(run)}
    result = evaluate(players, world, 2, progress=False)
    np.testing.assert_allclose(result.values("card"), result.values("run"))
    np.testing.assert_allclose(result.values("card"), outcome.result.values("maskable-ppo"))
    # More slots of the same kind: the weights fit any number of them.
    more = small(hours=1, machines=[*SMALL["machines"], SMALL["machines"][0]])
    assert sum(1 for _ in rollout(ServingWorld(more, 1), make_player(str(folder), more), np.array([3]))) == 6
    with pytest.raises(ValueError, match="plays in worlds of serving"):
        make_player(str(folder), "volunteers")
    with pytest.raises(ValueError, match="chooses among other threshold than"):
        make_player(str(folder), small(levels={"threshold": [0.0, 0.5]}))
