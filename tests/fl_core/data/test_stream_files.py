"""Recorded streams: ARFF files as MOA has them, delimited ones, and a world that is asked about them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frugalfl.agents.commands.main import main
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.data import load_dataset

ELECTRICITY = """% half hours of a market
@relation electricity

@attribute date numeric
@attribute day {1,2,3,4,5,6,7}
@attribute period numeric
@attribute nswprice numeric
@attribute nswdemand numeric
@attribute vicprice numeric
@attribute vicdemand numeric
@attribute transfer numeric
@attribute class {UP,DOWN}

@data
"""
AIRLINES = """@relation airlines
@attribute Airline {WN,DL,OO}
@attribute Flight numeric
@attribute AirportFrom {SFO,PHX}
@attribute AirportTo {IAH,CLT}
@attribute DayOfWeek {1,2,3,4,5,6,7}
@attribute Time numeric
@attribute Length numeric
@attribute Delay {0,1}
@data
"""
INSECTS = """@RELATION INSECTS-abrupt
@ATTRIBUTE 'Att 1'\tREAL
@ATTRIBUTE Att2 REAL
@ATTRIBUTE class {ae-aegypti-female, 'ae-aegypti-male', cx-quinq-female}
@DATA
"""


def electricity(rows, rng, flip_from=None):
    """Half hours in which the price goes up with the demand; from a row on, the other way round."""
    lines = []
    for number in range(rows):
        demand = rng.random()
        up = (demand > 0.5) != (flip_from is not None and number >= flip_from)
        values = [number / rows, number // 48 % 7 + 1, number % 48 / 47, rng.random(), demand, *rng.random(3)]
        lines.append(",".join(f"{value:.6g}" for value in values) + (",UP" if up else ",DOWN"))
    return ELECTRICITY + "\n".join(lines) + "\n"


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "elecNormNew.arff"
    path.write_text(electricity(6000, np.random.default_rng(1)), encoding="utf-8")
    return str(path)


def test_rows_keep_their_order_and_splits_their_time(recorded):
    parts = {
        split: load_dataset({"kind": "stream", "path": recorded}, split=split)
        for split in ("train", "val", "test")
    }
    assert [data.num_rows for data in parts.values()] == [3240, 1080, 1080]
    dates = {split: data.x_train[:, 0] for split, data in parts.items()}
    assert all((np.diff(each) > 0).all() for each in dates.values())
    assert dates["train"][-1] < dates["val"][0] and dates["val"][-1] < dates["test"][0]
    train = parts["train"]
    assert train.num_classes == 2 and train.num_features == 7 + 7  # numbers, and days of the week
    assert abs(np.concatenate([train.x_train, train.x_val, train.x_test])[:, 9].mean()) < 0.01
    assert len(train.y_val) == len(train.y_test) == 180


def test_what_tells_the_drift_can_be_left_out(recorded):
    data = load_dataset({"kind": "stream", "path": recorded, "drop": ["date", "day"], "most_rows": 1000})
    assert data.num_features == 6 and data.num_rows == 540


def test_airlines_and_insects_are_read_as_published(tmp_path):
    rng = np.random.default_rng(0)
    flights = [
        f"{rng.choice(['WN', 'DL', 'OO'])},{n},SFO,IAH,{n % 7 + 1},{n * 7 % 1440},205,{n % 2}"
        for n in range(200)
    ]
    path = tmp_path / "airlines.arff"
    path.write_text(AIRLINES + "\n".join(flights), encoding="utf-8")
    data = load_dataset({"kind": "stream", "path": str(path), "drop": ["AirportFrom", "AirportTo"]})
    assert data.num_classes == 2 and data.num_features == 3 + 1 + 7 + 2
    kinds = ["ae-aegypti-female", "'ae-aegypti-male'", "cx-quinq-female"]
    path = tmp_path / "INSECTS-abrupt_balanced_norm.ARFF"
    path.write_text(
        INSECTS + "\n".join(f"{n / 300}, {n % 5}, {kinds[n % 3]}" for n in range(300)), encoding="utf-8"
    )
    data = load_dataset({"kind": "stream", "path": str(path)})
    assert data.num_classes == 3 and data.num_features == 2


def test_a_delimited_file_is_a_stream_as_well(tmp_path):
    path = tmp_path / "covtype.csv"
    rows = [f"{n},{n % 2},{n % 7 + 1}" for n in range(300)]
    path.write_text("Elevation,Soil_Type1,Cover_Type\n" + "\n".join(rows), encoding="utf-8")
    data = load_dataset({"kind": "stream", "path": str(path), "categorical": ["Soil_Type1"]})
    assert data.num_classes == 7 and data.num_features == 3
    assert load_dataset({"kind": "stream", "path": str(path), "label": "soil_type1"}).num_classes == 2


@pytest.mark.slow
def test_the_lines_of_the_page_play_the_published_form_end_to_end(tmp_path, monkeypatch):
    page = Path(__file__).resolve().parents[3] / "docs" / "worlds" / "streams.md"
    blocks = re.findall(r"^```(\w+)(?: title=\"(.+)\")?\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    [(title, document)] = [(title, text) for language, title, text in blocks if language == "yaml"]
    [commands] = [text for language, _, text in blocks if language == "console"]
    monkeypatch.chdir(tmp_path)
    Path(title).write_text(document, encoding="utf-8")
    Path("elecNormNew.arff").write_text(electricity(3000, np.random.default_rng(2)), encoding="utf-8")
    for line in commands.replace("--episodes 16", "--episodes 2 --jobs 1").splitlines():
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert (program, main(arguments)) == ("frugalfl", 0)
    assert list(Path("runs/elec2").glob("*.html"))
    played = pd.read_csv("runs/elec2/episodes.csv").set_index(["scheduler", "episode"])
    requests = played["requests"].unstack("scheduler")
    assert (requests.nunique(axis=1) == 1).all() and (requests > 10_000).all(axis=None)
    right = played["accuracy"].unstack("scheduler").mean()
    assert right["periodic"] > 0.65 > 0.6 > right["never"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1,2,UP\n", "no @attribute"),
        (ELECTRICITY.replace("@data", ""), "no @data"),
        (ELECTRICITY, "no row below @data"),
        (ELECTRICITY + "0,2,0,0.1,0.4,0.1,0.4,0.4\n", ":15: 8 values, expected 9"),
        (ELECTRICITY + "{0 2, 3 0.5}\n", ":15: a sparse row"),
        (ELECTRICITY + "0,2,0,0.1,0.4,0.1,0.4,0.4,UP\n" * 50, "50 rows, expected 100"),
        (ELECTRICITY.replace("period numeric", "day numeric") + "1\n", "two attributes have one name"),
        (ELECTRICITY.replace("@attribute day {1,2,3,4,5,6,7}", "@attribute day"), ":5: "),
    ],
)
def test_what_is_no_stream_is_refused_in_one_line(tmp_path, text, complaint):
    path = tmp_path / "elec.arff"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint) as error:
        load_dataset({"kind": "stream", "path": str(path)})
    assert "\n" not in str(error.value)


def test_a_world_is_asked_about_a_recording_in_its_order_and_learns_it(tmp_path):
    """Prices follow demand, and from the middle of the training window on the other way round."""
    path = tmp_path / "elec.arff"
    path.write_text(electricity(6000, np.random.default_rng(1), flip_from=1800), encoding="utf-8")
    scenario = load_scenario(
        "streams", clients=6, partition="iid", drift={"kind": "none"}, serving={"rows": "order"},
        budgets={"hours": 12}, availability={"kind": "own_plugins:AlwaysOn"},
        dataset={"kind": "stream", "path": str(path), "drop": ["date"]},
    )  # fmt: skip
    world = FederatedWorld(scenario, 2)
    world.reset(np.ones(2, dtype=bool), np.array([1, 2]))
    rows = world._core._requests._sources.rows
    offset = world._core._requests._sources.offset
    for env in range(2):
        for client in range(6):
            own = rows[env, offset[env, client] : offset[env, client + 1]]
            assert (np.diff(own) < 0).sum() <= 1  # in order, once around
    while world.running.any():
        available = world.situation().clients.available
        wait_s = np.where(available.any(axis=1), 0.0, 900.0)
        steps = np.where(available, 20, 0).astype(np.int32)
        world.step(RoundPlan(steps, np.zeros_like(steps), np.ones(2), wait_s))
    assert (world.test_scores()[0] > 0.65).all()
