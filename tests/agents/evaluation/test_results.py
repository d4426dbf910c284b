"""A result folder gives back the very numbers that were written, and names what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from frugalfl.agents.evaluation import CONFIG, Timeline, evaluate, load_result, save_result
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
        ("timelines/never.npz", "no zip", "never.npz: not a timeline"),
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
