"""Play the leaderboard again, or add a score to it.

    python benchmarks/leaderboard.py                                  # every score once more
    python benchmarks/leaderboard.py --world phones --only mpc
    python benchmarks/leaderboard.py --submit my-ppo --world phones --by "Ada" --command "..."

A score is replayed from what is shipped: the settings tuned for a handcrafted scheduler, or weights and card
of a trained one, in the package or in the root folder `leaderboard/`. Nothing of a submission is executed.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.evaluation.measures import bootstrap, interquartile_mean
from frugalfl.agents.players import make_player
from frugalfl.agents.schedulers import SCHEDULERS
from frugalfl.agents.zoo import find_card, is_shipped
from frugalfl.common.files import write_file
from frugalfl.common.settings import Settings, parse_settings
from frugalfl.envs.scenario import load_scenario

ROOT = Path(__file__).resolve().parents[1]
BOARD, SUBMISSIONS = ROOT / "docs" / "leaderboard.yaml", ROOT / "leaderboard"
EPISODES = 64
TOLERANCE = 1.5
"""Net points by which a replay may differ: processors round differently, which moves single episodes."""
HEAD = (
    "# Written by `python benchmarks/leaderboard.py --submit`; the page docs/leaderboard.md is made of it.\n"
)


class Score(Settings):
    """One line of the leaderboard.

    Attributes:
        world: a packaged scenario.
        scheduler: a handcrafted or shipped one by name, or the name of a folder in `leaderboard/`.
        by: who found or trained it.
        net_points: interquartile mean over the first 64 test episodes.
        low: lower end of its 95% bootstrap interval.
        high: upper end.
        rounds_spent: decisions played to tune or train it; None where nobody counted.
        command: what made it.
        sha256: checksum of its weights; empty for a handcrafted one.
    """

    world: str
    scheduler: str = Field(pattern=r"^[\w.\-]+$")
    by: str
    net_points: float = Field(allow_inf_nan=False)
    low: float
    high: float
    rounds_spent: int | None = None
    command: str = ""
    sha256: str = ""


def read_board(path: Path = BOARD) -> list[Score]:
    """Every score of the file, checked; ValueError in one line."""
    lines = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return [parse_settings(Score, line, f"{path.name}: score {k}") for k, line in enumerate(lines)]


def source_of(name: str) -> str:
    """What `make_player` takes for a score's scheduler.

    Raises:
        ValueError: neither handcrafted, nor shipped, nor a folder with card and weights in `leaderboard/`.
    """
    if name in SCHEDULERS or is_shipped(name):
        return name
    if not re.fullmatch(r"[\w.\-]+", name) or not (SUBMISSIONS / name).is_dir():
        raise ValueError(
            f"scheduler: {name!r}, expected a name of the package or a folder in leaderboard/; "
            f"`frugalfl export RUN --name {name} --into leaderboard` makes one"
        )
    find_card(SUBMISSIONS / name)
    return str(SUBMISSIONS / name)


def checksum_of(name: str) -> str:
    """Checksum of a trained scheduler's weights, which loading it checks; empty for a handcrafted one."""
    return "" if name in SCHEDULERS else find_card(source_of(name))[1].weights_sha256


def play(world: str, name: str, by: str, command: str = "", episodes: int | None = None) -> Score:
    """The score of a scheduler, played now."""
    scenario = load_scenario(world)
    player = make_player(source_of(name), scenario)
    result = evaluate({name: player}, scenario, episodes or EPISODES, progress=sys.stderr.isatty())
    value, low, high = bootstrap([result.values(name)], interquartile_mean)
    spent = result.fact(name, "rounds_spent")
    return Score(
        world=world,
        scheduler=name,
        by=by,
        net_points=round(float(value), 1),
        low=round(float(low), 1),
        high=round(float(high), 1),
        rounds_spent=None if math.isnan(spent) else int(spent),
        command=command,
        sha256=checksum_of(name),
    )


def differs(told: Score, episodes: int | None = None) -> str:
    """What a replay says against a score; empty if it holds."""
    if told.sha256 != checksum_of(told.scheduler):
        return f"{told.world}: {told.scheduler}: other weights than those of the score; submit it anew"
    found = play(told.world, told.scheduler, told.by, told.command, episodes)
    if abs(found.net_points - told.net_points) > TOLERANCE:
        return f"{told.world}: {told.scheduler}: {found.net_points} net points, expected {told.net_points}"
    return ""


def write_board(scores: Sequence[Score], path: Path = BOARD) -> None:
    """The file, by world and score."""
    ordered = sorted(scores, key=lambda score: (score.world, -score.net_points))
    lines = [score.model_dump(exclude_defaults=True) for score in ordered]
    text = HEAD + yaml.safe_dump(lines, sort_keys=False, width=110)
    write_file(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def submit(name: str, world: str, by: str, command: str, path: Path = BOARD) -> Score:
    """Play a scheduler and enter its score in place of an earlier one of the same name."""
    score = play(world, name, by, command)
    others = [each for each in read_board(path) if (each.world, each.scheduler) != (world, name)]
    write_board([*others, score], path)
    return score


def main() -> int:
    """Replay what was asked for, or submit; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--submit", nargs="+", default=[], metavar="NAME", help="play these and enter their scores"
    )
    parser.add_argument("--world", help="only this one")
    parser.add_argument("--only", help="only this scheduler")
    parser.add_argument("--by", default="The frugalfl authors")
    parser.add_argument("--command", default="", help="what trained or tuned it")
    options = parser.parse_args()
    if options.submit and options.world is None:
        parser.error("--submit: expected --world with it")
    for name in options.submit:
        print(submit(name, options.world, options.by, options.command))
    if options.submit:
        return 0
    wrong = 0
    for score in read_board():
        if options.world in (None, score.world) and options.only in (None, score.scheduler):
            said = differs(score)
            wrong += bool(said)
            print(said or f"{score.world}: {score.scheduler}: {score.net_points} holds", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
