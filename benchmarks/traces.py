"""How fast traces load and are drawn: 100,000 phones for seven days, and an episode of each world.

Run `python benchmarks/traces.py`. The file that is read is written here in STUNner's format, from the phone
generator with flapping put back: sessions are cut by gaps of seconds, as the real ones are.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from frugalfl.traces.analysis import generate
from frugalfl.traces.availability import (
    AvailabilityRequest,
    RecordedAvailability,
    SessionBatch,
    make_availability,
)
from frugalfl.traces.carbon import CarbonBatch, make_carbon
from frugalfl.traces.formats.availability import read_availability

HOUR = 3600.0
LOAD_LIMIT_S, MEMORY_LIMIT_GIB = 20.0, 2.0


def write_stunner(path: Path, clients: int, seed: int = 0) -> int:
    """Write `clients` phone-weeks in STUNner's format; the number of durations."""
    rng = np.random.default_rng(seed)
    total = 0
    with path.open("w", encoding="utf-8") as out:
        for begin in range(0, clients, 5000):
            block = min(5000, clients - begin)
            trace = generate(make_availability("phones"), block, 7.0, rng)
            offsets = trace.offsets
            for client in range(block):
                rows = slice(offsets[client], offsets[client + 1])
                edges = _flapping(
                    trace.session_start_s[rows], trace.session_end_s[rows], trace.begin_s[client], rng
                )
                durations = np.diff(np.concatenate([[0.0], edges, [7 * 86400.0]]))
                cells = np.maximum(np.rint(durations * 1000.0), 1.0).astype(np.int64)
                total += cells.size
                out.write(f"user{begin + client} 0 1402358400000 2 {' '.join(map(str, cells.tolist()))}\n")
    return total


def timed(action: Callable[[], object], repeat: int) -> float:
    """Mean milliseconds of an action."""
    action()
    start = time.perf_counter()
    for _ in range(repeat):
        action()
    return (time.perf_counter() - start) / repeat * 1000.0


def main() -> int:
    """Measure and print; 1 if the limits are broken."""
    console = Console()
    table = Table("what", "measured", "limit", title="traces")
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phones.txt"
        durations = write_stunner(path, clients)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        trace = read_availability(path).debounced()
        model = RecordedAvailability(trace)
        load_s = time.perf_counter() - start
        megabytes = path.stat().st_size / 1e6
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    note = f"{clients:,} clients x 7 days ({durations:,} durations, {megabytes:.0f} MB)"
    table.add_row(f"load {note}", f"{load_s:.1f} s", f"{LOAD_LIMIT_S:g} s")
    table.add_row("peak memory of the process", f"{peak_gib:.2f} GiB", f"{MEMORY_LIMIT_GIB:g} GiB")
    table.add_row("... of which before loading", f"{before / 2**20:.2f} GiB", "")
    rng = np.random.default_rng(0)
    models = [("phones", 100), ("volunteers", 24), ("spot", 16), ("recorded phones", 100)]
    for name, n in models:
        own = AvailabilityRequest(1.7e9, 72 * HOUR, np.arange(n) % 6, np.arange(6.0))
        drawn = model if name == "recorded phones" else make_availability(name)
        table.add_row(
            f"episode of 72 h: {name}, {n} clients",
            f"{timed(lambda d=drawn, o=own: d.sample(o, rng), 100):.2f} ms",
            "",
        )
    grids = make_carbon(["DE", "GB", "US-CAL-CISO", "US-NY-NYIS", "JP-TK", "BR-CS"])
    table.add_row(
        "episode of 72 h: 6 grids", f"{timed(lambda: grids.sample(1.7e9, 72 * HOUR, rng), 100):.2f} ms", ""
    )
    _batches(table, grids, rng)
    console.print(table)
    return int(load_s > LOAD_LIMIT_S or peak_gib > MEMORY_LIMIT_GIB)


def _batches(table: Table, grids: object, rng: np.random.Generator) -> None:
    """Steps of 64 worlds of 100 phones."""
    phones, carbon = make_availability("phones"), make_carbon(["DE", "GB", "NO"])
    sessions, intensity = SessionBatch(64, 100), CarbonBatch(64, 3)
    own = AvailabilityRequest(1.7e9, 72 * HOUR, np.arange(100) % 3, np.zeros(3))
    for env in range(64):
        sessions.set(env, phones.sample(own, rng), 1.7e9)
        intensity.set(env, carbon.sample(1.7e9, 72 * HOUR, rng))
    clock, zone = np.zeros(64), np.tile(own.zone, (64, 1))
    leads = np.array([1800.0, 7200.0])

    def step() -> None:
        clock[:] += 600.0
        sessions.advance(clock)
        sessions.forecast(clock, leads)
        intensity.forecast(clock, leads)
        intensity.integral(zone, clock[:, None] + np.zeros(100), clock[:, None] + np.full(100, 500.0))

    table.add_row(
        "step of 64 worlds of 100 phones: clock, forecasts, integral", f"{timed(step, 200):.2f} ms", ""
    )


def _flapping(starts: np.ndarray, ends: np.ndarray, begin_s: float, rng: np.random.Generator) -> np.ndarray:
    """Edges of the states since the beginning; each session is cut by gaps of ten seconds, two on average."""
    edges: list[float] = []
    for start, end in zip(starts - begin_s, ends - begin_s, strict=True):
        edges.append(max(float(start), 0.001))
        for cut in np.sort(rng.uniform(start, end, rng.poisson(2.0))):
            if cut - edges[-1] > 1.0 and end - cut > 20.0:
                edges += [float(cut), float(cut) + 10.0]
        edges.append(min(float(end), 7 * 86400.0 - 0.001))
    return np.maximum.accumulate(np.array(edges)) if edges else np.empty(0)


if __name__ == "__main__":
    raise SystemExit(main())
