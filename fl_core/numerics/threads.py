"""Splitting compiled work over threads, safely after a fork.

Numba's own parallel loops abort when a process that used them is forked, which vector environments do, and
cost seconds of compilation. The kernels here release the GIL instead and work on a range of jobs, so plain
threads suffice. A job's result never depends on the range it was in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...common.arrays import Ints

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}

# Ranges per thread: more than one, so that a thread slowed by a neighbour does not hold up the round.
_RANGES_PER_THREAD = 3


_chosen: int | None = None


def set_num_threads(count: int | None) -> None:
    """Set the number of threads of this process; None = by the environment, see `num_threads`.

    Raises:
        ValueError: if the count is below 1.
    """
    global _chosen
    if count is not None and count < 1:
        raise ValueError(f"threads: {count}, expected at least 1")
    _chosen = count


def num_threads() -> int:
    """Threads to use.

    By `set_num_threads`, else `NUMBA_NUM_THREADS`, else `OMP_NUM_THREADS`, else all processors allowed.
    """
    if _chosen is not None:
        return _chosen
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return max(1, int(os.environ[name]))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool(workers: int) -> ThreadPoolExecutor:
    """The pool of this process; a forked child starts its own, as threads do not survive a fork."""
    key = (os.getpid(), workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(workers, thread_name_prefix="fl_core")
    return _pools[key]


def run_ranges(kernel: Callable[[int, int], object], work: Ints, smallest: int) -> None:
    """Call `kernel(begin, end)` on consecutive ranges that cover all jobs.

    Args:
        kernel: works on the jobs `begin:end`; releases the GIL.
        work: int `[J + 1]`, cumulative work before each job, to cut ranges of equal work.
        smallest: least work worth a thread; below twice that, everything runs in the caller.
    """
    count = work.size - 1
    total = int(work[-1] - work[0])
    worth = min(total // max(1, smallest), count)
    workers = min(num_threads(), worth) if worth > 1 else 1  # most rounds are small: no look at the settings
    if workers <= 1:
        kernel(0, count)
        return
    ranges = min(count, total // smallest, workers * _RANGES_PER_THREAD)
    marks = work[0] + total * np.arange(1, ranges) // ranges
    cuts = np.unique(np.concatenate([[0], np.searchsorted(work, marks), [count]]))
    bounds = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
    futures = [_pool(num_threads()).submit(kernel, *each) for each in bounds[1:]]
    kernel(*bounds[0])
    for future in futures:
        future.result()
