"""A mixture's episode is the one of its kind; kinds that could not share a view are refused."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch as th

import frugalfl
from frugalfl.agents.policies.client_set import available_clients
from frugalfl.envs.agent_view import CLIENT_FEATURES, SERVER_FEATURES, ObservationEncoder
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.mixture import MixtureWorld, make_world
from frugalfl.envs.scenario import kinds_of, load_scenario, shares_of
from frugalfl.envs.world import FederatedWorld

MIXTURE = load_scenario("mixture")
SEEDS = np.arange(40, 52)


def plan_for(situation):
    """The first available client of every row makes five steps."""
    first = np.cumsum(situation.clients.available, axis=1) == 1
    steps = (5 * (first & situation.clients.available)).astype(np.int32)
    rows = len(steps)
    return RoundPlan(steps, np.zeros_like(steps), np.ones(rows), np.zeros(rows))


def played(world, seeds, decisions=3):
    """Rewards, accuracies and parameters of an episode per seed."""
    world.reset(np.ones(len(seeds), dtype=bool), seeds)
    rewards = [world.step(plan_for(world.situation())).reward for _ in range(decisions)]
    return np.stack(rewards, axis=1), world.test_scores()[0], world.parameters(), world.situation()


def test_an_episode_is_exactly_the_one_of_its_kind():
    world = MixtureWorld(MIXTURE, len(SEEDS), "val")
    rewards, accuracy, parameters, situation = played(world, SEEDS)
    kinds = kinds_of(MIXTURE)
    assert len(set(world.kind)) > 3
    for row, (seed, number) in enumerate(zip(SEEDS, world.kind, strict=True)):
        alone = played(FederatedWorld(kinds[number], 1, "val"), np.array([seed]))
        np.testing.assert_array_equal(rewards[row], alone[0][0])
        assert accuracy[row] == alone[1][0]
        width = alone[2].shape[1]
        np.testing.assert_array_equal(parameters[row, :width], alone[2][0])
        assert not parameters[row, width:].any()
        size = kinds[number].clients
        assert situation.terms.federation_size[row] == size
        for part in ("clients", "zones", "run", "terms"):
            ours, theirs = getattr(situation, part), getattr(alone[3], part)
            for name, values in vars(theirs).items():
                mine = getattr(ours, name)
                if name.endswith("leads_s"):
                    np.testing.assert_array_equal(mine, values)
                    continue
                mine = mine[row, :size] if part == "clients" else mine[row]
                np.testing.assert_array_equal(mine, values[0], err_msg=name)


def test_rows_beyond_a_small_federation_stand_for_nobody():
    world, encoder = MixtureWorld(MIXTURE, len(SEEDS), "val"), ObservationEncoder(MIXTURE)
    played(world, SEEDS)
    situation = world.situation(clairvoyant=True)
    size = situation.terms.federation_size
    nobody = np.arange(MIXTURE.clients) >= size[:, None]
    assert nobody.any(axis=1).sum() > 3
    clients = situation.clients
    assert not clients.available[nobody].any()
    assert not clients.samples_held[nobody].any()
    assert not clients.target_weight[nobody].any()
    np.testing.assert_allclose(clients.target_weight.sum(axis=1), 1.0)
    assert not world.participation[nobody].any()
    assert np.isnan(world.client_test_accuracy()[nobody]).all()
    observation = encoder.encode(situation)
    assert not observation["clients"][nobody].any()
    assert observation["clients"][~nobody].any(axis=1).all()
    kinds = kinds_of(MIXTURE)
    for row, (seed, number) in enumerate(zip(SEEDS, world.kind, strict=True)):
        small = FederatedWorld(kinds[number], 1, "val")
        alone = ObservationEncoder(kinds[number]).encode(played(small, np.array([seed]))[3])
        np.testing.assert_array_equal(observation["clients"][row, : size[row]], alone["clients"][0])
        np.testing.assert_array_equal(observation["zones"][row], alone["zones"][0])
        # The document's largest budget stands for those of its kinds; the median of steps may move a bit.
        odd = [SERVER_FEATURES.index(name) for name in ("hours_left", "step_time")]
        same = np.delete(np.arange(len(SERVER_FEATURES)), odd)
        np.testing.assert_array_equal(observation["server"][row, same], alone["server"][0, same])


def test_networks_do_not_see_nobody():
    observation = {"clients": th.rand(2, 5, len(CLIENT_FEATURES)) + 0.1, "server": th.zeros(2, 1)}
    observation["clients"][:, :, 0] = th.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    padded = {**observation, "clients": th.nn.functional.pad(observation["clients"], (0, 0, 0, 3))}
    some, more = available_clients(observation), available_clients(padded)
    th.testing.assert_close(some.context, more.context)
    th.testing.assert_close(some.features, more.features)


def test_kinds_come_as_often_as_their_shares_say():
    kinds = [{"name": "often", "share": 3.0}, {"name": "seldom"}]
    world = MixtureWorld(load_scenario("quadratic", clients=4, mixture=kinds), 400)
    world.reset(np.ones(400, dtype=bool), np.arange(400))
    assert np.mean(world.kind == 0) == pytest.approx(0.75, abs=0.07)
    assert shares_of(world.scenario) == (0.75, 0.25)


def test_a_row_that_begins_anew_may_be_of_another_kind_and_leaves_the_others_alone():
    world = MixtureWorld(MIXTURE, 4, "val")
    world.reset(np.ones(4, dtype=bool), SEEDS[:4])
    world.step(plan_for(world.situation()))
    before, totals = world.kind.copy(), world.totals()
    for seed in range(100, 140):
        world.reset(np.array([True, False, False, False]), np.array([seed, 0, 0, 0]))
        if world.kind[0] != before[0]:
            break
    assert world.kind[0] != before[0]
    np.testing.assert_array_equal(world.kind[1:], before[1:])
    for name, values in world.totals().items():
        np.testing.assert_array_equal(values[1:], totals[name][1:])
    assert world.totals()["rounds"][0] == 0


def test_the_kind_is_never_shown():
    env = gym.make("frugalfl/Mixture-v0")
    observation, info = env.reset(seed=3)
    assert set(observation) == {"clients", "server", "zones"}
    assert "kind" not in info
    batch = frugalfl.make_vec_env("frugalfl/Mixture-v0", 3)
    assert batch.observation_space == env.observation_space


def test_a_scenario_of_one_kind_is_a_world_of_its_own():
    volunteers = load_scenario("volunteers")
    assert kinds_of(volunteers) == (volunteers,)
    assert isinstance(make_world(volunteers), FederatedWorld)


@pytest.mark.parametrize(
    ("kinds", "complaint"),
    [
        ([{"clients": 30}], "mixture: 0: clients: 30, expected at most the 24 of all"),
        ([{"zones": 3}], "mixture: 0: zones is set, expected it beside the mixture"),
        ([{}, {"levels": {}}], "mixture: 1: levels is set"),
        ([{"share": 0}], "mixture: 0: share: 0, expected a positive number"),
        ([{"share": "much"}], "mixture: 0: share: 'much'"),
        ([{"odd": 1}], "mixture: 0: odd"),
        ([{"partition": "zones"}], "mixture: 0: partition"),
    ],
)
def test_what_does_not_fit_is_refused(kinds, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        load_scenario("volunteers", mixture=kinds)
    assert "\n" not in str(refused.value)


STREAMS = {
    "clients": 6,
    "budgets": {"hours": 5},
    "arrivals": {"kind": "poisson", "per_hour": 20},
    "mixture": [
        {"name": "few", "clients": 4, "drift": {"mean_h": 1.0}},
        {"name": "swapped", "memory": {"rows": 10}, "drift": {"kind": "swap", "mean_h": 3.0}},
        {"name": "asked-more", "arrivals": {"kind": "poisson", "per_hour": 60}},
    ],
}


SERVED = np.arange(6)
"""Seeds of two episodes of each of these kinds."""


@pytest.mark.parametrize("exits", [False, True])
def test_kinds_that_serve_are_served_exactly_as_alone(exits):
    more = {"model": "exits", "exits": {}, "levels": {"ask_below": [0.0, 0.9]}} if exits else {}
    mixture = load_scenario("streams", **STREAMS, **more)
    world, seeds = MixtureWorld(mixture, 6, "val"), SERVED
    world.reset(np.ones(6, dtype=bool), seeds)
    assert len(set(world.kind)) == 3
    alone = [FederatedWorld(kinds_of(mixture)[kind], 1, "val") for kind in world.kind]
    for each, seed in zip(alone, seeds, strict=True):
        each.reset(np.ones(1, dtype=bool), np.array([seed]))
    encoder, running = ObservationEncoder(mixture), np.ones(6, dtype=bool)
    while running.any():
        situation = world.situation(clairvoyant=True)
        observation = encoder.encode(situation)
        assert all(np.abs(part).max() <= 1 for part in observation.values())
        result = world.step(plan_for(situation))
        running &= ~(result.terminated | result.truncated)
        for row in range(6):
            n = alone[row].scenario.clients
            if not alone[row].running[0]:
                continue
            own = alone[row].situation(clairvoyant=True)
            ahead, mine = own.future.drift_s[0], situation.future.drift_s[row]
            np.testing.assert_array_equal(mine[: ahead.size], ahead)
            assert np.isposinf(mine[ahead.size :]).all()
            for name in ("requests", "memory_rows", "right_share"):
                np.testing.assert_array_equal(
                    getattr(situation.stream, name)[row, :n], getattr(own.stream, name)[0]
                )
            assert situation.stream.most_rows[row] == alone[row].scenario.memory.rows
            done = alone[row].step(plan_for(own))
            np.testing.assert_array_equal(result.outcome.served.right[row, :n], done.outcome.served.right[0])
            assert not result.outcome.served.requests[row, n:].any()
            assert result.reward[row] == done.reward[0]
            if exits:
                np.testing.assert_array_equal(
                    result.outcome.served.asked.count[row, :n], done.outcome.served.asked.count[0]
                )
    for row in range(6):
        assert world.test_scores()[0][row] == alone[row].test_scores()[0][0]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"arrivals": None, "memory": {}, "drift": {"kind": "none"}}, "mixture: 0: "),
        (
            {"serving": {"refresh": ["none"]}},
            "mixture: 0: serving: refresh: .* actions of all kinds are alike",
        ),
        ({"model": "exits", "exits": {}}, "mixture: 0: "),
    ],
)
def test_kinds_that_serve_see_and_decide_alike(kind, message):
    with pytest.raises(ValueError, match=message):
        kinds_of(load_scenario("streams", **{**STREAMS, "mixture": [{"name": "other", **kind}]}))
