"""Clinical tables read as they are published; the files here are made up, of the same shape."""

from __future__ import annotations

import re

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.testing import check_dataset

WHOLE = {"cleveland": 303, "hungarian": 261, "switzerland": 46, "va": 130}
TRAIN, TEST = [199, 172, 30, 85], [104, 89, 16, 45]


def heart_files(folder, whole=WHOLE, gaps=7):
    """Four files of UCI's form: no header, 14 columns, `?` for what is missing."""
    rng = np.random.default_rng(0)
    for name, count in whole.items():
        lines = []
        for index in range(count + gaps):
            ill = rng.integers(0, 5) if name != "switzerland" else 1 + rng.integers(0, 4)
            cells = [
                *(rng.integers(30, 75), rng.integers(2), rng.integers(1, 5), rng.integers(90, 190)),
                *(rng.integers(120, 400) + 30 * ill, rng.integers(2), rng.integers(0, 3)),
                *(rng.integers(70, 200), rng.integers(2), f"{rng.random() * 4:.1f}"),
                *("?", rng.choice(["?", "1"]), "?", ill),
            ]
            if index < gaps:
                cells[rng.integers(0, 10)] = "?"
            if name == "cleveland":
                cells = [cell if "." in str(cell) or cell == "?" else f"{cell}.0" for cell in cells]
                cells[-1] = ill
            lines.append(",".join(map(str, cells)))
        (folder / f"processed.{name}.data").write_text("\n".join(lines) + "\n")
    return {"kind": "heart-disease", "path": str(folder)}


class TestHeartDisease:
    def test_the_parts_are_the_published_ones(self, tmp_path):
        spec = heart_files(tmp_path) | {"val_share": 0.0}
        data = check_dataset(spec)
        assert data.num_features == 13 and data.num_classes == 2
        assert np.bincount(data.natural_client).tolist() == TRAIN
        assert len(data.y_test) == sum(TEST)
        np.testing.assert_array_equal(data.x_train, data.x_val)  # FLamby has no validation set

    def test_validation_rows_are_taken_from_every_centre(self, tmp_path):
        data = load_dataset(heart_files(tmp_path))
        assert len(data.y_val) == pytest.approx(0.2 * sum(TRAIN), abs=4)
        assert len(data.y_val) + data.num_rows == sum(TRAIN) and len(data.y_test) == sum(TEST)

    def test_a_centre_standardises_by_its_own_training_rows(self, tmp_path):
        data = load_dataset(heart_files(tmp_path) | {"val_share": 0.0})
        for centre in range(4):
            mine = data.x_train[data.natural_client == centre].astype(np.float64)
            np.testing.assert_allclose(mine.mean(axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(mine.std(axis=0, ddof=1), 1, atol=1e-4)

    def test_centres_are_clients(self, tmp_path):
        data = load_dataset(heart_files(tmp_path) | {"val_share": 0.0})
        dealt = partition(data, 4, np.zeros(4), 1, "natural", np.random.default_rng(0))
        assert dealt.own.tolist() == TRAIN

    @pytest.mark.parametrize(
        ("cell", "column", "complaint"),
        [
            ("x", 0, r"hungarian\.data:9: '0' is 'x', expected a number"),
            ("7", 13, r"hungarian\.data:9: '13' is '7', expected a diagnosis of 0 to 4"),
            ("9", 2, r"hungarian\.data:9: '2' is '9', expected one of 1, 2, 3, 4"),
            ("1,1", 5, r"hungarian\.data:1: 14 cells|hungarian\.data:.*15"),
        ],
    )
    def test_damage_is_refused_with_line_and_column(self, tmp_path, cell, column, complaint):
        spec = heart_files(tmp_path)
        path = tmp_path / "processed.hungarian.data"
        lines = path.read_text().splitlines()
        cells = lines[8].split(",")
        cells[column] = cell
        lines[8] = ",".join(cells)
        path.write_text("\n".join(lines))
        with pytest.raises(ValueError, match=complaint):
            load_dataset(spec)

    def test_a_centre_that_is_not_there_is_named(self, tmp_path):
        spec = heart_files(tmp_path)
        (tmp_path / "processed.va.data").unlink()
        with pytest.raises(
            ValueError, match=r"processed\.va\.data not found, expected a file of UCI's heart"
        ):
            load_dataset(spec)


REGIONS = {"train": [24, 15, 16, 12, 12, 4], "test": [6, 4, 4, 3, 3, 1]}


def brca_files(folder, features=39):
    """The table and the split of FLamby's folder."""
    rng = np.random.default_rng(1)
    table, split, pid = [], [], 0
    for fold, counts in REGIONS.items():
        for region, count in enumerate(counts):
            for _ in range(count):
                pid += 1
                x = rng.integers(0, 2, features)
                table.append(f"TCGA-{pid},{','.join(map(str, x))},{rng.integers(2)},{rng.integers(1, 4000)}")
                split.append(f"TCGA-{pid},{fold},{fold}_{region}")
    order = rng.permutation(len(table))
    header = ",".join(["pid", *(f"feature {k}" for k in range(features)), "E", "T"])
    (folder / "brca.csv").write_text("\n".join([header, *(table[k] for k in order)]) + "\n")
    scripts = folder / "dataset_creation_scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "train_test_split.csv").write_text("\n".join(["pid,fold,fold2", *split]) + "\n")
    return {"kind": "tcga-brca", "path": str(folder)}


class TestBreastCancer:
    def test_regions_are_clients_and_times_are_there(self, tmp_path):
        data = check_dataset(brca_files(tmp_path) | {"val_share": 0.0})
        assert data.num_features == 39 and len(data.y_test) == sum(REGIONS["test"])
        assert np.bincount(data.natural_client).tolist() == REGIONS["train"]
        assert [each.size for each in data.times] == [sum(REGIONS["train"])] * 2 + [sum(REGIONS["test"])]
        split = load_dataset(brca_files(tmp_path))
        assert len(split.y_val) + split.num_rows == sum(REGIONS["train"])

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("TCGA-7,", "TCGA-x,", r"brca\.csv:\d+: 'pid' is 'TCGA-x', expected a patient of .*split\.csv"),
            (r"TCGA-7,\d", "TCGA-7,?", r"brca\.csv:\d+: 'feature 0' is '\?', expected a number"),
            (r"(TCGA-7,.*),\d,", r"\1,2,", r"brca\.csv:\d+: 'E' is '2', expected 1 \(event\)"),
        ],
    )
    def test_damage_is_refused_with_line_and_column(self, tmp_path, old, new, complaint):
        spec = brca_files(tmp_path)
        path = tmp_path / "brca.csv"
        path.write_text(re.sub(old, new, path.read_text()))
        with pytest.raises(ValueError, match=complaint):
            load_dataset(spec)

    def test_an_odd_fold_is_refused(self, tmp_path):
        spec = brca_files(tmp_path)
        path = tmp_path / "dataset_creation_scripts" / "train_test_split.csv"
        path.write_text(path.read_text().replace("train_3", "train-3", 1))
        with pytest.raises(
            ValueError, match=r"split\.csv:\d+: 'fold2' is 'train-3', expected a fold and a region"
        ):
            load_dataset(spec)


def test_synthetic_hospitals_are_of_the_same_shape():
    data = check_dataset("synthetic-hospitals")
    sizes = np.bincount(data.natural_client)
    assert data.num_features == 13 and len(sizes) == 4
    np.testing.assert_allclose(sizes, 0.6 * np.array(list(WHOLE.values())), atol=2)
    assert check_dataset({"kind": "synthetic-hospitals", "survival": True}).times is not None
