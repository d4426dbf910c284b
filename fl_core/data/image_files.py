"""MNIST, FashionMNIST, EMNIST and CIFAR-10 from a local folder laid out as torchvision does.

The files are read here, in their true formats (IDX; CIFAR's pickled batches by an unpickler that knows arrays
and nothing else), so torchvision is needed only to download them, which happens only if asked for.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...common.arrays import AnyArray, Floats32, Ints
from ...common.reading import read_regular, reason
from .dataset import DATASETS, Dataset, DatasetSource

_MOST_BYTES = 1 << 30
# Which training rows are the server's validation set is part of the task, the same for every seed.
_SPLIT_SEED = 20_260_102


class ImageFiles(DatasetSource):
    """Settings that the image data sets share.

    Attributes:
        root: folder with the files, as torchvision lays it out.
        download: whether torchvision may fetch what is missing.
        val_share: share of the training rows set aside for the server's validation.
        max_rows: use at most this many training rows (None = all).
    """

    root: str = "data"
    download: bool = False
    val_share: float = Field(default=0.1, gt=0, lt=1)
    max_rows: int | None = Field(default=None, ge=2)


def _missing(name: str, path: Path, torchvision_name: str) -> ValueError:
    return ValueError(
        f"dataset {name!r}: file {path} not found; set root= to the folder that holds it, or download=true "
        f"(needs torchvision), or run torchvision.datasets.{torchvision_name}(root, download=True)"
    )


def _download(torchvision_name: str, root: str, **options: str) -> None:
    """Let torchvision fetch the files."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise ImportError("download=true needs torchvision: pip install 'frugalfl[vision]'") from error
    for train in (True, False):
        getattr(datasets, torchvision_name)(root, train=train, download=True, **options)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file, with or without `.gz`.

    Returns:
        The array in its stored shape.

    Raises:
        ValueError: if the file is no such file, or truncated; the message names it.
    """
    try:
        raw = read_regular(path, _MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"{path}: {reason(error)}; expected an IDX file of unsigned bytes") from None
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise ValueError(
            f"{path}: starts with {raw[:4].hex()}, expected an IDX file of unsigned bytes (000008..)"
        )
    dimensions = raw[3]
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dimensions, offset=4))
    body = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
    if body.size != np.prod(shape):
        raise ValueError(f"{path}: holds {body.size} bytes, expected {np.prod(shape)} for shape {shape}")
    return body.reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles dictionaries of lists and numpy arrays; anything else is refused."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> object:
        """Resolve the few names that arrays need."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"refers to {module}.{name}")
        found: object = super().find_class(
            module.replace("numpy.core", "numpy._core") if _NEW_NUMPY else module, name
        )
        return found


_NEW_NUMPY = int(np.__version__.split(".")[0]) >= 2


def read_cifar_batch(path: Path) -> tuple[NDArray[np.uint8], Ints]:
    """Read one of CIFAR-10's batch files.

    Args:
        path: the file.

    Returns:
        `uint8 [n, 3072]` in channel, row, column order, and labels int `[n]`.

    Raises:
        ValueError: if the file is damaged, or holds anything but arrays; the message names it.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        x = np.asarray(batch[b"data"], dtype=np.uint8)
        y = np.asarray(batch[b"labels"], dtype=np.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path}: {error}; expected a CIFAR-10 batch with data and labels") from None
    if x.ndim != 2 or x.shape != (y.size, 3072):
        raise ValueError(f"{path}: data of shape {x.shape} and {y.size} labels, expected [n, 3072] and n")
    return x, y


def _assemble(
    name: str,
    settings: ImageFiles,
    shape: tuple[int, ...],
    num_classes: int,
    train: tuple[AnyArray, AnyArray],
    test: tuple[AnyArray, AnyArray],
) -> Dataset:
    """Set the validation rows aside and scales to [0, 1]."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(train[1]))
    if settings.max_rows is not None:
        order = order[: settings.max_rows]
    held_out = max(1, round(settings.val_share * order.size))

    def scaled(x: AnyArray) -> Floats32:
        return x.reshape(len(x), -1).astype(np.float32) / np.float32(255)

    (x, y), val, kept = train, order[:held_out], order[held_out:]
    return Dataset(
        name,
        scaled(x[kept]),
        y[kept],
        scaled(x[val]),
        y[val],
        scaled(test[0]),
        test[1],
        num_classes,
        shape=shape,
    )


def _idx_pair(name: str, folder: Path, prefix: str, torchvision_name: str) -> tuple[AnyArray, AnyArray]:
    """Images and labels of one part."""
    arrays = []
    for suffix in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        plain = folder / f"{prefix}-{suffix}"
        path = plain if plain.exists() else plain.with_name(plain.name + ".gz")
        if not path.exists():
            raise _missing(name, plain, torchvision_name)
        arrays.append(read_idx(path))
    if len(arrays[0]) != len(arrays[1]):
        raise ValueError(f"{folder}: {len(arrays[0])} images but {len(arrays[1])} labels for {prefix!r}")
    return arrays[0], arrays[1]


def _load_idx(name: str, torchvision_name: str, settings: ImageFiles) -> Dataset:
    if settings.download:
        _download(torchvision_name, settings.root)
    folder = Path(settings.root) / torchvision_name / "raw"
    train = _idx_pair(name, folder, "train", torchvision_name)
    test = _idx_pair(name, folder, "t10k", torchvision_name)
    return _assemble(name, settings, (1, *train[0].shape[1:]), 10, train, test)


@DATASETS.register("mnist")
class Mnist(ImageFiles):
    """MNIST (LeCun et al. 1998): 28x28 digits."""

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        return _load_idx("mnist", "MNIST", self)


@DATASETS.register("fashion-mnist")
class FashionMnist(ImageFiles):
    """Fashion-MNIST (Xiao et al. 2017): 28x28 clothes."""

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        return _load_idx("fashion-mnist", "FashionMNIST", self)


@DATASETS.register("emnist")
class Emnist(ImageFiles):
    """EMNIST (Cohen et al. 2017): 28x28 letters and digits; stored transposed, turned upright here.

    Attributes:
        split: which of EMNIST's splits, e.g. `"balanced"`, `"letters"`, `"digits"`.
    """

    split: str = "balanced"

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        if self.download:
            _download("EMNIST", self.root, split=self.split)
        folder = Path(self.root) / "EMNIST" / "raw"
        parts = []
        for part in ("train", "test"):
            x, y = _idx_pair("emnist", folder, f"emnist-{self.split}-{part}", "EMNIST")
            parts.append((x.transpose(0, 2, 1), y))
        # The letters split counts from 1.
        lowest = min(int(y.min()) for _, y in parts)
        train, test = ((x, y.astype(np.int64) - lowest) for x, y in parts)
        classes = 1 + max(int(train[1].max()), int(test[1].max()))
        return _assemble("emnist", self, (1, *train[0].shape[1:]), classes, train, test)


@DATASETS.register("cifar10")
class Cifar10(ImageFiles):
    """CIFAR-10 (Krizhevsky 2009): 32x32 colour photographs."""

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        if self.download:
            _download("CIFAR10", self.root)
        folder = Path(self.root) / "cifar-10-batches-py"
        batches = []
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            if not (folder / name).exists():
                raise _missing("cifar10", folder / name, "CIFAR10")
            batches.append(read_cifar_batch(folder / name))
        train = (np.concatenate([x for x, _ in batches[:-1]]), np.concatenate([y for _, y in batches[:-1]]))
        return _assemble("cifar10", self, (3, 32, 32), 10, train, batches[-1])
