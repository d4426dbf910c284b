"""Image data sets, on tiny files in the true formats that the tests write."""

from __future__ import annotations

import gzip
import os
import pickle

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition, read_cifar_batch, read_idx
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model

RNG = np.random.default_rng(0)


def idx_bytes(array):
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_idx(folder, prefix, count, zipped=False, first_label=0):
    folder.mkdir(parents=True, exist_ok=True)
    images = RNG.integers(0, 256, (count, 28, 28))
    labels = np.arange(count) % 10 + first_label
    for suffix, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        raw = idx_bytes(array)
        if zipped:
            (folder / f"{prefix}-{suffix}.gz").write_bytes(gzip.compress(raw))
        else:
            (folder / f"{prefix}-{suffix}").write_bytes(raw)
    return images, labels


def write_cifar(root, per_batch=20):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        labels = [i % 10 for i in range(per_batch)]
        # A bright band whose height is the class, so that there is something to learn.
        data = RNG.integers(0, 25, (per_batch, 3, 32, 32)).astype(np.uint8)
        for image, label in zip(data, labels, strict=True):
            image[:, 3 * label : 3 * label + 4] += 200
        data = data.reshape(per_batch, 3072)
        batch = {
            b"batch_label": b"tiny",
            b"labels": labels,
            b"data": data,
            b"filenames": [b"x.png"] * per_batch,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize(
    ("name", "folder", "zipped"), [("mnist", "MNIST", False), ("fashion-mnist", "FashionMNIST", True)]
)
def test_idx_data_sets(tmp_path, name, folder, zipped):
    images, _ = write_idx(tmp_path / folder / "raw", "train", 60, zipped)
    test_images, test_labels = write_idx(tmp_path / folder / "raw", "t10k", 20, zipped)
    data = load_dataset({"kind": name, "root": str(tmp_path), "val_share": 0.25})
    assert (data.num_rows, data.y_val.size, data.shape) == (45, 15, (1, 28, 28))
    assert np.allclose(data.x_test, test_images.reshape(20, -1) / 255)
    assert np.array_equal(data.y_test, test_labels)
    everything = np.concatenate([data.x_train, data.x_val])
    assert np.allclose(
        np.sort(everything.sum(axis=1)), np.sort(images.reshape(60, -1).sum(axis=1) / 255), rtol=1e-5
    )


def test_emnist_is_turned_upright_and_counted_from_zero(tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    write_idx(raw, "emnist-letters-train", 30, first_label=1)
    images, _ = write_idx(raw, "emnist-letters-test", 10, first_label=1)
    data = load_dataset({"kind": "emnist", "root": str(tmp_path), "split": "letters"})
    assert np.allclose(data.x_test[0].reshape(28, 28), images[0].T / 255)
    assert data.y_test.min() == 0
    assert data.num_classes == 10


def test_a_convolutional_net_on_files_of_cifars_format(tmp_path):
    write_cifar(tmp_path)
    data = load_dataset({"kind": "cifar10", "root": str(tmp_path), "max_rows": 90})
    assert (data.num_rows, data.y_val.size, data.shape) == (81, 9, (3, 32, 32))
    core = FederatedCore(data, make_model({"kind": "cnn", "channels": 4}, data), 1, 3, {"learning_rate": 0.2})
    core.reset(0, partition(data, 3, np.zeros(3, dtype=int), 1, "iid", np.random.default_rng(0)), 0)
    losses = [
        np.mean(
            core.run_round(
                TrainingOrders(np.full((1, 3), 6, dtype=np.int32), None, np.array([r]))
            ).reported_loss
        )
        for r in range(12)
    ]
    assert losses[-1] < losses[0] - 0.05


def test_missing_files_say_how_to_get_them(tmp_path):
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte not found; set root= .* download=true"):
        load_dataset({"kind": "mnist", "root": str(tmp_path)})
    with pytest.raises(ValueError, match="data_batch_1 not found"):
        load_dataset({"kind": "cifar10", "root": str(tmp_path)})


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(b"\0\0\x0d\x01rest")
    with pytest.raises(ValueError, match="broken: starts with 00000d01, expected an IDX file"):
        read_idx(path)
    path.write_bytes(idx_bytes(np.zeros((3, 4)))[:-2])
    with pytest.raises(ValueError, match=r"holds 10 bytes, expected 12"):
        read_idx(path)
    path.write_bytes(b"not a pickle")
    with pytest.raises(ValueError, match=r"broken: .*expected a CIFAR-10 batch"):
        read_cifar_batch(path)
    path.write_bytes(pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}))
    with pytest.raises(ValueError, match=r"expected \[n, 3072\]"):
        read_cifar_batch(path)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_pickle_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil"
    path.write_bytes(pickle.dumps({b"data": Malicious(), b"labels": [0]}))
    with pytest.raises(ValueError, match=r"refers to posix\.system"):
        read_cifar_batch(path)
    assert not (tmp_path / "pwned").exists()
