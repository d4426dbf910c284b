"""Data sets and models by name."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from frugalfl.fl_core.data import Dataset, load_dataset
from frugalfl.fl_core.models import make_model


def test_digits_split_is_fixed_stratified_and_complete():
    one, two = load_dataset("digits", 0), load_dataset("digits", 99)
    assert np.array_equal(one.x_train, two.x_train)
    sizes = [one.y_train.size, one.y_val.size, one.y_test.size]
    assert sum(sizes) == 1797
    assert np.allclose(np.array(sizes) / 1797, [0.6, 0.2, 0.2], atol=0.005)
    everything = np.concatenate([one.x_train, one.x_val, one.x_test])
    assert everything.min() == 0
    assert everything.max() == 1
    for part in (one.y_train, one.y_val, one.y_test):
        assert np.ptp(np.bincount(part) / part.size) < 0.02


def test_synthetic_has_a_natural_partition_and_follows_its_seed():
    spec = {"kind": "synthetic", "alpha": 0.5, "beta": 0.5, "num_clients": 7}
    one, two, other = load_dataset(spec, 1), load_dataset(spec, 1), load_dataset(spec, 2)
    assert np.array_equal(one.x_train, two.x_train)
    assert not np.array_equal(one.x_train[:5], other.x_train[:5])
    assert set(one.natural_client) == set(range(7))
    assert one.num_features == 60


def test_synthetic_alpha_sets_how_much_the_teachers_differ():
    """With alpha = beta = 0 the clients still differ, but labels are spread more alike than with 5."""

    def disagreement(spread):
        data = load_dataset({"kind": "synthetic", "alpha": spread, "beta": spread, "num_clients": 40}, 3)
        mix = np.array([np.bincount(data.y_train[data.natural_client == k], minlength=10) for k in range(40)])
        mix = mix / mix.sum(axis=1, keepdims=True)
        return mix.max(axis=1).mean()

    assert disagreement(5.0) > disagreement(0.0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("digist", ["dataset: 'digist'", "did you mean 'digits'"]),
        ({"kind": "synthetic", "alpha": -1}, ["alpha: -1", "greater than or equal to 0"]),
        ({"kind": "synthetic", "alhpa": 1}, ["alhpa", "did you mean 'alpha'"]),
        ({"nam": "digits"}, ["dataset: ", "'kind'"]),
    ],
)
def test_bad_specs_say_what_was_expected_in_one_line(spec, words):
    with pytest.raises(ValueError) as caught:
        load_dataset(spec)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words)


def test_models_by_name_and_their_sizes():
    digits = load_dataset("digits")
    assert make_model("softmax", digits).num_parameters == 650
    mlp = make_model({"kind": "mlp", "hidden": [32, 16]}, digits)
    assert mlp.widths == (64, 32, 16, 10)
    assert mlp.bytes == 4 * (65 * 32 + 33 * 16 + 17 * 10)
    assert np.array_equal(mlp.init(3), mlp.init(3))
    assert not np.array_equal(mlp.init(3), mlp.init(4))
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        make_model("sofmax", digits)


def test_flat_layout_is_that_of_torch():
    torch = pytest.importorskip("torch")
    model = make_model("mlp", load_dataset("digits"))
    flat = model.init(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), net.parameters())
    (w1, b1), (w2, b2) = model.layers(flat)
    x = load_dataset("digits").x_val
    expected = net(torch.from_numpy(x)).detach().numpy()
    assert np.allclose(np.maximum(x @ w1.T + b1, 0) @ w2.T + b2, expected, atol=1e-5)


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_features_that_are_no_finite_float32_are_refused_where_they_stand(part, value):
    x = {name: np.ones((6, 3)) for name in ("train", "val", "test")}
    x[part][4, 2] = value
    y = np.array([0, 1, 2, 0, 1, 2])
    with pytest.raises(ValueError, match=rf"x_{part}: \S+ in row 4, feature 2, expected finite") as caught:
        Dataset("bad", x["train"], y, x["val"], y, x["test"], y, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("value", [0.5, np.nan])
def test_fractional_labels_are_refused_where_they_stand(part, value):
    x = np.ones((6, 3), dtype=np.float32)
    y = {name: np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0]) for name in ("train", "val", "test")}
    y[part][3] = value
    with pytest.raises(ValueError, match=rf"y_{part}: {value} in row 3, expected whole numbers from 0 to 2"):
        Dataset("bad", x, y["train"], x, y["val"], x, y["test"], 3)


def test_whole_labels_of_any_type_are_labels():
    x = np.ones((3, 2), dtype=np.float32)
    for kind in (np.float64, np.uint8, np.int64, bool):
        y = np.array([0, 1, 1]).astype(kind)
        assert Dataset("good", x, y, x, y, x, y, 2).y_train.tolist() == [0, 1, 1]


class TestOnesOwn:
    """A function, by its dotted name, in every process."""

    def test_its_arguments_are_the_settings(self):
        few = load_dataset({"kind": "own_plugins:load_blobs", "rows": 30, "classes": 5})
        assert few.num_classes == 5 and few.num_rows == 10 and few.shape == (2, 2) and few.num_features == 4
        assert load_dataset("own_plugins:load_blobs").num_rows == 30

    def test_its_seed_is_that_of_generated_data(self):
        one, same, other = (load_dataset("own_plugins:load_blobs", seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.x_train, same.x_train)
        assert (one.x_train != other.x_train).any()

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({"kind": "own_plugins:load_blobs", "rwos": 3}, "rwos: unknown field; did you mean 'rows'"),
            ({"kind": "own_plugins:load_blobs", "rows": "many"}, "rows: 'many', expected a valid integer"),
            ({"kind": "own_plugins:load_blobs", "rng_seed": 3}, "rng_seed: unknown field"),
            ("own_plugins:read_stays", "path: .*expected"),
        ],
    )
    def test_wrong_settings_are_told_before_it_is_called(self, spec, message):
        with pytest.raises(ValueError, match=message):
            load_dataset(spec)

    def test_something_else_than_a_data_set_is_refused(self):
        with pytest.raises(ValueError, match=r"returned a Section, expected a frugalfl\.fl_core\.Dataset"):
            load_dataset({"kind": "own_plugins:shares", "result": _Result()})

    def test_no_code_refuses_it(self, monkeypatch):
        monkeypatch.setenv("FRUGALFL_NO_CODE", "1")
        with pytest.raises(ValueError, match="names code, which --no-code refuses"):
            load_dataset("own_plugins:load_blobs")


class _Result:
    """Enough of an evaluation for a section of the report."""

    @property
    def episodes(self):
        import pandas as pd

        return pd.DataFrame({"scheduler": ["a"], "invitations": [1.0]})


class TestFromTorch:
    def test_rows_shapes_and_labels(self):
        pairs = [(np.full((1, 2, 3), k), k % 2) for k in range(4)]
        data = Dataset.from_torch(pairs, pairs[:2], pairs[2:], name="lab", natural_client=[0, 0, 1, 1])
        assert data.shape == (1, 2, 3) and data.num_features == 6 and data.num_classes == 2
        assert data.x_test[1].tolist() == [3.0] * 6 and data.y_train.tolist() == [0, 1, 0, 1]
        assert data.natural_client.tolist() == [0, 0, 1, 1]
        assert Dataset.from_torch(pairs, pairs, pairs, num_classes=7).num_classes == 7

    @pytest.mark.parametrize(
        "rows", [[1.0, 2.0], [([1.0], 0), ([1.0, 2.0], 1)], None], ids=["no pairs", "ragged", "no rows"]
    )
    def test_items_that_are_no_pairs_are_refused(self, rows):
        good = [([1.0], 0)]
        with pytest.raises(ValueError, match=r"val: .*expected pairs \(features, label\) of one shape"):
            Dataset.from_torch(good, rows, good)


class _Table:
    """As much of a Hugging Face data set as is read of one."""

    def __init__(self, **columns):
        self.columns, self.column_names = columns, list(columns)

    def with_format(self, kind):
        assert kind == "numpy"
        return self.columns


class _Federated:
    """As much of `flwr_datasets.FederatedDataset`: two clients, who know their number once one is loaded."""

    def __init__(self, **changes):
        image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
        self.parts = [
            _Table(image=image, label=np.array([0, 1, 1])),
            _Table(image=image[:1], label=np.array([2])),
        ]
        self.splits = {
            "test": _Table(image=image, label=np.array([0, 1, 2])),
            "own": _Table(image=image[1:], label=np.array([1, 1])),
        }
        self.splits |= changes
        self.partitioners = {"train": SimpleNamespace(num_partitions=0)}

    def load_partition(self, index, split):
        self.partitioners[split].num_partitions = len(self.parts)
        return self.parts[index]

    def load_split(self, split):
        return self.splits[split]


class TestFromFlower:
    def test_clients_are_the_partitions(self):
        data = Dataset.from_flower(_Federated())
        assert data.natural_client.tolist() == [0, 0, 0, 1] and data.y_train.tolist() == [0, 1, 1, 2]
        assert data.shape == (2, 2) and data.num_classes == 3
        np.testing.assert_allclose(data.x_train[3], np.arange(4) / 255.0, rtol=1e-6)

    def test_the_server_has_every_second_row_of_the_evaluators_or_a_split_of_its_own(self):
        shared = Dataset.from_flower(_Federated())
        assert shared.y_val.tolist() == [0, 2] and shared.y_test.tolist() == [1]
        own = Dataset.from_flower(_Federated(), splits=("train", "own", "test"))
        assert own.y_val.tolist() == [1, 1] and own.y_test.tolist() == [0, 1, 2]

    def test_wrong_columns_and_ragged_rows_are_refused(self):
        with pytest.raises(ValueError, match="train, partition 0: no column 'img', expected one of image, "):
            Dataset.from_flower(_Federated(), features="img")
        ragged = _Table(image=[np.zeros((2, 2)), np.zeros((2, 3))], label=np.array([0, 1]))
        with pytest.raises(ValueError, match=r"test: 'image' has rows of shapes \(2, 2\) and \(2, 3\)"):
            Dataset.from_flower(_Federated(test=ragged))
