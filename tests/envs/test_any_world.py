"""Worlds of either class by one name: which class a source names, and what is said of unknown ones."""

import pytest
from small_serving import SMALL, small

from frugalfl.envs.any_world import is_serving, load_any, make_any_world
from frugalfl.envs.scenario import Scenario, load_scenario
from frugalfl.envs.serving import ServingScenario, ServingWorld


def test_packaged_names_tell_the_class():
    assert isinstance(load_any("serving"), ServingScenario)
    assert isinstance(load_any("volunteers"), Scenario)
    assert not is_serving(load_scenario("quadratic"))


def test_documents_tell_it_by_their_kind_or_what_they_start_from(tmp_path):
    assert is_serving({**SMALL, "kind": "serving"})
    assert load_any({"base": "serving", "hours": 2}).hours == 2
    (tmp_path / "mine.yaml").write_text("base: serving\nhours: 3\n")
    (tmp_path / "ours.yaml").write_text("base: mine.yaml\nzones: 4\n")
    (tmp_path / "other.yaml").write_text("base: quadratic\n")
    assert load_any(str(tmp_path / "ours.yaml")).hours == 3
    assert isinstance(load_any(str(tmp_path / "other.yaml")), Scenario)


def test_what_is_written_down_is_read_again():
    again = load_any(small().model_dump())
    assert again == small()
    assert isinstance(make_any_world(again, 2, "val"), ServingWorld)


def test_an_unknown_name_is_compared_with_both_classes():
    with pytest.raises(ValueError, match="did you mean 'serving'"):
        load_any("servin")
    with pytest.raises(ValueError, match="did you mean 'volunteers'"):
        load_any("volunteer")
