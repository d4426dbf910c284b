"""Evolution of the linear rule repeats itself, resumes, counts its rounds, and finds better weights."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.commands import tune as tune_command
from frugalfl.agents.evaluation import episode_seeds, play_batch
from frugalfl.agents.schedulers import make_scheduler, rounds_spent, stored
from frugalfl.agents.schedulers.linear import START, WEIGHTS, LinearRule, free_weights
from frugalfl.agents.tuning import Evolution, evolution, evolve
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

WORLD = load_scenario("quadratic", name="small", max_rounds=8)
SMALL = Evolution(WORLD, rounds=1500, val_episodes=4, candidates=6, episodes=3)


class Killed(Exception):
    pass


def same(one, other):
    return (
        one.theta == other.theta
        and one.history == other.history
        and np.array_equal(one.val_points, other.val_points)
        and one.rounds == other.rounds
    )


@pytest.fixture(scope="module")
def unbroken():
    return evolve(SMALL)


class TestSearch:
    def test_the_same_search_finds_the_same_another_seed_another(self, unbroken):
        assert same(evolve(SMALL), unbroken)
        assert evolve(replace(SMALL, seed=1)).theta != unbroken.theta

    @pytest.mark.parametrize("kill_at", [1, 2, 5])
    def test_a_killed_search_ends_like_an_unbroken_one(self, unbroken, tmp_path, kill_at):
        seen = []

        def kill(generation):
            seen.append(generation)
            if len(seen) == kill_at:
                raise Killed

        with pytest.raises(Killed):
            evolve(SMALL, tmp_path / "log.json", kill)
        assert evolution.rounds_in(tmp_path / "log.json") == seen[-1].rounds
        later = []
        assert same(evolve(SMALL, tmp_path / "log.json", later.append), unbroken)
        assert [*seen, *later] == list(unbroken.history)
        assert same(evolve(SMALL, tmp_path / "log.json", lambda step: pytest.fail("played again")), unbroken)

    @pytest.mark.parametrize(
        "changes",
        [
            {"seed": 1},
            {"freeze": {"wait": 0}},
            {"start": {"wait.1": 1.0}},
            {"rounds": 1501},
            {"scenario": load_scenario(WORLD, max_rounds=7)},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_the_journal_of_another_search_is_refused(self, tmp_path, changes):
        log = tmp_path / "log.json"
        evolve(replace(SMALL, rounds=1), log)
        with pytest.raises(ValueError, match=r"log.json: a search of .* delete the file"):
            evolve(replace(SMALL, **{"rounds": 1} | changes), log)

    @pytest.mark.parametrize("steps", ["x", [3], [{"rounds": "many", "scores": [], "val": []}], None])
    def test_a_journal_of_another_shape_is_one_line(self, tmp_path, steps):
        log = tmp_path / "log.json"
        log.write_text(json.dumps({"search": SMALL.head(), "steps": steps}))
        assert evolution.rounds_in(log) == 0
        with pytest.raises(ValueError, match=r"log.json: steps") as error:
            evolve(SMALL, log)
        assert "\n" not in str(error.value)

    def test_rounds_are_all_decisions_played(self, unbroken, monkeypatch):
        played = []
        plain = FederatedWorld.step

        def counted(world, plan):
            result = plain(world, plan)
            played.append(int(result.active.sum()))
            return result

        monkeypatch.setattr(FederatedWorld, "step", counted)
        assert evolve(SMALL).rounds == sum(played) == unbroken.rounds

    def test_it_spends_its_budget_and_no_more(self, unbroken):
        assert 0.5 * SMALL.rounds < unbroken.rounds <= SMALL.rounds
        assert [each.rounds for each in unbroken.history] == sorted(
            {each.rounds for each in unbroken.history}
        )

    def test_what_it_says_is_what_playing_the_rule_comes_to(self, unbroken):
        seeds = episode_seeds(SMALL.seed, SMALL.val_episodes)
        rule = make_scheduler("linear-rule", **unbroken.settings)
        frame, _, _ = play_batch("x", rule, FederatedWorld(WORLD, len(seeds), "val"), seeds)
        assert frame["val_net_points"].tolist() == unbroken.val_points.tolist()
        scored = [each.val_points for each in unbroken.history if each.val_points is not None]
        assert unbroken.val_points.mean() == max(scored)
        assert unbroken.history[0].val_points == unbroken.start_points.mean()

    def test_frozen_weights_are_not_searched(self):
        found = evolve(replace(SMALL, freeze={"wait": 0, "who": 0}))
        free = free_weights({"wait": 0, "who": 0})
        assert np.array_equal(np.array(found.theta)[~free], START[~free])
        assert found.rule.freeze == {"wait": 0, "who": 0}

    def test_begins_where_it_is_told_to(self):
        found = evolve(replace(SMALL, rounds=1, start={"wait.1": 3.0}))
        assert found.theta == tuple(np.where([name == "wait.1" for name in WEIGHTS], 3.0, START))
        assert len(found.history) == 1

    def test_it_finds_better_weights(self):
        """From steps that are far too few, on episodes that the search has not seen."""
        start = {"local-steps.1": 0.5, "participants.1": 0.0}
        search = Evolution(WORLD, rounds=12_000, val_episodes=8, start=start, candidates=12, episodes=4)
        found, seeds = evolve(search), episode_seeds(99, 24)

        def points(theta):
            world = FederatedWorld(WORLD, len(seeds), "val")
            return play_batch("x", search.rule(theta), world, seeds)[0]["val_net_points"].mean()

        assert points(found.theta) > points(start) + 5.0

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"rounds": 0}, "rounds: 0"),
            ({"val_episodes": 0}, "val_episodes: 0"),
            ({"candidates": 2}, "candidates, episodes: 2"),
            ({"start": np.zeros((2, len(WEIGHTS)))}, "start: 2 rows"),
            ({"freeze": {"nothing": 1}}, "'nothing' is no decision"),
            ({"knowledge": "much"}, "knowledge: 'much'"),
        ],
    )
    def test_bad_settings_are_refused(self, changes, message):
        with pytest.raises(ValueError, match=message):
            evolve(replace(SMALL, **changes))


class TestCommand:
    @pytest.mark.slow
    def test_rules_and_evolution_get_the_same_rounds_and_tell_them(self, tmp_path, monkeypatch, capsys):
        world = tmp_path / "small.yaml"
        world.write_text("base: quadratic\nname: small\nmax_rounds: 4\n")
        arguments = ["--world", str(world), "--schedulers", "random-m", "linear-rule", "--rounds", "800"]
        # Many trials' worth: one that leaves everybody out only waits, ten times as many decisions.
        arguments += ["--episodes", "4", "--jobs", "1", "--held-out", "5"]
        arguments += ["--log", str(tmp_path / "log"), "--out", str(tmp_path / "tuned")]
        assert tune_command.main(arguments) == 0
        text = (tmp_path / "tuned" / "small.json").read_text()
        entries = json.loads(text)["schedulers"]
        for name in ("random-m", "linear-rule"):
            (spent,) = entries[name]["searches"].values()
            assert 0 < spent <= 800
            assert spent < entries[name]["rounds"]
        assert entries["random-m"]["trials"] > 3
        assert "rounds" in capsys.readouterr().err
        assert tune_command.main(arguments) == 0
        assert (tmp_path / "tuned" / "small.json").read_text() == text
        monkeypatch.setattr(stored.resources, "files", lambda package: tmp_path)
        assert rounds_spent("linear-rule", "small") == entries["linear-rule"]["rounds"]
        assert rounds_spent("mpc", "small") == 0
        rule = make_scheduler("linear-rule", "small", most_steps=5)
        assert isinstance(rule, LinearRule)
        assert rule.most_steps == 5
        assert rule.settings["theta"] == entries["linear-rule"]["settings"]["theta"]
