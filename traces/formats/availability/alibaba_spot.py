"""Alibaba's spot GPU trace of 2026: workers of preemptible jobs, table `job_info_df.csv`."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, header_cells, read_table

_COLUMNS = ("job_name", "gpu_model", "worker_num", "submit_time", "duration", "job_type")
_MOST_WORKERS = 5_000_000
_MOST_S = 400 * 86400.0


def recognises(head: str) -> bool:
    """Whether the header has the columns of the table of jobs."""
    return set(_COLUMNS) <= set(header_cells(head, *_COLUMNS))


def read(path: str | Path) -> AvailabilityTrace:
    """Read the jobs of type Spot: `worker_num` workers each, there from `submit_time` for `duration` seconds.

    A client is a place for one worker with one model of GPU; a worker takes the place that was free first,
    so that there are as many as ran at once. Jobs of high priority (HP) are no clients. How long jobs waited
    is not in the file. Columns and units as in cluster-trace-v2026-spot-gpu of github.com/alibaba/clusterdata
    (Duan et al. 2026); seconds since the first job, so that no time of day is known.

    Raises:
        ValueError: with path and line number.
    """
    table = read_table(path, _COLUMNS)
    kinds = table.cells("job_type").str.lower()
    strange = ~kinds.isin(["hp", "spot"]).to_numpy(dtype=bool)
    if strange.any():
        row = int(np.argmax(strange))
        said = brief(table.cells("job_type").iloc[row])
        raise ValueError(f"{path}:{table.lines[row]}: job_type is {said}, expected HP or Spot")
    numbers = {name: table.numbers(name, ".") for name in ("worker_num", "submit_time", "duration")}
    for name, values in numbers.items():
        whole = name != "worker_num" or values == np.floor(values)
        bad = ~((values >= 0) & (values <= _MOST_S) & whole)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{path}:{table.lines[row]}: {name} is {brief(table.cells(name).iloc[row])}, expected "
                + ("a whole number of workers" if name == "worker_num" else "seconds, 0 to 400 days")
            )
    end_s = float((numbers["submit_time"] + numbers["duration"]).max())
    spot = np.flatnonzero((kinds == "spot").to_numpy() & (numbers["duration"] > 0))
    workers = numbers["worker_num"][spot]
    if not workers.sum():
        raise ValueError(f"{path}: no job of type Spot that lasts, expected at least one")
    if workers.sum() > _MOST_WORKERS:
        raise ValueError(f"{path}: {workers.sum():.3g} spot workers, expected at most {_MOST_WORKERS}")
    job = np.repeat(spot, workers.astype(np.int64))
    start_s = numbers["submit_time"][job]
    stop_s = start_s + numbers["duration"][job]
    models, model = np.unique(table.cells("gpu_model").to_numpy(dtype=str)[job], return_inverse=True)
    names, groups, owner = _places(models.tolist(), model, start_s, stop_s)
    size = len(names)
    return flat_trace(
        tuple(names),
        np.arange(size),
        np.zeros(size),
        np.full(size, end_s),
        owner,
        start_s,
        stop_s,
        clock="none",
        simultaneous=True,
        group=tuple(groups),
        source=f"{path} (alibaba-spot)",
        notes=(
            f"{int((kinds == 'hp').sum())} jobs of high priority left out",
            "workers count from a job's submission; how long it waited is not in the file",
        ),
        unit="s",
        lines=table.lines[job],
    )


def _places(
    models: list[str], model: Ints, start_s: Floats, stop_s: Floats
) -> tuple[list[str], list[str], Ints]:
    """Names and groups of the places, and the place of each worker: of those free, the first."""
    names: list[str] = []
    groups: list[str] = []
    owner = np.zeros(start_s.size, dtype=np.int64)
    for number, name in enumerate(models):
        workers = np.flatnonzero(model == number)
        free: list[int] = []
        busy: list[tuple[float, int]] = []
        base = len(names)
        for worker in workers[np.argsort(start_s[workers], kind="stable")].tolist():
            while busy and busy[0][0] <= start_s[worker]:
                heapq.heappush(free, heapq.heappop(busy)[1])
            if not free:
                free = [len(names)]
                names.append(f"{name}/{len(names) - base}")
                groups.append(name)
            owner[worker] = heapq.heappop(free)
            heapq.heappush(busy, (float(stop_s[worker]), int(owner[worker])))
    return names, groups, owner
