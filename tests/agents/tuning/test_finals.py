"""The best of a search are scored on episodes that it has not seen; what is stored takes part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frugalfl.agents.commands import tune as tune_command
from frugalfl.agents.evaluation import episode_seeds, evaluate
from frugalfl.agents.evaluation.measures import interquartile_mean
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.tuning import Evolution, Final, Options, Trial, Tuned, evolve, play_finals
from frugalfl.agents.tuning.finals import Contest
from frugalfl.agents.tuning.search import fingerprint
from frugalfl.agents.tuning.stored import store
from frugalfl.envs.scenario import load_scenario

WORLD = load_scenario("quadratic", name="small", clients=12, max_rounds=6)
OPTIONS = Options(finalists=2, held_out=5, seed=3)
SEARCH = Tuned(
    "random-m",
    [
        Trial(0, {}, 1.0, 10),
        Trial(1, {"participants": 1, "local_steps": 1}, 9.0, 10),
        Trial(2, {"participants": 6}, 8.0, 10),
        Trial(3, {"participants": 6}, 7.0, 10),
        Trial(4, {"participants": 4}, 2.0, 10),
    ],
)
COMMAND = {"command": "frugalfl tune --trials 5"}


def played(settings, episodes=5, seed=3 + 71):
    """Interquartile mean of a scheduler with these settings, as an evaluation has it."""
    scheduler = make_scheduler("random-m", **settings)
    result = evaluate({"x": scheduler}, WORLD, episodes, split="val", seed=seed, progress=False)
    return float(interquartile_mean(result.values("x", "val_net_points")))


class TestFinals:
    def test_the_start_and_the_best_different_ones_take_part(self):
        finals = Contest("random-m", WORLD, OPTIONS).finals(SEARCH)
        assert [settings for settings, _ in finals.candidates] == [
            {},
            {"participants": 1, "local_steps": 1},
            {"participants": 6},
        ]
        assert [score for _, score in finals.candidates] == [1.0, 9.0, 8.0]

    def test_the_best_on_other_episodes_wins_and_not_the_luckiest_trial(self):
        final = play_finals(Contest("random-m", WORLD, OPTIONS).finals(SEARCH))
        scores = {str(each.settings): played(each.settings) for each in SEARCH.trials[:3]}
        assert max(scores, key=scores.get) == str(final.settings) != str(SEARCH.best.settings)
        assert final.score == pytest.approx(max(scores.values()), abs=1e-9)
        assert final.default_score == pytest.approx(scores["{}"], abs=1e-9)
        assert final.search_score in {1.0, 8.0}

    def test_its_episodes_are_none_of_the_search_s(self):
        """Where the same seed searches; 3 + 71 is that of `played`."""
        assert not set(episode_seeds(3 + 71, 128)) & set(episode_seeds(3, 600))

    def test_rounds_are_all_decisions_played(self):
        final = play_finals(Contest("random-m", WORLD, OPTIONS).finals(SEARCH))
        each = [
            make_scheduler("random-m", **settings)
            for settings in ({}, *(t.settings for t in SEARCH.trials[1:3]))
        ]
        result = evaluate(dict(enumerate_names(each)), WORLD, 5, split="val", seed=74, progress=False)
        assert final.rounds == result.episodes["decisions"].sum()

    def test_an_evolved_rule_meets_the_weights_it_began_with(self):
        found = evolve(Evolution(WORLD, rounds=600, val_episodes=4, candidates=6, episodes=3))
        finals = Contest("linear-rule", WORLD, OPTIONS).finals(found)
        assert finals.candidates[0][0] == found.start_settings
        assert found.settings in [settings for settings, _ in finals.candidates]
        final = play_finals(finals)
        assert final.score >= final.default_score


def enumerate_names(schedulers):
    return ((f"s{index}", scheduler) for index, scheduler in enumerate(schedulers))


class TestWhatIsStored:
    KNOWN = {
        "score": 50.0,
        "default_score": 1.0,
        "rounds": 700,
        "settings": {"participants": 8},
        "trials": 16,
        "command": "an earlier one",
        "fingerprint": fingerprint(WORLD),
    }

    def final(self, settings):
        return Final("random-m", 60.0, 2.0, settings, rounds=40, search_score=8.0)

    def test_it_takes_part(self):
        finals = Contest("random-m", WORLD, OPTIONS, self.KNOWN).finals(SEARCH)
        assert finals.candidates[-1] == ({"participants": 8}, 50.0)
        assert len(finals.candidates) == 4

    @pytest.mark.parametrize(
        ("winner", "whose"), [({"participants": 8}, "an earlier one"), ({}, "frugalfl tune --trials 5")]
    )
    def test_the_winner_keeps_its_command_and_all_rounds_are_counted(self, winner, whose):
        contest = Contest("random-m", WORLD, OPTIONS, self.KNOWN)
        entry, facts = contest.settle(SEARCH, self.final(winner), COMMAND)
        assert entry.rounds == 700 + 50 + 40
        assert facts["command"] == whose
        assert facts["searches"] == {"an earlier one": 700, "frugalfl tune --trials 5": 50}
        assert (facts.get("trials") == 16) == (whose == "an earlier one")
        assert (facts["search_score"], facts["held_out"]) == (8.0, 5)

    @pytest.mark.parametrize("winner", [{"participants": 8}, {"participants": 6}])
    def test_the_same_search_again_counts_once(self, winner, tmp_path):
        texts = []
        store("small", self.final({"participants": 8}), self.KNOWN, tmp_path)
        for _ in range(2):
            contest = Contest.open("random-m", WORLD, Options(finalists=2, held_out=5, out=tmp_path))
            entry, facts = contest.settle(SEARCH, self.final(winner), COMMAND)
            path = store("small", entry, facts | {"fingerprint": fingerprint(WORLD)}, tmp_path)
            texts.append(path.read_text())
        assert texts[0] == texts[1]
        assert json.loads(texts[0])["schedulers"]["random-m"]["searches"]["frugalfl tune --trials 5"] == 50

    @pytest.mark.parametrize("print_of", [fingerprint(WORLD), "of an older version"])
    def test_it_takes_part_though_its_world_was_another_then(self, print_of, tmp_path):
        store("small", self.final({"participants": 8}), self.KNOWN | {"fingerprint": print_of}, tmp_path)
        contest = Contest.open("random-m", WORLD, Options(finalists=2, out=tmp_path))
        assert contest.finals(SEARCH).candidates[-1][0] == {"participants": 8}

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"settings": {"participantz": 8}}, "participantz"),
            ({"score": "much"}, "score"),
            ({"settings": 3}, "settings"),
        ],
    )
    def test_what_nobody_can_play_is_refused_before_anything_is_played(
        self, wrong, message, tmp_path, capsys
    ):
        world = tmp_path / "small.yaml"
        world.write_text("base: quadratic\nname: small\nmax_rounds: 6\n")
        entry = self.KNOWN | {"fingerprint": fingerprint(load_scenario(str(world)))} | wrong
        (tmp_path / "small.json").write_text(
            json.dumps({"world": "small", "schedulers": {"random-m": entry}})
        )
        arguments = ["--world", str(world), "--schedulers", "random-m", "--log", str(tmp_path / "log")]
        assert tune_command.main([*arguments, "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert "small.json" in error
        assert message in error
        assert not list(Path(tmp_path / "log").rglob("*.journal"))
