"""From a name, with settings perhaps, to a scheduler."""

from __future__ import annotations

import pytest

from frugalfl.agents.players import any_scenario_of, describe, make_player, name_players, scenario_of
from frugalfl.agents.schedulers import SCHEDULERS, tuned_schedulers
from frugalfl.agents.schedulers.planning import Clairvoyant
from frugalfl.envs.scenario import load_scenario

WORLD = scenario_of("volunteers")


def test_settings_in_parentheses_are_those_of_keywords():
    one, other = (
        make_player("random-m(participants=3, quorum=0.5)", WORLD),
        make_player("random-m", WORLD, participants=3, quorum=0.5),
    )
    assert one == other != make_player("random-m", WORLD)
    assert describe("random-m(participants=3, quorum=0.5)", one) == describe("random-m", other)


def test_the_search_in_hindsight_takes_its_effort():
    best = make_player("clairvoyant(splices=3, mutations=8)", WORLD)
    assert isinstance(best, Clairvoyant)
    assert (best.splices, best.mutations) == (3, 8)


def test_a_shipped_scheduler_takes_its_way_to_decide():
    learned = make_player("volunteers-ppo(decision=mode)", WORLD)
    assert learned.decision == "mode"
    assert describe("volunteers-ppo(decision=mode)", learned)["decision"] == "mode"
    assert "decision" not in describe("volunteers-ppo", make_player("volunteers-ppo", WORLD))


def test_names_with_settings_are_separated_and_labelled():
    assert name_players(["wide=random-m(participants=8, quorum=1), random-m(participants=2)", "never"]) == {
        "wide": "random-m(participants=8, quorum=1)",
        "random-m(participants=2)": "random-m(participants=2)",
        "never": "never",
    }
    assert set(name_players(["all", "wide=random-m(participants=8)"])) == {*SCHEDULERS, "wide"}


def test_tuned_are_those_with_settings_of_the_world():
    players = name_players(["tuned", "mpc=mpc(horizon=3)", "never"], WORLD)
    assert set(players) == {*tuned_schedulers("volunteers"), "never"}
    assert players["mpc"] == "mpc(horizon=3)"
    assert set(players) < set(SCHEDULERS)  # others were made for streams or transformers
    assert set(name_players(["tuned"], any_scenario_of("serving"))) == set(tuned_schedulers("serving"))
    for nowhere in (None, load_scenario("volunteers", name="mine")):
        with pytest.raises(ValueError, match="nobody was tuned in this world"):
            name_players(["tuned", "never"], nowhere)


def test_whoever_is_named_is_not_brought_by_all():
    mine = "never=random-m(participants=8)"
    for sources in ([mine, "all"], ["all", mine]):
        players = name_players(sources)
        assert set(players) == set(SCHEDULERS)
        assert players["never"] == "random-m(participants=8)"
        assert all(players[name] == name for name in SCHEDULERS if name != "never")
    with pytest.raises(ValueError, match="'never' names two players"):
        name_players([mine, "never"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("random-m(odd=3)", "'odd' is no setting"),
        ("random-m(participants=many)", "random-m.participants: 'many'"),
        ("random-m(participants=3", "expected NAME"),
        ("volunteers-ppo(hidden=3)", "'hidden' is no setting"),
        ("oddly(participants=3)", "'oddly' is unknown"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(source, said):
    with pytest.raises(ValueError, match=said) as error:
        make_player(source, WORLD)
    assert "\n" not in str(error.value)
