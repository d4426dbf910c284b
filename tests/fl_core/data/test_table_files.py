"""Tables of one's own: what is read, what is estimated from which rows, what is refused and where."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.testing import check_dataset, check_partition

HEADER = "hospital,age,ward,code,ill,days"
SILOS = ("north", "south", "west")
PARTS = ["train"] * 40 + ["val"] * 10 + ["test"] * 10


def rows(count=60, seed=0):
    rng = np.random.default_rng(seed)
    lines = []
    for index in range(count):
        silo = SILOS[index % 3]
        age = rng.normal(50 + 20 * (index % 3), 5)
        ward = rng.choice(["A", "B"])
        lines.append(f"{silo},{age:.2f},{ward},{rng.integers(1, 4)},{rng.integers(2)},{rng.integers(1, 300)}")
    return lines


def put(tmp_path, lines, header=HEADER, name="patients.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def table(path, **settings):
    return {"kind": "table", "path": path, "label": "ill", "silo": "hospital", "drop": ["days"], **settings}


def test_every_silo_is_a_client_with_parts_of_its_own(tmp_path):
    spec = table(put(tmp_path, rows()), categorical=["code"])
    data = check_dataset(spec)
    assert data.num_features == 1 + 2 + 3  # age, two wards, three codes
    assert data.num_rows == 36 and len(data.y_val) == len(data.y_test) == 12
    assert np.bincount(data.natural_client).tolist() == [12, 12, 12]
    dealt = partition(data, 3, [0, 0, 0], 1, "natural", np.random.default_rng(0))
    for client in range(3):
        mine = dealt.rows[dealt.offset[client] : dealt.offset[client + 1]]
        assert (data.natural_client[mine] == client).all() and mine.size == 12
    check_partition("dirichlet", data)


def test_rows_without_silos_have_no_natural_partition(tmp_path):
    data = load_dataset(table(put(tmp_path, rows()), silo=None, drop=["days", "hospital"]))
    assert data.natural_client is None
    with pytest.raises(ValueError, match="no natural clients"):
        partition(data, 3, [0, 0, 0], 1, "natural", np.random.default_rng(0))


@pytest.mark.parametrize("standardise", ["silo", "all", "none"])
def test_only_training_rows_say_what_is_standard(tmp_path, standardise):
    lines = [f"{line},{part}" for line, part in zip(rows(), PARTS, strict=True)]
    far = [line.replace(line.split(",")[1], "9e5") if line.endswith("test") else line for line in lines]
    near, moved = (
        load_dataset(table(put(tmp_path, each, HEADER + ",part"), part="part", standardise=standardise))
        for each in (lines, far)
    )
    np.testing.assert_array_equal(near.x_train, moved.x_train)
    assert (near.x_test[:, 0] != moved.x_test[:, 0]).all()
    age = near.x_train[:, 0].astype(np.float64)
    if standardise == "silo":
        means = [age[near.natural_client == silo].mean() for silo in range(3)]
        np.testing.assert_allclose(means, 0, atol=1e-6)
    elif standardise == "all":
        assert age.mean() == pytest.approx(0, abs=1e-6) and age.std(ddof=1) == pytest.approx(1)
    else:
        assert age.mean() > 40


def test_gaps_are_means_or_values_of_their_own_or_no_rows(tmp_path):
    lines = rows()
    gaps = [line.replace(",A,", ",?,") if index < 9 else line for index, line in enumerate(lines)]
    gaps = [
        line.replace(line.split(",")[1], "NA") if index % 5 == 0 else line for index, line in enumerate(gaps)
    ]
    path = put(tmp_path, gaps)
    filled, whole = load_dataset(table(path)), load_dataset(table(path, missing="drop"))
    sizes = [sum(len(data.rows(part)[1]) for part in ("train", "val", "test")) for data in (filled, whole)]
    assert sizes[0] == 60 and sizes[1] == sum("?" not in line and "NA" not in line for line in gaps)
    everything = np.concatenate([filled.rows(part)[0] for part in ("train", "val", "test")])
    assert (everything[:, 0] == 0).sum() == 12  # a gap is the silo's mean
    assert filled.num_features == whole.num_features + 1  # "no ward" is a ward of its own


def test_a_level_that_no_training_row_has_is_none(tmp_path):
    lines = [f"{line},{part}" for line, part in zip(rows(), PARTS, strict=True)]
    lines[-1] = ",".join([*lines[-1].split(",")[:2], "Z", *lines[-1].split(",")[3:]])
    data = load_dataset(table(put(tmp_path, lines, HEADER + ",part"), part="part"))
    assert data.num_features == 1 + 2 + 1
    assert not data.x_test[-1, 1:3].any()


def test_times_make_labels_events(tmp_path):
    data = check_dataset(table(put(tmp_path, rows()), time="days", drop=[]))
    assert [len(each) for each in data.times] == [36, 12, 12]
    assert data.times_of("test").min() >= 1


def test_other_delimiters_and_gzip_are_read(tmp_path):
    plain = load_dataset(table(put(tmp_path, rows())))
    text = "\n".join([HEADER, *rows()]).replace(",", ";").replace(".", ",")
    path = tmp_path / "german.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    np.testing.assert_array_equal(load_dataset(table(str(path))).x_train, plain.x_train)


def broken(index, column, cell):
    lines = rows()
    cells = lines[index].split(",")
    cells[column] = cell
    lines[index] = ",".join(cells)
    return lines


@pytest.mark.parametrize(
    ("lines", "settings", "complaint"),
    [
        (broken(4, 1, "old"), {}, r":6: 'age' is 'old', expected a number.*categorical.*drop"),
        (broken(4, 1, "inf"), {}, r":6: 'age' is 'inf', expected a number"),
        (broken(4, 1, "1e40"), {}, r":6: 'age' is '1e40', expected numbers up to 1e\+30"),
        (broken(7, 4, ""), {}, r":9: 'ill' is '', expected a class"),
        (broken(7, 0, "?"), {}, r":9: 'hospital' is '\?', expected a silo"),
        (broken(7, 4, "2"), {"time": "days", "drop": []}, r":9: 'ill' is '2', expected 1 \(event\) or 0"),
        (broken(7, 5, "-3"), {"time": "days", "drop": []}, r":9: 'days' is '-3', expected a time"),
        (broken(7, 5, ""), {"time": "days", "drop": []}, r":9: 'days' is '', expected a time"),
        (rows(), {"label": "sick"}, r":1: no column 'sick', found 'hospital, age"),
        (rows(), {"drop": ["nothing"]}, "no column 'nothing'"),
        (rows(150), {"label": "age"}, r":1: 'age' has 1\d\d different values, expected 2 to"),
        (rows(), {"categorical": ["ill"]}, "categorical: 'ill', expected a column that is learned from"),
        (rows(), {"part": "ward"}, r":2: 'ward' is '[AB]', expected train, val or test"),
        (rows(), {"drop": ["age", "ward", "code", "days"]}, "no column to learn from"),
        (
            rows(),
            {"val_share": 0.6, "test_share": 0.6},
            "val_share: 1.2 with test_share, expected less than 1",
        ),
        ([*rows(), "east,1,A,1,1,1"], {"missing": "mean"}, None),
        ([rows()[0] + ",8"], {}, r":2: 7 cells separated by ',', expected 6"),
        ([], {}, "no row below the header"),
    ],
)
def test_hostile_tables_are_refused_with_line_and_column(lines, settings, complaint, tmp_path):
    spec = table(put(tmp_path, lines), **settings)
    if complaint is None:
        load_dataset(spec)
        return
    with pytest.raises(ValueError, match=complaint) as error:
        load_dataset(spec)
    assert "\n" not in str(error.value)


def test_a_silo_without_training_rows_is_named(tmp_path):
    lines = [f"{line},{'test' if line.startswith('west') else 'train'}" for line in rows()]
    with pytest.raises(ValueError, match=r":4: 'hospital' is 'west', which has no training row"):
        load_dataset(table(put(tmp_path, lines, HEADER + ",part"), part="part"))


def test_what_has_to_be_said_is_asked_for():
    with pytest.raises(ValueError, match="dataset 'table': path: missing, expected a value for it"):
        load_dataset({"kind": "table", "label": "ill"})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.csv: .*No such file"):
        load_dataset(table(str(tmp_path / "nothing.csv")))
