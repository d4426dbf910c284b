"""SkyPilot spot traces: JSON `{"metadata": {"gap_seconds": g}, "data": [counts]}`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ...records import AvailabilityTrace, flat_trace
from ..parsing import line_of, read_json
from .counts import MAX_NODES, pooled


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys."""
    return head.lstrip().startswith("{") and '"gap_seconds"' in head and '"data"' in head


def read(paths: Sequence[str | Path], inverted: bool = False) -> AvailabilityTrace:
    """Read zones that were watched together: sample i is the count of nodes from i x gap on.

    1 means available, as in the published repository; files of its simulator have it the other way round
    (`inverted`). Of several nodes only the count is known. The time of day is not known.

    Raises:
        ValueError: naming the file, the line and the sample.
    """
    pools: list[tuple[str, Floats, Ints, float]] = []
    for path in paths:
        gap_s, counts = _counts(path)
        if inverted:
            counts = int(counts.max()) - counts
        times_s = gap_s * np.arange(counts.size, dtype=np.float64)
        pools.append((_name(path, paths), times_s, counts, gap_s * counts.size))
    names, groups, begin_s, end_s, owner, start_s, stop_s = pooled(pools)
    return flat_trace(
        names,
        np.arange(len(names)),
        begin_s,
        end_s,
        owner,
        start_s,
        stop_s,
        clock="none",
        simultaneous=True,
        group=groups,
        source=f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} (skypilot)",
        notes=("nodes of a pool are told apart by their count only",) if len(names) > len(paths) else (),
        unit="samples",
    )


def _name(path: str | Path, paths: Sequence[str | Path]) -> str:
    """The zone, which is the file's name, with as many of its folders as tell it from the others."""
    own = Path(path).resolve().with_suffix("").parts
    others = [Path(other).resolve().with_suffix("").parts for other in paths]
    depth = 1
    while depth < len(own) and sum(other[-depth:] == own[-depth:] for other in others) > 1:
        depth += 1
    return "/".join(own[-depth:])


def _counts(path: str | Path) -> tuple[float, Ints]:
    document = read_json(path)
    data = document.get("data") if isinstance(document, dict) else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    gap_s = metadata.get("gap_seconds") if isinstance(metadata, dict) else None
    if not isinstance(gap_s, (int, float)) or isinstance(gap_s, bool) or not 0 < gap_s < 86400:
        line = line_of(path, "metadata", "gap_seconds")
        raise ValueError(
            f"{path}:{line}: metadata.gap_seconds is {str(gap_s)[:40]}, expected seconds between samples"
        )
    if not isinstance(data, list) or not data:
        raise ValueError(f"{path}:{line_of(path, 'data')}: data, expected a list of counts")
    for index, value in enumerate(data):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NODES:
            line = line_of(path, "data", index)
            raise ValueError(f"{path}:{line}: data[{index}] is {str(value)[:40]}, expected a count of nodes")
    return float(gap_s), np.array(data, dtype=np.int64)
