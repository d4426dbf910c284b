"""Train, val and test: the disjoint parts of populations, rows and trace windows."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
