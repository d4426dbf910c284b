"""`frugalfl theory` where the optimum moves: schedulers beside the best pace, regrets beside bounds."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.commands.theory import main
from frugalfl.agents.evaluation import REGRETS, evaluate
from frugalfl.agents.insight import follow
from frugalfl.agents.reports.report import rich_table
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = np.array([3, 8])


def world_of(**changes):
    small = {"clients": 6, "budgets": {"hours": 12}, **changes}
    return FederatedWorld(load_scenario("quadraticstreams", **small), 2, "val")


def test_what_following_came_to():
    world = world_of()
    followed = follow(world, make_scheduler("oma-pace"), SEEDS)
    assert followed.net_points == pytest.approx(world.totals()["net_points"])
    expected = 100 * world._streams.serving.right_of_expected
    asked = world._streams.serving.requests.sum(axis=1) / world._streams.serving.right.sum(axis=1)
    assert followed.regret_points == pytest.approx(expected * (asked - 1))
    assert (followed.own_regret <= followed.regret_bound).all()
    assert follow(world, make_scheduler("periodic"), SEEDS).regret_bound is None


def test_the_best_pace_is_rarer_where_rounds_are_dear_and_more_where_they_are_free():
    free, dear = (
        follow(
            world_of(preferences={"price_per_gb": price, "price_per_kg": 0}), make_scheduler("never"), SEEDS
        )
        for price in (0.0, 3.0)
    )
    for one, other in zip(free.best, dear.best, strict=True):
        assert one.period_s < other.period_s
        assert one.net_per_h > other.net_per_h
        assert one.accuracy > other.accuracy > 0


def test_where_nothing_moves_there_is_nothing_to_follow():
    world = FederatedWorld(load_scenario("quadratic", clients=6), 2, "val")
    with pytest.raises(ValueError, match="nothing moves there"):
        follow(world, make_scheduler("periodic"), SEEDS)


def test_the_command_prints_both(capsys):
    options = ["--scheduler", "oga-pace", "--episodes", "2", "--split", "val"]
    assert main(["--env", "frugalfl/QuadraticStreams-v0", *options]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("best pace", "dynamic regret", "its bound", "net points"))


def test_evaluations_have_regrets_with_bounds_where_there_are_any():
    small = load_scenario("quadraticstreams", clients=6, budgets={"hours": 8})
    result = evaluate(["periodic", "oga-pace"], small, episodes=2, split="val", progress=False)
    assert result.regrets == tuple(name for name in REGRETS if name != "regret_limit")  # it is of serving
    assert "regret_points" in result.metrics
    assert (result.values("periodic", "regret_points") > 0).all()
    assert np.isnan(result.values("periodic", "own_regret")).all()
    assert (result.values("oga-pace", "own_regret") <= result.values("oga-pace", "regret_bound")).all()
    headings = [column.header for column in rich_table(result).columns]
    assert any("dynamic regret" in heading for heading in headings)
    still = evaluate(["periodic"], load_scenario("quadratic", clients=6), 2, "val", progress=False)
    assert still.regrets == ()
