"""Files of ours that were damaged or made up are read, or refused in one line; nothing else comes of them."""

import random
import re
import shutil

import numpy as np
import pytest

import frugalfl
from frugalfl.agents.evaluation import evaluate, load_result, save_result
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.zoo.loading import HOME
from frugalfl.envs.scenario import load_scenario

NASTY = (b"nan", b"Infinity", b"-1", b"1e400", b"9" * 5000, b"null", b"[]", b"{}", b"true", b"\x00", b"\xff")
NASTY += (b"[" * 100_000, b"1e308", b"")
VALUE = re.compile(rb'-?\d+(\.\d+)?|"[^"]{1,30}"')


def mutant(raw, chance):
    """Bytes of which some were changed, cut off, put in, or put in another order."""
    kind = chance.choice(["bytes", "end", "value", "value", "lines", "line", "insert"])
    at = chance.randrange(len(raw))
    if kind == "bytes":
        return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
    if kind == "end":
        return raw[:at]
    if kind == "value" and (found := list(VALUE.finditer(raw[:200_000]))):
        hit = chance.choice(found)
        return raw[: hit.start()] + chance.choice(NASTY) + raw[hit.end() :]
    if kind in ("lines", "line"):
        lines = raw.split(b"\n")
        chance.shuffle(lines)
        return b"\n".join(lines if kind == "lines" else lines[1:])
    return raw[:at] + chance.choice(NASTY) + raw[at:]


def use_result(folder):
    result = load_result(folder)
    result.ranking(), result.summary(), result.comparison()


USES = {
    "config.json": use_result,
    "episodes.csv": use_result,
    "curves.csv": use_result,
    "timelines/never.npz": use_result,
    "card.json": frugalfl.load_scheduler,
    "weights.safetensors": lambda folder: frugalfl.load_scheduler(folder, "volunteers"),
    "mine.yaml": lambda folder: load_scenario(folder / "mine.yaml"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with one sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    world = load_scenario("quadratic", name="small", clients=3, max_rounds=3)
    players = {name: make_scheduler(name) for name in ("random-m", "never")}
    save_result(evaluate(players, world, episodes=2, progress=False), folder)
    for name in ("card.json", "weights.safetensors"):
        shutil.copy(HOME / "volunteers-ppo" / name, folder)
    text = "base: quadratic\nname: mine\nclients: 5\nlevels:\n  wait_s: [0, 60]\n  quorum: [0.5, 1]\n"
    (folder / "mine.yaml").write_text(text)
    return folder


def survives(sound, tmp_path, name, count):
    folder = tmp_path / "folder"
    shutil.copytree(sound, folder)
    USES[name](folder)
    raw, chance, refused = (folder / name).read_bytes(), random.Random(name), []
    for _ in range(count):
        (folder / name).write_bytes(mutant(raw, chance))
        with np.errstate(all="ignore"):
            try:
                USES[name](folder)
            except ValueError as error:
                refused.append(error)
    assert refused and all(type(error) is ValueError and "\n" not in str(error) for error in refused)


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", USES)
def test_damaged_files_are_read_or_refused(sound, tmp_path, name):
    survives(sound, tmp_path, name, 6)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", USES)
def test_many_damaged_files_are_read_or_refused(sound, tmp_path, name):
    survives(sound, tmp_path, name, 400)
