"""Clinical tables of the FLamby benchmark as they are published (Ogier du Terrail et al. 2022).

Each rule here is that of FLamby's own readers: which columns and rows are used, what is held out for the
test, what features are standardised by. FLamby has no validation set; ours is taken from the training rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....common.parsing import Table, read_table
from ..dataset import DATASETS, Dataset, DatasetSource
from .columns import cells_of, codes_of, numbers_of, refuse, split_rows, standardised
from .files import assemble

_SPLIT_SEED = 20_260_105
_CENTRES = ("cleveland", "hungarian", "switzerland", "va")
_COLUMNS = 14  # of UCI's processed files; the last is the diagnosis, 0 to 4
_EMPTY_MOSTLY = ("10", "11", "12")  # slope, vessels, thallium: left out
_LEVELS = {"2": (2, 3, 4), "6": (1, 2)}  # chest pain and electrocardiogram, less their first level
_TRAIN_SHARE, _TEST_SEED = 0.66, 43
_MOST_REGIONS = 100


class Clinical(DatasetSource):
    """Settings that the clinical data sets share.

    Attributes:
        path: folder with the files.
        val_share: share of every silo's training rows that is set aside for the server's validation; 0: all
            rows train, and the server validates on them, as in FLamby's comparison.
    """

    path: str = "data"
    val_share: float = Field(default=0.2, ge=0, lt=1)


@DATASETS.register("heart-disease")
class HeartDisease(Clinical):
    """Heart disease of four centres: 740 patients, 13 features, whether a vessel is narrowed (UCI, 1988).

    The folder holds `processed.cleveland.data`, `.hungarian`, `.switzerland` and `.va` as UCI publishes them:
    no header, `?` for what is missing. Rows with a gap outside the three columns that are hardly ever filled
    are left out; each centre standardises by its own training rows. Train/test 199/104, 172/89, 30/16, 85/45.

    Attributes:
        path: the folder.
        val_share: see `Clinical`.
    """

    def silos(self) -> int:
        """See `DatasetSource.silos`."""
        return len(_CENTRES)

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`; nothing depends on the seed."""
        values, labels, tests = zip(*(self._centre(name) for name in _CENTRES), strict=True)
        silo = np.repeat(np.arange(len(_CENTRES), dtype=np.int32), [len(each) for each in labels])
        x, label, test = np.concatenate(values), np.concatenate(labels), np.concatenate(tests)
        features = np.stack([standardised(column, ~test, silo) for column in x.T], axis=1)
        return _with_validation("heart-disease", features, label, test, silo, self.val_share)

    def _centre(self, name: str) -> tuple[Floats, Ints32, Bools]:
        """A centre's features `[n, 13]`, labels and which rows are the test's."""
        path = _there(Path(self.path) / f"processed.{name}.data", "UCI's heart disease")
        table = read_table(path, header=False, separator=",")
        if len(table.columns) != _COLUMNS:
            raise ValueError(f"{path}:{table.lines[0]}: {len(table.columns)} columns, expected {_COLUMNS}")
        used = [column for column in table.columns if column not in _EMPTY_MOSTLY]
        gaps = np.any([(cells_of(table, column) == "").to_numpy() for column in used], axis=0)
        if gaps.all():
            raise ValueError(f"{path}: no row without a gap, expected some")
        table = table.only(~gaps)
        diagnosis = numbers_of(table, used[-1])
        refuse(table, used[-1], ~np.isin(diagnosis, range(5)), "a diagnosis of 0 to 4")
        columns = [numbers_of(table, column) for column in used[:-1] if column not in _LEVELS]
        for column, levels in _LEVELS.items():
            codes = numbers_of(table, column)
            known = (levels[0] - 1, *levels)
            refuse(table, column, ~np.isin(codes, known), f"one of {', '.join(map(str, known))}")
            columns += [(codes == level) * 1.0 for level in levels]
        label = (diagnosis > 0).astype(np.int32)
        return np.stack(columns, axis=1), label, _drawn_test(path, label)


@DATASETS.register("tcga-brca")
class TcgaBrca(Clinical):
    """Breast cancer of six regions: 1,088 patients, 39 clinical features, time to death (TCGA); for `cox`.

    The folder is FLamby's `fed_tcga_brca`: `brca.csv` (patient, features, event, time) and
    `train_test_split.csv` (columns pid, fold, fold2), beside it or in `dataset_creation_scripts`. Features
    are used as they are. Train/test 248/63, 156/40, 164/42, 129/33, 129/33, 40/11.

    Attributes:
        path: the folder.
        val_share: see `Clinical`.
    """

    def silos(self) -> int:
        """See `DatasetSource.silos`."""
        return int(self._regions(self._split()).max()) + 1

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`; nothing depends on the seed."""
        path = _there(Path(self.path) / "brca.csv", "FLamby's fed_tcga_brca")
        table, split = read_table(path, ["pid"]), self._split()
        features = [name for name in table.columns if name != "pid"]
        *features, event, time = features
        place = {pid: row for row, pid in enumerate(cells_of(split, "pid"))}
        patients = cells_of(table, "pid")
        refuse(table, "pid", ~patients.isin(place).to_numpy(), f"a patient of {split.path}")
        rows = patients.map(place).to_numpy(dtype=np.int64)
        label, times = numbers_of(table, event), numbers_of(table, time)
        refuse(table, event, ~np.isin(label, (0, 1)), "1 (event) or 0 (none)")
        refuse(table, time, ~(times >= 0), "a time of 0 or more")
        columns = [numbers_of(table, name) for name in features]
        for name, column in zip(features, columns, strict=True):
            refuse(table, name, np.isnan(column), "a number")
        test = (cells_of(split, "fold") == "test").to_numpy()[rows]
        return _with_validation(
            "tcga-brca",
            np.stack(columns, axis=1),
            label.astype(np.int32),
            test,
            self._regions(split)[rows],
            self.val_share,
            times,
        )

    def _split(self) -> Table:
        name = "train_test_split.csv"
        inner = Path(self.path) / "dataset_creation_scripts" / name
        path = inner if inner.exists() else _there(Path(self.path) / name, "FLamby's fed_tcga_brca")
        split = read_table(path, ["pid", "fold", "fold2"])
        folds = cells_of(split, "fold")
        refuse(split, "fold", ~folds.isin(["train", "test"]).to_numpy(), "train or test")
        return split

    def _regions(self, split: Table) -> Ints32:
        """Region of each row of the split, from `train_3`."""
        named = cells_of(split, "fold2")
        wrong = ~named.str.fullmatch(r"(?:train|test)_\d+").to_numpy(dtype=bool)
        refuse(split, "fold2", wrong, "a fold and a region, as in train_3")
        regions = Table(
            split.path,
            split.frame.assign(fold2=named.str.partition("_")[2]),
            split.lines,
            split.separator,
            split.header_line,
        )
        return codes_of(regions, "fold2", _MOST_REGIONS, "region")[0]


def _with_validation(
    name: str,
    x: Floats,
    label: Ints32,
    test: Bools,
    silo: Ints32,
    val_share: float,
    times: Floats | None = None,
) -> Dataset:
    """The data set, its validation rows taken from the training rows; all of them where the share is 0."""
    part: Ints = np.where(test, 2, 0)
    train = np.flatnonzero(~test)
    if val_share:
        part[train] = split_rows(label[train], silo[train], (val_share, 0.0), _SPLIT_SEED)
    else:
        x, label, silo = (np.concatenate([each, each[train]]) for each in (x, label, silo))
        part = np.concatenate([part, np.ones(train.size, dtype=np.int64)])
        times = None if times is None else np.concatenate([times, times[train]])
    return assemble(name, x.astype(np.float32), label, part, silo, 2, times)


def _drawn_test(path: Path, label: Ints32) -> Bools:
    """FLamby's draw: a third, stratified where both labels come more than twice."""
    from sklearn.model_selection import train_test_split

    counts = np.bincount(label, minlength=2)
    try:
        _, held_out = train_test_split(
            np.arange(label.size),
            train_size=_TRAIN_SHARE,
            test_size=1.0 - _TRAIN_SHARE,
            random_state=_TEST_SEED,
            stratify=label if (counts > 2).all() else None,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {label.size} whole rows, expected more ({error})") from None
    test = np.zeros(label.size, dtype=bool)
    test[held_out] = True
    return test


def _there(path: Path, what: str) -> Path:
    if not path.is_file():
        raise ValueError(f"dataset: {path} not found, expected a file of {what}; set path to its folder")
    return path
