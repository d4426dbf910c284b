"""Paired episodes, honest sums, and the statistics of the comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from frugalfl.agents.evaluation import (
    CLIENT_METRICS,
    COMPLETED,
    IDLE,
    LOST,
    METRICS,
    episode_seeds,
    evaluate,
    make_worlds,
)
from frugalfl.agents.evaluation.measures import (
    bootstrap,
    interquartile_mean,
    jain_index,
    mean,
    paired_difference,
    share_of_episodes_won,
)
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import scheduler_seeds
from frugalfl.envs.scenario import load_scenario

NAMES = ["random-m", "fastest-m", "never"]
EXACT = [
    "net_points",
    "accuracy",
    "hours",
    "gigabytes",
    "kilograms",
    "wasted_share",
    "rounds",
    "lost",
    "jain",
]


class Spy:
    """Stops at once, and keeps what it was handed."""

    name, clairvoyant = "spy", False

    def __init__(self, kind):
        self.kind, self.own = kind, make_scheduler("never")

    def reset(self, envs, seeds, num_clients):
        self.seeds = np.array(seeds)
        self.own.reset(envs, seeds, num_clients)

    def plan(self, situation):
        return self.own.plan(situation)


@pytest.fixture
def played(toy_world):
    return evaluate(
        NAMES, "toy", episodes=6, batch=4, progress=False, timeline_episode=5, make_world=toy_world
    )


class TestEvaluate:
    def test_every_scheduler_plays_the_same_episodes(self, played):
        seeds = played.episodes.pivot(index="episode", columns="scheduler", values="seed")
        assert seeds.shape == (6, 3)
        assert (seeds.nunique(axis=1) == 1).all()
        assert seeds.iloc[:, 0].is_unique

    def test_batch_changes_nothing(self, played, toy_world):
        again = evaluate(NAMES, "toy", episodes=6, batch=1, progress=False, make_world=toy_world)
        assert played.episodes[EXACT].equals(again.episodes[EXACT])
        assert played.curves.equals(again.curves)

    @pytest.mark.parametrize("kind", ["handcrafted", "learned", "ceiling"])
    def test_only_a_ceiling_is_handed_what_rebuilds_the_episode(self, kind):
        """Whoever has the episode's seed can build the same world, and look into its future."""
        scenario = load_scenario("quadratic", max_rounds=2)
        spy = Spy(kind)
        evaluate({"spy": spy}, scenario, episodes=3, progress=False)
        worlds = make_worlds(scenario, "test")
        played, rebuilt = worlds(3), worlds(3)
        played.reset(np.ones(3, dtype=bool), episode_seeds(0, 3))
        rebuilt.reset(np.ones(3, dtype=bool), spy.seeds)
        truth, guess = (world.situation(clairvoyant=True).future for world in (played, rebuilt))
        for row in range(3):
            same = np.array_equal(truth.session_left_s[row], guess.session_left_s[row])
            assert same == (kind == "ceiling")

    def test_seeds_of_schedulers_are_apart_and_repeatable(self):
        seeds = np.concatenate([np.arange(-500, 500), episode_seeds(0, 200)])
        given = scheduler_seeds(seeds)
        assert given.dtype == np.int64
        assert given.min() >= 0
        assert len({*given.tolist(), *seeds.tolist()}) == 2 * len(seeds)
        assert np.array_equal(given, [scheduler_seeds(seeds[i : i + 1])[0] for i in range(len(seeds))])

    def test_only_a_ceiling_may_prepare(self, toy_world):
        class Cheat(Spy):
            """Wants to see the episodes before."""

            def prepare(self, take, seeds, batch):
                raise AssertionError("was shown the episodes")

        with pytest.raises(ValueError, match="scheduler spy: kind 'handcrafted', expected 'ceiling'"):
            evaluate({"cheat": Cheat("handcrafted")}, "toy", 2, progress=False, make_world=toy_world)

    def test_net_points_are_test_gain_minus_the_costs_charged(self, played):
        table = played.episodes
        costs = table[["points_time", "points_communication", "points_emissions"]].sum(axis=1)
        gain = 100 * (table["accuracy"] - table["accuracy_start"])
        assert table["net_points"].to_numpy() == pytest.approx((gain + costs).to_numpy())
        val_gain = 100 * (table["val_accuracy"] - 0.1)
        assert table["val_net_points"].to_numpy() == pytest.approx((val_gain + costs).to_numpy())

    def test_never_spends_nothing(self, played):
        table = played.episodes.set_index("scheduler").loc["never"]
        assert (table[["hours", "gigabytes", "kilograms", "rounds", "invitations", "jain"]] == 0).all(
            axis=None
        )
        assert (table["decisions"] == 1).all()
        assert (table["stopped"] == 1).all()

    def test_who_goes_on_to_the_limit_has_not_stopped(self, played):
        table = played.episodes.set_index("scheduler").drop("never")
        assert table["stopped"].isin([0, 1]).all()
        assert not table["stopped"].all()

    def test_curves_end_at_the_totals(self, played):
        ends = played.curves.groupby(["scheduler", "episode"]).last()
        table = played.episodes.set_index(["scheduler", "episode"]).loc[ends.index]
        for name in ("hours", "gigabytes", "kilograms"):
            assert ends[name].to_numpy() == pytest.approx(table[name].to_numpy())
        assert ends["accuracy"].to_numpy() == pytest.approx(table["val_accuracy"].to_numpy())
        lines = played.curves.groupby(["scheduler", "episode"]).size()
        assert (lines == table["decisions"] + 1).all()

    def test_timeline_tells_the_chosen_episode(self, played):
        row = played.episodes.set_index(["scheduler", "episode"]).loc[("random-m", 5)]
        timeline = played.timelines["random-m"]
        assert timeline.episode == 5
        assert (timeline.status == COMPLETED).sum() == row["completions"]
        assert (timeline.status == LOST).sum() == row["lost"]
        assert not ((timeline.status != IDLE) & ~timeline.available).any()
        assert timeline.duration_h.sum() == pytest.approx(row["hours"])

    def test_ranking_summary_and_comparison(self, played):
        ranking = played.ranking()
        scores = [float(interquartile_mean(played.values(name))) for name in ranking]
        assert scores == sorted(scores, reverse=True)
        summary = played.summary()
        assert list(summary["scheduler"].unique()) == ranking
        assert set(summary["metric"]) == {*METRICS, *CLIENT_METRICS}
        assert (summary["iqm_low"] <= summary["iqm"]).all()
        assert (summary["mean"] <= summary["mean_high"]).all()
        comparison = played.comparison().set_index("scheduler")
        assert comparison.loc[ranking[0], ["difference", "difference_low", "share_won"]].tolist() == [
            0,
            0,
            0.5,
        ]

    def test_the_ceiling_is_prepared_and_on_top_of_validation(self, toy_world):
        rules = [make_scheduler("random-m"), make_scheduler("fastest-m")]
        ceiling = type(make_scheduler("clairvoyant"))(rules, max_candidates=4, splices=0, mutations=4)
        players = {"clairvoyant": ceiling, "random-m": rules[0], "fastest-m": rules[1]}
        result = evaluate(players, "toy", episodes=5, batch=2, progress=False, make_world=toy_world)
        best = result.values("clairvoyant", "val_net_points")
        for name in ("random-m", "fastest-m"):
            assert (best >= result.values(name, "val_net_points") - 1e-9).all()
        assert result.kinds["clairvoyant"] == "ceiling"
        assert result.best("handcrafted") != "clairvoyant"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"episodes": 0}, "episodes: 0"),
            ({"batch": 0}, "batch: 0"),
            ({"schedulers": []}, "schedulers: none"),
        ],
    )
    def test_bad_numbers_are_refused(self, toy_world, changes, message):
        arguments = {
            "schedulers": NAMES,
            "scenario": "toy",
            "make_world": toy_world,
            "progress": False,
        } | changes
        with pytest.raises(ValueError, match=message):
            evaluate(**arguments)

    def test_seeds_of_a_longer_evaluation_begin_with_the_shorter(self):
        assert episode_seeds(3, 64)[:10].tolist() == episode_seeds(3, 10).tolist()
        assert len(set(episode_seeds(3, 500).tolist())) == 500


class TestStatistics:
    @given(st.lists(st.floats(-100, 100), min_size=4, max_size=40))
    def test_interquartile_mean_is_rliables(self, values):
        assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))

    def test_interval_covers_the_truth_about_as_often_as_it_says(self):
        rng = np.random.default_rng(1)
        hits = 0
        for index in range(200):
            interval = bootstrap(rng.normal(3.0, 2.0, 40), mean, repetitions=400, seed=index)
            hits += interval.low <= 3.0 <= interval.high
        assert 0.88 <= hits / 200 <= 0.99

    def test_strata_are_never_mixed(self):
        interval = bootstrap([np.zeros(5), np.full(5, 10.0)], mean)
        assert interval == (5.0, 5.0, 5.0)

    def test_pairing_removes_what_both_share(self):
        rng = np.random.default_rng(2)
        world = rng.normal(0, 50, 64)
        difference = paired_difference(world + 1 + rng.normal(0, 0.1, 64), world)
        assert difference.low > 0.9
        assert difference.high < 1.1

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=30))
    def test_improvement_counts_wins_and_half_the_ties(self, pairs):
        ours, theirs = np.array(pairs, dtype=float).T
        by_hand = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs])
        result = share_of_episodes_won(ours, theirs)
        assert result.value == pytest.approx(by_hand)
        assert 0 <= result.low <= result.high <= 1

    def test_jain_index(self):
        assert jain_index([[1, 1, 1, 1], [4, 0, 0, 0], [0, 0, 0, 0]]).tolist() == [1.0, 0.25, 0.0]

    def test_bad_values_are_refused(self):
        with pytest.raises(ValueError, match="not finite"):
            bootstrap([1.0, np.nan])
        with pytest.raises(ValueError, match="no values"):
            bootstrap([])
        with pytest.raises(ValueError, match="same episodes"):
            paired_difference([1.0, 2.0], [1.0])
