"""Data sets and how they are dealt to clients."""

from __future__ import annotations

from .apart import Apart
from .client_rows import ClientRows, partition
from .dataset import DATASETS, Dataset, DatasetSource, language_data, load_dataset
from .digits import Digits
from .image_files import Cifar10, Emnist, FashionMnist, ImageFiles, Mnist, read_cifar_batch, read_idx
from .markov import Markov, MarkovSource
from .partitions import PARTITIONS, Partition
from .rows import pairs
from .score import GapClosed, Score
from .synthetic import Synthetic
from .tables import HeartDisease, StreamFile, SyntheticHospitals, TableFile, TcgaBrca
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
    "StreamFile",
    "Synthetic",
    "SyntheticHospitals",
    "TableFile",
    "TcgaBrca",
    "Text",
    "language_data",
    "load_dataset",
    "pairs",
    "partition",
    "read_cifar_batch",
    "read_idx",
]
