"""Search and stored settings of policies of serving: by the policy, else by its parts."""

import json
from importlib import resources

import pytest
from small_serving import small

from frugalfl.agents.players import make_player, name_players, origin_of
from frugalfl.agents.schedulers import make_tuned_policy, strongest
from frugalfl.agents.schedulers import registry as schedulers
from frugalfl.agents.schedulers.serving import make_policy, policy_names
from frugalfl.agents.tuning import tune
from frugalfl.agents.tuning.search_space import declared_of

STORED = {
    "online-greedy": {"score": 60.0, "default_score": 58.0, "rounds": 99, "settings": {"horizon": 9}},
    "lp-defer": {"score": 61.0, "default_score": 58.0, "settings": {"horizon": 3, "risk": 2.0}},
    "hi-lcb+survival-greedy": {
        "score": 62.0,
        "default_score": 58.0,
        "settings": {"horizon": 4, "alpha": 0.1},
    },
}


@pytest.fixture
def stored(monkeypatch):
    monkeypatch.setattr(schedulers, "tuned_schedulers", lambda world: STORED if world == "small" else {})
    monkeypatch.setattr(
        "frugalfl.agents.players.tuned_schedulers", lambda world: STORED if world == "small" else {}
    )


def test_a_search_begins_with_the_defaults_and_is_the_same_again(tmp_path):
    given = {"trials": 3, "episodes": 2, "scenario": small(hours=1)}
    found = tune("online-greedy+hi-lcb", log=tmp_path / "log", **given)
    assert found.trials[0].settings == {} and len(found.trials) == 3
    assert found.rounds == 3 * 2 * 6
    assert found.settings.keys() <= make_policy("online-greedy+hi-lcb").settings.keys()
    again = tune("online-greedy+hi-lcb", log=tmp_path / "log", **given)
    assert again == found
    assert found.score >= found.default_score


def test_who_has_no_settings_is_refused():
    with pytest.raises(ValueError, match="'lfu' has no hyperparameters"):
        declared_of("lfu", small())
    with pytest.raises(ValueError, match="did you mean 'hub-only'"):
        declared_of("hub-onli", small())


def test_stored_settings_are_the_policy_s_own_else_those_of_its_parts(stored):
    assert make_tuned_policy("online-greedy", "small").settings["horizon"] == 9
    both = make_tuned_policy("lp-defer", "small").settings
    assert (both["horizon"], both["risk"]) == (3, 2.0)
    parts = make_tuned_policy("online-greedy+hi-lcb+lp-defer", "small").settings
    assert (parts["horizon"], parts["risk"], parts["alpha"]) == (
        9,
        2.0,
        make_policy("hi-lcb").settings["alpha"],
    )
    own = make_tuned_policy("survival-greedy+hi-lcb+at-once", "small").settings
    assert (own["horizon"], own["alpha"]) == (4, 0.1)
    assert make_tuned_policy("online-greedy", "small", horizon=2).settings["horizon"] == 2
    assert make_tuned_policy("online-greedy", "elsewhere").settings["horizon"] == 6


def test_only_the_tuned_settings_have_an_origin(stored):
    player = make_player("online-greedy", small())
    assert origin_of(player, "small")[:] == (60.0, 99.0)
    other = make_player("online-greedy", small(), horizon=2)
    assert origin_of(other, "small").val_score != 60.0


def test_everybody_of_a_world_of_serving():
    names = name_players(["all"], small())
    assert list(names) == policy_names() and "never-ask" not in names and "random-m" not in names
    assert all(not make_policy(name).clairvoyant for name in strongest("serving", 5, serves=True))


def test_an_unknown_part_comes_with_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'lp-defer'"):
        make_player("online-greedy+lp-deffer", small())


def test_the_packaged_file_is_of_policies_that_there_are():
    text = resources.files(schedulers.__package__).joinpath("tuned").joinpath("serving.json")
    for name, entry in json.loads(text.read_text(encoding="utf-8"))["schedulers"].items():
        make_policy(name, **entry["settings"])
        assert entry["score"] >= entry["default_score"]
