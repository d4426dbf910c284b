"""Home Assistant history: states of presence trackers and on/off sensors, JSON of its API or CSV download."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ...records import AvailabilityTrace, flat_trace, sessions_of_changes
from ..parsing import brief, header_cells, lines_within, read_json, read_table, read_text, utc_times

_COLUMNS = ("entity_id", "state", "last_changed")
# What each kind of entity says when it is there; everything else that it says means that it is not.
_THERE = {
    "binary_sensor": "on",
    "device_tracker": "home",
    "input_boolean": "on",
    "person": "home",
    "switch": "on",
}
_UNKNOWN = ("unavailable", "unknown", "")


class _States(NamedTuple):
    """Rows of a history."""

    entity: list[str]  # [K]
    state: list[str]  # [K]
    time_s: Floats  # [K]
    lines: Ints  # [K]


def recognises(head: str) -> bool:
    """Whether the header is that of the CSV, or the beginning a list of lists of states."""
    start = head.lstrip()
    if start.startswith("["):
        return start[1:].lstrip().startswith("[") and '"entity_id"' in head and '"last_changed"' in head
    return set(_COLUMNS) <= set(header_cells(head, *_COLUMNS))


def read(path: str | Path) -> AvailabilityTrace:
    """Read states; a client is an entity, available while it is `on` (sensors, switches) or `home` (people).

    What is `unavailable` or `unknown` was not observed: it ends a recording. Every state holds until the next
    one, the last until the file's last change. Entities of other kinds are left out and counted.
    The JSON is that of `/api/history/period` (developers.home-assistant.io/docs/api/rest), the CSV
    `entity_id,state,last_changed` that of the history panel's download (home-assistant/frontend 19428).

    Raises:
        ValueError: with path and line number.
    """
    states = _csv(path) if not read_text(path).lstrip().startswith("[") else _json(path)
    domains = [entity.partition(".")[0] for entity in states.entity]
    ours = np.array([domain in _THERE for domain in domains])
    if not ours.any():
        raise ValueError(
            f"{path}:{states.lines[0]}: entity_id is {brief(states.entity[0])}, expected one of "
            f"{', '.join(_THERE)}: other entities do not say whether somebody is there"
        )
    rows = np.flatnonzero(ours)
    left_out = {states.entity[row] for row in np.flatnonzero(~ours)}
    entities = list(dict.fromkeys(states.entity[row] for row in rows))
    index = {name: number for number, name in enumerate(entities)}
    owner = np.array([index[states.entity[row]] for row in rows])
    said = [states.state[row].strip().lower() for row in rows]
    there = np.array([text == _THERE[domains[row]] for text, row in zip(said, rows, strict=True)])
    known = np.array([text not in _UNKNOWN for text in said])
    found = _stretches(owner, states.time_s[rows], known, there, states.lines[rows])
    if not found.user.size:
        raise ValueError(f"{path}: no span of time with known states, expected at least two changes")
    notes = [f"{len(left_out)} entities that do not say on or home left out"] if left_out else []
    notes += (
        [f"{int((~known).sum())} times unavailable or unknown: not observed until the next state"]
        if (not known.all())
        else []
    )
    return flat_trace(
        tuple(entities[user] for user in np.unique(found.user)),
        np.unique(found.user, return_inverse=True)[1],
        found.begin_s,
        found.end_s,
        found.owner,
        found.start_s,
        found.stop_s,
        clock="utc",
        simultaneous=True,
        source=f"{path} (home-assistant)",
        notes=(*notes, "the last states hold until the file's last change"),
        unit="ISO 8601",
        lines=found.lines,
    )


class _Stretches(NamedTuple):
    """Recordings of known states, and the sessions in them."""

    user: Ints  # [R]
    begin_s: Floats  # [R]
    end_s: Floats  # [R]
    owner: Ints  # [K]
    start_s: Floats  # [K]
    stop_s: Floats  # [K]
    lines: Ints  # [K]


def _stretches(owner: Ints, time_s: Floats, known: Bools, there: Bools, lines: Ints) -> _Stretches:
    """Cut the states of each entity where they are not known."""
    order = np.lexsort((time_s, owner))
    owner, time_s, lines = owner[order], time_s[order], lines[order]
    known, there = known[order], there[order]
    fresh = np.ones(owner.size, dtype=bool)
    fresh[1:] = owner[1:] != owner[:-1]
    begins = known & (fresh | np.concatenate([[True], ~known[:-1]]))
    recording = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    until = np.append(time_s[1:], 0.0)
    until[np.append(fresh[1:], True)] = time_s.max(initial=0.0)
    end_s = np.zeros(first.size)
    np.maximum.at(end_s, recording[known], until[known])
    found = sessions_of_changes(recording[known], time_s[known], there[known], lines[known], end_s)
    lasting = end_s > time_s[first]
    place = np.cumsum(lasting) - 1
    keep = lasting[found.owner]
    return _Stretches(
        owner[first][lasting],
        time_s[first][lasting],
        end_s[lasting],
        place[found.owner[keep]],
        found.start_s[keep],
        found.stop_s[keep],
        found.lines[keep],
    )


def _csv(path: str | Path) -> _States:
    table = read_table(path, _COLUMNS)
    entity, state = (table.cells(name).tolist() for name in _COLUMNS[:2])
    return _States(entity, state, table.utc_times("last_changed"), table.lines)


def _json(path: str | Path) -> _States:
    import pandas as pd

    document = read_json(path)
    if not isinstance(document, list) or not all(isinstance(group, list) for group in document):
        raise ValueError(f"{path}:1: expected a list with a list of states for each entity")
    where = lines_within(path, sum(map(len, document)))
    entity: list[str] = []
    state: list[str] = []
    stamps: list[str] = []
    for group in document:
        name: object = None
        for row in group:
            line = where[len(entity)]
            if not isinstance(row, dict):
                raise ValueError(f"{path}:{line}: {brief(row)}, expected a state")
            # Minimal answers name the entity in the first of its states only.
            name = row.get("entity_id", name)
            said, time = row.get("state"), row.get("last_changed", row.get("last_updated"))
            if not (isinstance(name, str) and isinstance(said, str) and isinstance(time, str)):
                raise ValueError(f"{path}:{line}: expected texts as {', '.join(_COLUMNS)}")
            entity.append(name)
            state.append(said)
            stamps.append(time.strip())
    if not entity:
        raise ValueError(f"{path}:1: no state, expected at least one entity with its states")
    return _States(
        entity, state, utc_times(path, pd.Series(stamps, dtype=object), "last_changed", where), where
    )
