"""Checkpoints of a live federation: written whole or not at all, read without pickle.

`OUT/rounds/000012.npz` holds what was known before decision 12, what was planned and what came of it;
`OUT/state.npz` holds the federation after the last of them. A scheduler's own memory is not saved: it is
rebuilt by showing it the same situations again, which works for every scheduler that keeps the interface.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import AnyArray
from ....common.files import read_json, write_file, write_json
from ....common.reading import read_arrays
from ....envs.contract import RoundOutcome, RoundPlan, Situation

FORMAT = "frugalfl-deployment-1"
_STATE, _ABOUT, _ROUNDS = "state.npz", "deployment.json", "rounds"

Arrays = dict[str, AnyArray]


def save_round(out: Path, number: int, situation: Situation, plan: RoundPlan, outcome: RoundOutcome) -> None:
    """Keep one decision: what was known, ordered and done."""
    parts = {"situation": situation.flat(), "plan": vars(plan), "outcome": vars(outcome)}
    arrays = {
        f"{part}/{name}": np.asarray(value)
        for part, values in parts.items()
        for name, value in values.items()
        if value is not None
    }
    (out / _ROUNDS).mkdir(parents=True, exist_ok=True)
    _write(out / _ROUNDS / f"{number:06d}.npz", arrays)


def load_round(out: Path, number: int) -> tuple[Situation, RoundPlan, RoundOutcome]:
    """A decision that `save_round` kept; ValueError if it is missing or damaged."""
    arrays = _read(out / _ROUNDS / f"{number:06d}.npz")

    def part(name: str) -> Arrays:
        found = {key.partition("/")[2]: value for key, value in arrays.items() if key.startswith(f"{name}/")}
        return {field: _plain(value) for field, value in found.items()}

    return Situation.of(None, **part("situation")), RoundPlan(**part("plan")), RoundOutcome(**part("outcome"))


def save_state(out: Path, state: Arrays, decisions: int, settings: str) -> None:
    """Keep the federation after its last decision, and the settings it was started with."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / _STATE, state | {"decisions": np.array(decisions)})
    write_json(out / _ABOUT, {"format": FORMAT, "settings": settings})


def load_state(out: Path) -> tuple[Arrays, int, str]:
    """The federation's arrays, the decisions made and the settings; ValueError if there is none."""
    about = read_json(out / _ABOUT, "out")
    if about.get("format") != FORMAT:
        raise ValueError(f"out: {out / _ABOUT}: format {about.get('format')!r}, expected {FORMAT!r}")
    arrays = _read(out / _STATE)
    return arrays, int(arrays.pop("decisions")), str(about["settings"])


def has_state(out: Path) -> bool:
    """Whether there is a federation to go on with."""
    return (out / _STATE).is_file()


def _plain(value: AnyArray) -> AnyArray:
    """An array, or the number in one without dimensions."""
    return value if value.ndim else value[()]


def _write(path: Path, arrays: Arrays) -> None:
    write_file(path, lambda draft: np.savez(draft, **arrays))  # type: ignore[arg-type]


def _read(path: Path) -> Arrays:
    try:
        return read_arrays(path)
    except ValueError as error:
        raise ValueError(f"checkpoint: {error}") from None
