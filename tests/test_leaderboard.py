"""The leaderboard: its file is sound, its scores come again, nothing but weights with a card is taken."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from frugalfl.agents.zoo import loading, read_card
from frugalfl.envs.scenario import scenario_names

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def board():
    path = ROOT / "benchmarks" / "leaderboard.py"
    if not path.is_file():
        pytest.skip("benchmarks are not installed")
    spec = importlib.util.spec_from_file_location("leaderboard", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["leaderboard"] = module
    spec.loader.exec_module(module)
    return module


def test_every_score_is_of_a_packaged_world_and_of_weights_that_are_there(board):
    scores = board.read_board()
    assert scores
    for score in scores:
        assert score.world in scenario_names()
        assert score.low <= score.net_points <= score.high
        assert score.sha256 == board.checksum_of(score.scheduler)
    assert len({(score.world, score.scheduler) for score in scores}) == len(scores)


@pytest.mark.slow
def test_a_score_comes_again(board):
    score = next(each for each in board.read_board() if each.scheduler == "volunteers-ppo")
    assert board.differs(score) == ""


def test_a_score_that_was_made_up_is_found(board):
    told = board.play("quadratic", "random-m", "me", episodes=4)
    assert board.differs(told, episodes=4) == ""
    better = told.model_copy(update={"net_points": told.net_points + 5})
    assert "expected" in board.differs(better, episodes=4)
    exchanged = told.model_copy(update={"scheduler": "volunteers-ppo", "sha256": "0" * 64})
    assert "other weights" in board.differs(exchanged, episodes=4)


def test_a_submission_is_weights_with_a_card_and_replaces_its_earlier_score(board, tmp_path, monkeypatch):
    monkeypatch.setattr(board, "SUBMISSIONS", tmp_path)
    monkeypatch.setattr(board, "EPISODES", 2)
    for name in ("os:system", "../volunteers-ppo", "nobody"):
        with pytest.raises(ValueError, match="scheduler: "):
            board.source_of(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"card\.json"):
        board.source_of("empty")
    shutil.copytree(loading.HOME / "volunteers-ppo", tmp_path / "my-ppo")
    path = tmp_path / "board.yaml"
    path.write_text("[]")
    for by in ("me", "me again"):
        board.submit("my-ppo", "volunteers", by, "a command", path)
    (score,) = board.read_board(path)
    assert (score.by, score.sha256) == ("me again", read_card(loading.HOME / "volunteers-ppo").weights_sha256)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("- {world: volunteers}", "scheduler"),
        ("- {world: v, scheduler: 'a b', by: me, net_points: 1, low: 0, high: 2}", "scheduler"),
        ("- {world: v, scheduler: a, by: me, net_points: .nan, low: 0, high: 2}", "net_points"),
        ("- {world: v, scheduler: a, by: me, net_points: 1, low: 0, high: 2, code: x}", "code"),
    ],
)
def test_a_line_that_is_wrong_is_named(board, tmp_path, line, words):
    path = tmp_path / "board.yaml"
    path.write_text(line)
    with pytest.raises(ValueError, match=words) as caught:
        board.read_board(path)
    assert "score 0" in str(caught.value)
    assert "\n" not in str(caught.value)
