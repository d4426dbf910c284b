"""Electricity Maps: CSV downloads (2023 and 2025 headers), hourly or daily."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...records import CarbonSeries, regular_series
from ..parsing import brief, find_column, header_cells, read_table

# Spreadsheets write truth in their own language.
_TRUE = ("true", "wahr", "vrai", "verdadero", "vero", "1")
_KIND_WORDS = {"direct": ("direct",), "life-cycle": ("lca", "life cycle")}


def recognises(head: str) -> bool:
    """Whether the first line is the header of an Electricity Maps download."""
    names = header_cells(head)
    value = any(name.startswith("carbon intensity") for name in names)
    return value and {"datetime (utc)", "zone id"} <= set(names)


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """One series per zone in the file.

    The zone is that of the `Zone Id` column, not of the file name; times without a zone are UTC. The
    yearly and monthly downloads (https://portal.electricitymaps.com/datasets) have the same header; only
    the distance of their rows tells them, and they are refused.

    Args:
        path: the file.
        kind: "direct" (if missing) or "life-cycle", of which the file has both.

    Raises:
        ValueError: with path and line number.
    """
    kind = kind or "direct"
    table = read_table(path)
    names = table.columns
    if kind not in _KIND_WORDS:
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected direct or life-cycle")
    time = _need(path, find_column(names, "datetime"), "Datetime (UTC)", names)
    zone = _need(path, find_column(names, "zone id"), "Zone id", names)
    found = [find_column(names, "carbon intensity", word) for word in _KIND_WORDS[kind]]
    value = _need(path, next((name for name in found if name), None), f"Carbon intensity ({kind})", names)
    lines = table.lines
    times, values = table.utc_times(time), table.numbers(value)
    estimated = find_column(names, "data estimated")
    zones = table.cells(zone).to_numpy()
    series = []
    for name in dict.fromkeys(zones):
        if not str(name).strip():
            line = int(lines[np.argmax(zones == name)])
            raise ValueError(f"{path}:{line}: {zone} is {brief(name)}, expected a zone such as DE")
        rows = zones == name
        notes, share = list(table.notes), math.nan
        if estimated:
            share = float(table.cells(estimated)[rows].str.lower().isin(_TRUE).mean())
            notes += [f"{share:.0%} of the rows are the provider's estimates"] if share > 0.05 else []
        series.append(
            regular_series(
                path, str(name), kind, times[rows], values[rows], lines[rows], notes=notes, estimated=share
            )
        )
    return series


def _need(path: str | Path, name: str | None, what: str, have: Sequence[str]) -> str:
    if name is None:
        raise ValueError(f"{path}:1: no column {what!r}, found {brief(', '.join(have), 200)}")
    return name
