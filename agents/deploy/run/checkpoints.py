"""Checkpoints of a live federation: written whole or not at all, read without pickle.

`OUT/deployment.json` comes first and holds the settings. `OUT/rounds/000012.npz` holds what was known before
decision 12, what was planned, what came of it, and the figures that tables show of it; `OUT/state.npz` holds
the federation after the last of them. A scheduler's own memory is not saved: it is rebuilt by showing it the
same situations again, which works for every scheduler that keeps the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ....common.arrays import AnyArray
from ....common.files import read_json, read_npz, write_json, write_npz
from ....envs.contract import RoundOutcome, RoundPlan, Served, Situation, StreamFacts
from ....fl_core.remote import KEPT_ABOUT, KEPT_FORMAT, KEPT_STATE

_ROUNDS, _FIGURES, _STREAM = "rounds", "figures", "stream."

Arrays = dict[str, AnyArray]
Decision = TypeVar("Decision")
Record = TypeVar("Record", StreamFacts, Served)


def begin_folder(out: Path, settings: str) -> None:
    """Claim the folder of a new federation: the file that it is known by is the first one there."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / KEPT_ABOUT, {"format": KEPT_FORMAT, "settings": settings})


def save_round(
    out: Path,
    number: int,
    situation: Situation,
    plan: RoundPlan,
    outcome: RoundOutcome,
    figures: Mapping[str, float],
) -> None:
    """Keep one decision: what was known, ordered and done, and the figures that tables show of it."""
    known, done = _with(situation.flat(), situation.stream), _with(vars(outcome), outcome.served)
    save_parts(out, number, known, vars(plan), done, figures)


def save_parts(
    out: Path,
    number: int,
    situation: Mapping[str, object],
    plan: Mapping[str, object],
    outcome: Mapping[str, object],
    figures: Mapping[str, float],
) -> None:
    """Keep one decision of any kind of world, its parts as arrays by name; see `save_round`."""
    parts = {"situation": situation, "plan": plan, "outcome": outcome, _FIGURES: figures}
    arrays = {
        f"{part}/{name}": np.asarray(value)
        for part, values in parts.items()
        for name, value in values.items()
        if value is not None
    }
    (out / _ROUNDS).mkdir(parents=True, exist_ok=True)
    write_npz(_round(out, number), arrays, compress=False)


def load_round(out: Path, number: int) -> tuple[Situation, RoundPlan, RoundOutcome]:
    """A decision that `save_round` kept; ValueError if it is missing or damaged."""

    def build(situation: Arrays, plan: Arrays, outcome: Arrays) -> tuple[Situation, RoundPlan, RoundOutcome]:
        return (
            Situation.of(None, _stream(situation, StreamFacts), **_apart(situation)),
            RoundPlan(**plan),
            RoundOutcome(served=_stream(outcome, Served), **_apart(outcome)),
        )

    return load_parts(out, number, build)


def load_parts(out: Path, number: int, build: Callable[[Arrays, Arrays, Arrays], Decision]) -> Decision:
    """What a function makes of situation, plan and outcome as `save_parts` kept them.

    Raises:
        ValueError: they are missing or damaged.
    """
    path = _round(out, number)
    arrays = read_npz(path, "checkpoint")
    try:
        return build(*(_part(arrays, name) for name in ("situation", "plan", "outcome")))
    except (TypeError, KeyError) as error:
        raise ValueError(f"checkpoint: {path}: not a decision of this version ({error})") from None


def load_figures(out: Path, number: int) -> dict[str, float]:
    """The figures that `save_round` kept; ValueError if they are missing or damaged."""
    path = _round(out, number)
    try:
        return {name: float(value) for name, value in _part(read_npz(path, "checkpoint"), _FIGURES).items()}
    except TypeError as error:
        raise ValueError(f"checkpoint: {path}: not figures of a decision ({error})") from None


def save_state(out: Path, state: Arrays, decisions: int) -> None:
    """Keep the federation after its last decision."""
    write_npz(out / KEPT_STATE, state | {"decisions": np.array(decisions)}, compress=False)


def load_settings(out: Path) -> str:
    """The settings that the federation in a folder was begun with; ValueError if there is none."""
    about = read_json(out / KEPT_ABOUT, "out")
    if about.get("format") != KEPT_FORMAT:
        raise ValueError(f"out: {out / KEPT_ABOUT}: format {about.get('format')!r}, expected {KEPT_FORMAT!r}")
    return str(about.get("settings"))


def load_state(out: Path) -> tuple[Arrays, int, str]:
    """The federation's arrays, the decisions made and the settings; ValueError if there is none."""
    settings, arrays = load_settings(out), read_npz(out / KEPT_STATE, "checkpoint")
    if "decisions" not in arrays or arrays["decisions"].shape != ():
        raise ValueError(f"checkpoint: {out / KEPT_STATE}: not the state of a federation")
    return arrays, int(arrays.pop("decisions")), settings


def has_state(out: Path) -> bool:
    """Whether there is a federation to go on with."""
    return (out / KEPT_STATE).is_file()


def _with(values: Mapping[str, object], stream: StreamFacts | Served | None) -> dict[str, object]:
    """Fields by name, with those of what is served or known of requests, of which no part may be a record."""
    own = {name: value for name, value in values.items() if name != "served"}
    return own | {
        f"{_STREAM}{name}": value for name, value in ({} if stream is None else vars(stream)).items()
    }


def _apart(arrays: Arrays) -> Arrays:
    """The fields without those of what is served or known of requests."""
    return {name: value for name, value in arrays.items() if not name.startswith(_STREAM)}


def _stream(arrays: Mapping[str, Any], kind: type[Record]) -> Record | None:
    """What is served or known of requests among the fields of a part; None in worlds without."""
    found = {name.removeprefix(_STREAM): each for name, each in arrays.items() if name.startswith(_STREAM)}
    return kind(**found) if found else None


def _plain(value: AnyArray) -> AnyArray:
    """An array, or the number in one without dimensions."""
    return value if value.ndim else value[()]


def _round(out: Path, number: int) -> Path:
    return out / _ROUNDS / f"{number:06d}.npz"


def _part(arrays: Arrays, name: str) -> Arrays:
    """The arrays of one part of a round, by their own names."""
    found = {key.partition("/")[2]: value for key, value in arrays.items() if key.startswith(f"{name}/")}
    return {field: _plain(value) for field, value in found.items()}
