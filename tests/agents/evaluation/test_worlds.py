"""The same rules on the packaged worlds: real training, real withdrawals."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.reports import write_report
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.agents.schedulers.planning import Clairvoyant
from frugalfl.envs.scenario import load_scenario, scenario_names
from frugalfl.envs.world import FederatedWorld

EXACT = [
    "net_points",
    "accuracy",
    "val_net_points",
    "hours",
    "gigabytes",
    "kilograms",
    "rounds",
    "lost",
    "jain",
]


@pytest.fixture(scope="module")
def short():
    return load_scenario("volunteers", max_rounds=6)


@pytest.fixture(scope="module")
def worlds(short):
    """By number of environments; whoever plays begins with a reset."""
    return {number: FederatedWorld(short, number, "val") for number in (1, 3)}


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "clairvoyant"])
def test_row_of_a_batch_is_the_single_episode_exactly(short, worlds, name):
    def play(seeds):
        world, scheduler = worlds[len(seeds)], make_scheduler(name)
        everyone = np.ones(len(seeds), dtype=bool)
        world.reset(everyone, np.array(seeds))
        scheduler.reset(everyone, np.array(seeds), short.clients)
        rewards = [world.step(scheduler.plan(world.situation())).reward for _ in range(4)]
        return np.stack(rewards)

    batch = play([5, 9, 2])
    for row, seed in enumerate((5, 9, 2)):
        assert np.array_equal(play([seed])[:, 0], batch[:, row])


@pytest.mark.parametrize("world", scenario_names())
def test_every_scheduler_plays_every_world_without_repairs(world):
    scenario = load_scenario(world, max_rounds=3)
    played = FederatedWorld(scenario, 1, "val")
    for name in SCHEDULERS:
        if name == "clairvoyant":
            continue
        scheduler = make_scheduler(name)
        played.reset(np.ones(1, dtype=bool), np.array([3]))
        scheduler.reset(np.ones(1, dtype=bool), np.array([3]), scenario.clients)
        while played.running.any():
            played.step(scheduler.plan(played.situation()))
        assert played.totals()["repairs"].tolist() == [0]


def test_batch_changes_nothing_and_sums_are_honest(short, tmp_path):
    names = ["random-m", "f3ast", "never"]
    result = evaluate(names, short, episodes=3, split="val", batch=3, progress=False)
    again = evaluate(names, short, episodes=3, split="val", batch=2, progress=False)
    assert result.episodes[EXACT].equals(again.episodes[EXACT])
    table = result.episodes
    costs = table[["points_time", "points_communication", "points_emissions"]].sum(axis=1)
    assert (costs[table["scheduler"] != "never"] < 0).all()
    gain = 100 * (table["accuracy"] - table["accuracy_start"])
    assert table["net_points"].to_numpy() == pytest.approx((gain + costs).to_numpy())
    assert write_report(result, tmp_path).exists()


def test_the_ceiling_is_above_its_candidates_with_any_stop(short):
    rules = [make_scheduler("random-m"), make_scheduler("greenest-m")]
    players = {"clairvoyant": Clairvoyant(rules, max_candidates=4, splices=2, mutations=8)}
    players |= {"random-m": rules[0], "greenest-m": rules[1]}
    players["stops"] = make_scheduler("random-m", stop_after_rounds=3)
    result = evaluate(players, short, episodes=3, split="val", batch=2, progress=False)
    best = result.values("clairvoyant", "val_net_points")
    for name in ("random-m", "greenest-m", "stops"):
        assert (best >= result.values(name, "val_net_points") - 1e-9).all()
