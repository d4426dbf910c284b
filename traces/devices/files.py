"""Device capacities from files: FedScale, FLASH, FLHetBench, MobiPerf, 4G/5G throughput."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...common.arrays import Floats
from ..formats.parsing import (
    brief,
    header_cells,
    is_pickle,
    load_plain,
    read_bytes,
    read_head,
    read_json,
    read_table,
)
from .classes import Devices

# What measured devices can be, in the units of the files: a microsecond to a day per sample, a bit to a
# terabit per second. Outside, the unit is another one.
_STEP_MS = (1e-3, 86400e3)
_KBIT_PER_S = (1e-3, 1e9)
# FedScale counts a training step as three times an inference.
_TRAINING_OVER_INFERENCE = 3.0


@dataclass(frozen=True)
class DeviceTable:
    """Measured capacities of K devices; what a file does not hold is None."""

    step_ms: Floats | None = None  # [K] time of a training step per sample, or of what stands for it
    down_bytes_per_s: Floats | None = None  # [K]
    up_bytes_per_s: Floats | None = None  # [K]
    source: str = ""  # file and format
    notes: tuple[str, ...] = ()  # what was left out while reading

    def applied(self, drawn: Devices, rng: np.random.Generator) -> Devices:
        """Drawn devices with what the file knows in place of what was drawn.

        Devices of the file are drawn at random with repetition, each with all of its own columns. Step times
        count relative to the file's median. A missing upload keeps the drawn ratio to the download.
        """
        n = drawn.step_factor.size
        columns = [c for c in (self.step_ms, self.down_bytes_per_s, self.up_bytes_per_s) if c is not None]
        pick = rng.integers(columns[0].size, size=n)
        result = drawn
        if self.step_ms is not None:
            result = replace(result, step_factor=self.step_ms[pick] / np.median(self.step_ms))
        if self.down_bytes_per_s is not None:
            down = self.down_bytes_per_s[pick]
            ratio = drawn.up_bytes_per_s / drawn.down_bytes_per_s
            result = replace(result, down_bytes_per_s=down, up_bytes_per_s=down * ratio)
        if self.up_bytes_per_s is not None:
            result = replace(result, up_bytes_per_s=self.up_bytes_per_s[pick])
        return result


def read_devices(path: str | Path) -> DeviceTable:
    """The capacities in a file, recognised by its content.

    Raises:
        ValueError: if the file is not one of the known ones, or holds no usable device.
    """
    if is_pickle(read_bytes(path, limit=16)):
        return _fedscale(path)
    head = read_head(path)
    if "throughput_mbps" in header_cells(head, "throughput_mbps"):
        return _throughput(path)
    if '"down_u"' in head:
        return _flash(path)
    if '"ResNet Latency"' in head:
        return _flhetbench(path)
    if '"tcp_speed_results"' in head:
        return _mobiperf(path)
    raise ValueError(
        f"{path}: not a device file that is known, expected FedScale's capacity pickle, "
        "FLASH's speed_distri, "
        "FLHetBench's training_latency, MobiPerf or 4G/5G throughput"
    )


def _fedscale(path: str | Path) -> DeviceTable:
    """`{id: {computation: ms per sample of inference, communication: kbit/s}}`."""
    document = load_plain(path)
    rows = list(document.values()) if isinstance(document, dict) else []
    if not rows or not all(
        isinstance(row, dict) and {"computation", "communication"} <= row.keys() for row in rows
    ):
        raise ValueError(f"{path}: expected computation and communication of each client")
    step = _measured(path, "computation", [row["computation"] for row in rows], _STEP_MS)
    speed = _measured(path, "communication", [row["communication"] for row in rows], _KBIT_PER_S)
    return DeviceTable(step * _TRAINING_OVER_INFERENCE, speed * 125.0, None, f"{path} (fedscale)")


def _flash(path: str | Path) -> DeviceTable:
    """`{guid: {down_u, up_u, ...}}`, taken as KB/s (the unit is not documented)."""
    document = read_json(path)
    rows = list(document.values()) if isinstance(document, dict) else []
    if not rows or not all(isinstance(row, dict) and {"down_u", "up_u"} <= row.keys() for row in rows):
        raise ValueError(f"{path}: expected down_u and up_u of each device")
    down = _measured(path, "down_u", [row["down_u"] for row in rows], _KBIT_PER_S) * 1000.0
    up = _measured(path, "up_u", [row["up_u"] for row in rows], _KBIT_PER_S) * 1000.0
    return DeviceTable(None, down, up, f"{path} (flash)", ("speeds are taken as KB/s",))


def _flhetbench(path: str | Path) -> DeviceTable:
    """A list of phones with `ResNet Latency` in ms; zeros are invalid."""
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of phones")
    values = [row.get("ResNet Latency") for row in rows]
    real = [value for value in values if isinstance(value, (int, float)) and value > 0]
    notes = (
        (f"{len(values) - len(real)} phones without a latency left out",) if len(real) < len(values) else ()
    )
    step = _measured(path, "ResNet Latency", real, _STEP_MS)
    return DeviceTable(step, None, None, f"{path} (flhetbench)", notes)


def _mobiperf(path: str | Path) -> DeviceTable:
    """A list of measurements whose `tcp_speed_results` are kbit/s; each counts with its median."""
    rows = read_json(path)
    found = [_find(row, "tcp_speed_results") for row in rows] if isinstance(rows, list) else []
    medians = []
    for row in found:
        values = row.strip("[]").split(",") if isinstance(row, str) else row
        if isinstance(values, list) and values:
            medians.append(float(np.median(_measured(path, "tcp_speed_results", values, _KBIT_PER_S))))
    if not medians:
        raise ValueError(f"{path}: no tcp_speed_results")
    note = ("a sample chosen by FLHetBench, not a population",)
    return DeviceTable(None, np.array(medians) * 125.0, None, f"{path} (mobiperf)", note)


def _throughput(path: str | Path) -> DeviceTable:
    """`throughput_mbps` of 4G and 5G download tests; zeros are failed tests."""
    table = read_table(path, ["throughput_mbps"])
    values = table.numbers("throughput_mbps")
    wrong = (values < 0) | (values * 1e3 > _KBIT_PER_S[1])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}:{table.lines[row]}: throughput_mbps is {values[row]:g}, expected 0 to "
            f"{_KBIT_PER_S[1] / 1e3:g}; is the unit another one?"
        )
    real = values[np.isfinite(values) & (values > 0)]
    if not real.size:
        raise ValueError(f"{path}: no throughput above zero")
    notes = (f"{values.size - real.size} failed tests left out", "peak rates over 8 connections: optimistic")
    return DeviceTable(None, real * 125e3, None, f"{path} (throughput)", notes)


def _find(row: object, key: str, depth: int = 3) -> object:
    """The value of a key in nested dictionaries, or None."""
    if not isinstance(row, dict) or depth < 0:
        return None
    if key in row:
        return row[key]
    return next(
        (found for value in row.values() if (found := _find(value, key, depth - 1)) is not None), None
    )


def _measured(path: str | Path, what: str, values: Sequence[object], limits: tuple[float, float]) -> Floats:
    """Numbers within what devices can be.

    Raises:
        ValueError: at the first that is none.
    """
    low, high = limits
    result = np.empty(len(values))
    for index, value in enumerate(values):
        try:
            result[index] = np.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            result[index] = np.nan
        if not low <= result[index] <= high:
            raise ValueError(
                f"{path}: {what}[{index}] is {brief(value)}, expected a number from {low:g} to {high:g}"
            )
    if not result.size:
        raise ValueError(f"{path}: no {what}, expected at least one device")
    return result
