"""What a node that is asked things is told beside its orders, and what it keeps of its stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from ...common.arrays import AnyArray, Floats, Floats32, Ints, Ints8
from ..data.streams import Tables


@dataclass(frozen=True)
class StreamDay:
    """When and where a federation's requests come, the same in all of its calls."""

    start_utc_s: float  # Unix time of its beginning
    horizon_s: float  # until when there are requests
    utc_offset_h: tuple[float, ...]  # [Z] hours each zone is ahead of UTC


@dataclass(frozen=True)
class StreamCall:
    """What comes with every order to a node that is asked things; times are the federation's, in seconds."""

    now_s: (
        float  # when the order was sent: the node answers what came before, and learns what is known by then
    )
    since_s: float  # when its session began: what came before that nobody has answered, unless it was there
    heard_s: float  # `now_s` of its last report that arrived; -1 = none did
    sent_utc_s: float  # Unix time at `now_s`: how long the order was on its way, a node sees on its own clock
    scale: float  # seconds of federation time per real second
    day: StreamDay  # what its requests follow from, beside the scenario

    def numbers(self) -> dict[str, float | list[float]]:
        """Its fields by name, for a message."""
        mine = {f"stream_{name}": getattr(self, name) for name in _TIMES}
        day = {f"stream_{f.name}": getattr(self.day, f.name) for f in fields(StreamDay)}
        return mine | day | {"stream_utc_offset_h": list(self.day.utc_offset_h)}

    @staticmethod
    def of(said: Mapping[str, object]) -> StreamCall | None:
        """A call from the numbers of a message; None if they say nothing of one."""
        if "stream_now_s" not in said:
            return None
        now = {name: _real(said[f"stream_{name}"]) for name in _TIMES}
        start_utc_s, horizon_s = (_real(said[f"stream_{name}"]) for name in ("start_utc_s", "horizon_s"))
        offsets = said["stream_utc_offset_h"]
        if not isinstance(offsets, list):
            raise ValueError(f"order: stream_utc_offset_h: {offsets!r}, expected a list of hours")
        return StreamCall(**now, day=StreamDay(start_utc_s, horizon_s, tuple(map(_real, offsets))))


_TIMES = ("now_s", "since_s", "heard_s", "sent_utc_s", "scale")


MISSED, WRONG, RIGHT = -1, 0, 1
"""Of a request: nobody was there to answer it, or how it was answered."""


@dataclass(frozen=True)
class StreamMemory:
    """What a node keeps between two orders: its version, its labelled rows, what it has not yet reported."""

    params: Floats32  # [P] the version that it answers with
    session_s: float  # when its session began, by the last call
    last_s: float  # when that was sent
    answered: int  # number of the first request that comes next
    known: int  # number of the first whose label is not known
    pending: Ints8  # [answered - known] `RIGHT`, `WRONG` or `MISSED`, though nobody knows it yet
    tables: Tables  # one client's memory
    report_s: Floats  # [U] times of reports that may not have arrived
    report_answered: Ints  # [U] answers whose labels became known up to each, since the one before
    report_right: Ints  # [U] how many of them were right

    def heard(self, until_s: float) -> StreamMemory:
        """Without the reports that have arrived."""
        left = self.report_s > until_s
        return replace(self, **{name: getattr(self, name)[left] for name in _REPORTS})

    @property
    def report(self) -> tuple[int, int]:
        """The two integers: answers known to the node and not yet to the coordinator, and right ones."""
        return int(self.report_answered.sum()), int(self.report_right.sum())

    def arrays(self) -> dict[str, AnyArray]:
        """Everything, as arrays by name."""
        tables = {f"{_TABLES}{name}": table for name, table in self.tables._asdict().items()}
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "tables"}
        return {name: np.atleast_1d(np.asarray(value)) for name, value in (plain | tables).items()}

    @staticmethod
    def of(arrays: Mapping[str, AnyArray]) -> StreamMemory:
        """What `arrays` made arrays of; KeyError naming what is missing."""
        tables = Tables(*(_shaped(name, arrays[_TABLES + name]) for name in Tables._fields))
        return StreamMemory(
            params=arrays["params"],
            session_s=float(arrays["session_s"][0]),
            last_s=float(arrays["last_s"][0]),
            answered=int(arrays["answered"][0]),
            known=int(arrays["known"][0]),
            pending=arrays["pending"].astype(np.int8),
            tables=tables,
            **{name: arrays[name] for name in _REPORTS},
        )


_REPORTS = ("report_s", "report_answered", "report_right")
_TABLES = "table_"
_SCALARS = ("held", "seen")


def _shaped(name: str, table: AnyArray) -> AnyArray:
    return np.asarray(table[0]) if name in _SCALARS else table


def _real(value: object) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"order: stream: {value!r}, expected a number")
    return float(value)
