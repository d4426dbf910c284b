"""Data sets and how they are dealt to clients."""

from __future__ import annotations

from .dataset import Dataset, load_dataset, register_dataset
from .image_files import VisionSettings, read_cifar_batch, read_idx
from .partitions import ClientRows, parse_partition, partition
from .synthetic import SyntheticSettings

__all__ = [
    "ClientRows",
    "Dataset",
    "SyntheticSettings",
    "VisionSettings",
    "load_dataset",
    "parse_partition",
    "partition",
    "read_cifar_batch",
    "read_idx",
    "register_dataset",
]
