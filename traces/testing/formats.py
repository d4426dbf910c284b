"""The battery for trace formats: recognition, records, round trip, refusals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..formats import ARRIVAL_EXAMPLES, AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, HOSTILE, Format, Formats
from ..formats.arrivals import ARRIVAL_FORMATS, read_arrivals, write_arrivals
from ..formats.availability import AVAILABILITY_FORMATS, read_availability, write
from ..formats.carbon import CARBON_FORMATS, read_carbon, write_own
from ..records import AvailabilityTrace, CarbonSeries, RequestTrace
from .damage import damaged, refusal

T = TypeVar("T")


def check_trace_format(fmt: Format[T], example_path: str | Path) -> None:
    """Check a format on a valid example of it.

    It recognises its example before all others, and recognises no example of theirs; what it reads keeps the
    promises of its record and comes back from the project's own CSV without loss; damaged and hostile files
    end in a ValueError of one line.

    Args:
        fmt: the format, a member of `AVAILABILITY_FORMATS`, `CARBON_FORMATS` or `ARRIVAL_FORMATS`.
        example_path: a valid file.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    path, name = Path(example_path), fmt.name
    kind = next((one for one in _KINDS if name in one.formats and one.formats.find(name) is fmt), None)
    assert kind is not None, (
        f"{name}: not in a table; AVAILABILITY_FORMATS.add(...), CARBON_FORMATS.add(...) or "
        "ARRIVAL_FORMATS.add(...) it first"
    )
    if fmt.recognises is not None:
        found = kind.formats.of_file(path)
        assert found is not None, f"{name}: nobody recognises {path}"
        assert found.name == name, f"{name}: {path} is taken for {found.name!r}"
        _check_recognises_nothing_else(fmt, kind)
    kind.check(kind.read(path, name), name)
    _check_refusals(fmt, path.read_bytes(), kind)


def _check_recognises_nothing_else(fmt: Format[T], kind: _Kind) -> None:
    """Files of other formats, of all kinds, are none of its own."""
    table = Formats(fmt.name, fmt)
    for one in _KINDS:
        for other, content in one.examples.items():
            if one is kind and other == fmt.name:
                continue
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "other"
                file.write_bytes(content)
                try:
                    taken = table.of_file(file) is not None
                except ValueError:
                    taken = False
                assert not taken, f"{fmt.name}: takes a file of format {other!r} for its own"


def _check_availability_record(trace: AvailabilityTrace, name: str) -> None:
    trace.validate()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.csv"
        write(trace, copy)
        again = read_availability(copy, "csv")
    assert again.users == trace.users, f"{name}: users do not come back from the project's own CSV"
    for column in ("user", "begin_s", "end_s", "session_recording", "session_start_s", "session_end_s"):
        same = np.array_equal(getattr(again, column), getattr(trace, column))
        assert same, f"{name}: {column} does not come back from the project's own CSV"
    assert again.clock == trace.clock, f"{name}: clock {trace.clock!r} does not come back"


def _check_carbon_record(series: list[CarbonSeries], name: str) -> None:
    assert series, f"{name}: no zone, expected at least one"
    plain = [replace(one.validate(), provider_g_per_kwh=None) for one in series]
    long = [one for one in plain if one.g_per_kwh.size > 1]  # one row alone does not show its step
    if not long:
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.csv"
        write_own(long, copy)
        again = read_carbon(copy, "csv")
    for before, after in zip(long, again, strict=True):
        assert (before.zone, before.kind) == (after.zone, after.kind), (
            f"{name}: {before.zone} does not come back"
        )
        assert (before.first_utc_s, before.step_s) == (after.first_utc_s, after.step_s), (
            f"{name}: times differ"
        )
        assert np.array_equal(before.g_per_kwh, after.g_per_kwh), f"{name}: values do not come back"


def _check_requests_record(trace: RequestTrace, name: str) -> None:
    trace.validate()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.csv"
        write_arrivals(trace, copy)
        again = read_arrivals(copy, "csv")
    assert again.sources == trace.sources, f"{name}: sources do not come back from the project's own CSV"
    assert np.array_equal(again.counts, trace.counts), f"{name}: counts do not come back"
    assert (again.clock, again.begin_s) == (trace.clock, trace.begin_s), (
        f"{name}: the clock does not come back"
    )


def _check_refusals(fmt: Format[T], content: bytes, kind: _Kind) -> None:
    """Hostile files are refused; damaged ones are read or refused, in one line either way."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "damaged"
        for what, hostile in {"an empty file": b"", **HOSTILE}.items():
            file.write_bytes(hostile)
            assert refusal(kind.read, file, fmt.name) is not None, f"{fmt.name}: accepts {what}"
        for _ in range(60):
            file.write_bytes(damaged(content, rng))
            refusal(kind.read, file, fmt.name)


@dataclass(frozen=True)
class _Kind:
    """One kind of traces: its formats, a file of each, their reader, and the check of what it reads."""

    formats: Formats[Any]
    examples: Mapping[str, bytes]
    read: Callable[[str | Path, str], Any]
    check: Callable[[Any, str], None]


_KINDS = (
    _Kind(AVAILABILITY_FORMATS, AVAILABILITY_EXAMPLES, read_availability, _check_availability_record),
    _Kind(CARBON_FORMATS, CARBON_EXAMPLES, read_carbon, _check_carbon_record),
    _Kind(ARRIVAL_FORMATS, ARRIVAL_EXAMPLES, read_arrivals, _check_requests_record),
)
