"""Policies of serving on the same episodes: one table, whatever the batch."""

import numpy as np
import pandas as pd
import pytest
from small_serving import small

from frugalfl.agents.evaluation import CANCELLED, COMPLETED, IDLE
from frugalfl.envs.serving import NOTHING, ServingPlan
from frugalfl.evaluation import evaluate, load_result, save_result


class Loads:
    """Every free slot loads one rung, of the task of its number."""

    kind, clairvoyant = "handcrafted", False

    def __init__(self, rung):
        self.name, self.rung = f"rung {rung}", rung

    def reset(self, envs, seeds, num_clients):
        """Nothing to remember."""

    def plan(self, situation):
        """Orders for free slots."""
        idle = ServingPlan.idle(situation.num_envs, situation.num_slots, situation.num_tasks)
        if self.rung is None:
            return idle
        wanted = np.arange(situation.num_slots) % situation.num_tasks * situation.num_rungs + self.rung
        free = situation.loadable & (situation.slots.model == NOTHING)
        return ServingPlan(np.where(free, 1 + wanted, 0), idle.threshold, idle.release)


@pytest.fixture(scope="module")
def result():
    policies = {"hub": Loads(None), "small": Loads(1), "large": Loads(4)}
    return evaluate(policies, small(), episodes=6, split="val", batch=4, progress=False)


def test_the_table_adds_up(result):
    e = result.episodes
    terms = ["points_answers", "points_time", "points_communication", "points_emissions"]
    np.testing.assert_allclose(e["net_points"], e[terms].sum(axis=1))
    np.testing.assert_allclose(e["hours"], 4)
    assert set(e["scheduler"]) == {"hub", "small", "large"}
    assert (e.loc[e["scheduler"] == "hub", "loads"] == 0).all()
    last = result.curves.groupby(["scheduler", "episode"])["net"].last()
    np.testing.assert_allclose(last, e.set_index(["scheduler", "episode"])["net_points"].sort_index())


def test_the_batch_changes_nothing(result):
    alone = evaluate({"small": Loads(1)}, small(), episodes=6, split="val", batch=1, progress=False)
    columns = [name for name in alone.episodes if name != "decision_ms"]
    both = result.episodes[result.episodes["scheduler"] == "small"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.episodes[columns], both[columns])


def test_the_tables_of_all_evaluations_take_it(result, tmp_path):
    assert result.ranking()[-1] == "hub" and result.rival() == result.ranking()[0]
    summary = result.summary()
    assert {"net_points", "accuracy", "gigabytes", "kilograms"} <= set(summary["metric"])
    assert len(result.comparison()) == 3
    again = load_result(save_result(result, tmp_path))
    pd.testing.assert_frame_equal(again.episodes, result.episodes)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"episodes": 0}, "episodes: 0"),
        ({"batch": 0}, "batch: 0"),
        ({"schedulers": {}}, "schedulers: none given"),
    ],
)
def test_bad_numbers_are_refused(bad, said):
    given = {"schedulers": {"hub": Loads(None)}, "scenario": small(), "progress": False, **bad}
    with pytest.raises(ValueError, match=said):
        evaluate(**given)


def test_policies_have_names():
    named = evaluate(["hub-only", "lfu"], small(hours=1), episodes=2, split="val", progress=False)
    assert set(named.episodes["scheduler"]) == {"hub-only", "lfu"}
    with pytest.raises(ValueError, match="did you mean 'hub-only'"):
        evaluate(["hub-onli"], small(), progress=False)


def test_regret_is_that_of_the_placements_and_costs_nothing_twice(result):
    table = result.episodes.set_index(["scheduler", "episode"])
    assert (table["regret_limit"] >= table["regret_points"] - 1e-9).all()
    # Who places nothing gains nothing: all that the best fixed placement spares is its regret.
    assert (table.loc["hub", "regret_points"] > table.loc["small", "regret_points"]).all()
    assert {"regret_points", "regret_limit"} == set(result.regrets)


def test_methods_with_a_bound_tell_their_own_regret():
    played = evaluate(["oga", "lfu"], small(hours=2), episodes=2, split="val", progress=False)
    table = played.episodes.set_index("scheduler")
    assert (table.loc["oga", "own_regret"] <= table.loc["oga", "regret_bound"]).all()
    assert table.loc["lfu", "own_regret"].isna().all()
    assert "own_regret" in played.regrets


def test_shares_are_of_the_requests(result):
    e = result.episodes
    np.testing.assert_allclose(
        e["points_answers"] / e["right_share"], 100, rtol=0.2
    )  # requests of a day are near what was expected
    assert e["dropped_share"].between(0, 1).all() and (e["latency_ms"] > 10).all()


def test_the_timeline_shows_slots_that_load_and_answer(result):
    small_, large = result.timelines["small"], result.timelines["large"]
    assert {IDLE, COMPLETED} <= set(small_.status.flat) and {IDLE, CANCELLED} <= set(large.status.flat)
    for timeline in (small_, large):
        assert timeline.status.shape == (24, 6)
        assert (timeline.busy_h <= timeline.duration_h[:, None] + 1e-12).all()
