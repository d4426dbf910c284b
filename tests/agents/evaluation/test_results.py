"""A result folder gives back the very numbers that were written, and names what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from frugalfl.agents import players
from frugalfl.agents.evaluation import CONFIG, Timeline, evaluate, load_result, save_result
from frugalfl.agents.players import make_player, origin_of
from frugalfl.agents.schedulers import make_scheduler, registry, tuned_schedulers
from frugalfl.agents.schedulers.planning import Mpc
from frugalfl.agents.zoo import find_card
from frugalfl.common.files import slug


@pytest.fixture
def played(toy_world):
    names = ["random-m", "fastest-m", "never"]
    return evaluate(names, "toy", episodes=5, batch=2, progress=False, make_world=toy_world)


def test_what_is_read_is_what_was_written(played, tmp_path):
    again = load_result(save_result(played, tmp_path / "out"))
    pd.testing.assert_frame_equal(again.episodes, played.episodes, check_exact=True)
    pd.testing.assert_frame_equal(again.curves, played.curves, check_exact=True)
    assert (again.world, again.split, again.zones) == (played.world, played.split, played.zones)
    pd.testing.assert_frame_equal(again.comparison(), played.comparison(), check_exact=True)


def test_the_rival_is_chosen_on_val_and_not_by_these_episodes(played):
    """Who was best when they were tuned, whoever wins here; where nobody was tuned, the best here."""
    assert played.rival() == played.best("handcrafted")
    scores = {"random-m": 41.0, "fastest-m": 52.0, "never": np.nan}
    table = played.episodes.assign(val_score=played.episodes["scheduler"].map(scores))
    for winner in ("random-m", "never"):
        lucky = table.copy()
        lucky.loc[lucky["scheduler"] == winner, "net_points"] += 1000.0
        result = replace(played, episodes=lucky)
        assert result.best("handcrafted") == winner
        assert result.rival() == "fastest-m"
        assert set(result.comparison()["rival"]) == {"fastest-m"}


def test_what_evolution_spent_on_the_linear_rule_is_told_too():
    entry = tuned_schedulers("volunteers")["linear-rule"]
    tuned, plain = make_scheduler("linear-rule", "volunteers"), make_scheduler("linear-rule")
    assert origin_of(tuned, "volunteers") == (entry["score"], entry["rounds"])
    assert np.isnan(origin_of(plain, "volunteers")).all()


def test_rounds_spent_and_scores_on_val_are_those_of_the_tuning():
    entry = tuned_schedulers("volunteers")["mpc"]
    tuned, changed = make_scheduler("mpc", "volunteers"), make_scheduler("mpc", "volunteers", participants=17)
    assert origin_of(tuned, "volunteers").val_score == entry["score"]
    assert np.array_equal(
        origin_of(tuned, "volunteers").rounds_spent, entry.get("rounds", np.nan), equal_nan=True
    )
    for other in (changed, make_scheduler("never"), OwnMpc()):
        assert np.isnan(origin_of(other, "volunteers")).all()
    assert np.isnan(origin_of(tuned, "phones")).all()


def test_rounds_are_those_of_the_tuned_file(monkeypatch):
    stored = {"mpc": {"score": 3.0, "default_score": 1.0, "settings": {"participants": 4}, "rounds": 12_345}}
    for module in (registry, players):
        monkeypatch.setattr(module, "tuned_schedulers", lambda world: stored)
    assert origin_of(make_scheduler("mpc", "toy"), "toy") == (3.0, 12_345.0)


def test_rounds_of_the_trained_are_on_their_card():
    pytest.importorskip("torch")
    player = make_player("volunteers-ppo", "volunteers")
    assert origin_of(player, "volunteers").rounds_spent == find_card("volunteers-ppo")[1].rounds_trained


class OwnMpc(Mpc):
    """One's own class under the name of a shipped one."""


def test_timelines_come_back_whole(played, tmp_path):
    again = load_result(save_result(played, tmp_path))
    assert set(again.timelines) == set(played.timelines) == {"random-m", "fastest-m", "never"}
    for name, timeline in played.timelines.items():
        for item in fields(Timeline):
            ours, theirs = getattr(again.timelines[name], item.name), getattr(timeline, item.name)
            assert np.array_equal(ours, theirs)
            assert np.asarray(ours).dtype == np.asarray(theirs).dtype


def test_no_draft_is_left_behind(played, tmp_path):
    save_result(played, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, "{", "config.json: not JSON"),
        (CONFIG, json.dumps({"format": "frugalfl-run-1"}), "expected 'frugalfl-evaluation-1'"),
        ("episodes.csv", None, "episodes.csv: No such file.*not finished"),
        ("episodes.csv", "", "episodes.csv: not a CSV table"),
        ("curves.csv", "a,b\n1,2\n", "curves.csv:1: no column 'scheduler'"),
        ("timelines/never.npz", "no zip", "never.npz: not readable"),
    ],
)
def test_a_broken_folder_is_refused_in_one_line(played, tmp_path, name, content, message):
    save_result(played, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        load_result(tmp_path)
    assert "\n" not in str(error.value)


def test_slugs_are_plain_file_names():
    assert slug("my.module:Class") == "my.module_Class"
    assert slug("../../etc") == "_.._etc"
