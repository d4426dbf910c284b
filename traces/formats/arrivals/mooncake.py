"""Mooncake's traces of Kimi (FAST 2025): one JSON object per request."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...records import RequestTrace
from ..parsing import brief, decode, read_pieces
from .counting import MinuteCounter

_KEYS = ("timestamp", "input_length", "output_length")
_PIECE = 4 << 20
_MOST = 1e12


def recognises(head: str) -> bool:
    """Whether the first line is an object with `timestamp`, `input_length` and `output_length`."""
    line = next((line for line in head.splitlines() if line.strip()), "")
    return line.lstrip().startswith("{") and all(f'"{key}"' in line for key in _KEYS)


def read(path: str | Path) -> RequestTrace:
    """Read `{"timestamp": ms, "input_length": 6758, "output_length": 500, "hash_ids": [...]}` a line.

    Timestamps are milliseconds since the beginning, whose time of day is not told; in the files of
    github.com/kvcache-ai/Mooncake (FAST25-release/traces) they come in steps of about 3 s. The one source is
    the file's name. Which prompts have a beginning in common (`hash_ids`) is not kept.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "mooncake")
    name = Path(path).name.split(".")[0].removesuffix("_trace")
    number = 0
    for piece in read_pieces(path, _PIECE):
        rows, lines = [], []
        for line in decode(path, piece).splitlines():
            number += 1
            if line.strip():
                rows.append(_row(path, number, line))
                lines.append(number)
        values = np.array(rows, dtype=np.float64).reshape(-1, 3)
        counter.add(values[:, 0] / 1000.0, name, np.array(lines, dtype=np.int64))
        counter.tokens += values[:, 1:].sum(axis=0)
        counter.failures += int((values[:, 2] == 0).sum())
    return counter.trace("none", "milliseconds since the beginning")


def _row(path: str | Path, number: int, line: str) -> list[float]:
    """Time and tokens of one request."""
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"{path}:{number}: {brief(line[:70])}, expected a JSON object a line") from None
    values = [
        float(value)
        for value in ([row.get(key) for key in _KEYS] if isinstance(row, dict) else ())
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST
    ]
    if len(values) != len(_KEYS):
        raise ValueError(
            f"{path}:{number}: {brief(line[:70])}, expected numbers as {', '.join(_KEYS)}, none below zero"
        )
    return values
