"""Data sets and how they are dealt to clients."""

from __future__ import annotations

from .apart import Apart
from .client_rows import ClientRows, partition
from .clinical import HeartDisease, TcgaBrca
from .dataset import DATASETS, Dataset, DatasetSource, Digits, load_dataset
from .image_files import Cifar10, Emnist, FashionMnist, ImageFiles, Mnist, read_cifar_batch, read_idx
from .markov import Markov, MarkovSource
from .partitions import PARTITIONS, Partition
from .score import GapClosed, Score
from .synthetic import Synthetic
from .synthetic_hospitals import SyntheticHospitals
from .table_files import TableFile
from .text import Text

__all__ = [
    "DATASETS",
    "PARTITIONS",
    "Apart",
    "Cifar10",
    "ClientRows",
    "Dataset",
    "DatasetSource",
    "Digits",
    "Emnist",
    "FashionMnist",
    "GapClosed",
    "HeartDisease",
    "ImageFiles",
    "Markov",
    "MarkovSource",
    "Mnist",
    "Partition",
    "Score",
    "Synthetic",
    "SyntheticHospitals",
    "TableFile",
    "TcgaBrca",
    "Text",
    "load_dataset",
    "partition",
    "read_cifar_batch",
    "read_idx",
]
