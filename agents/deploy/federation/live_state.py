"""A live federation as arrays, for its coordinator to go on with after it was stopped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....common.arrays import AnyArray
from ....envs.episode import Ledger
from ....fl_core.federation import RoundEngine
from .roster import Roster


def federation_state(core: RoundEngine, ledger: Ledger, roster: Roster) -> dict[str, AnyArray]:
    """Model and aggregator, the books, who is who."""
    parts = {"core": core.state(), "ledger": vars(ledger), "roster": roster.state()}
    return {
        f"{part}/{name}": np.array(value) for part, table in parts.items() for name, value in table.items()
    }


def restore_federation(
    core: RoundEngine, ledger: Ledger, roster: Roster, state: Mapping[str, AnyArray]
) -> None:
    """Put `federation_state` into parts built alike; other entries of `state` are not looked at.

    Raises:
        ValueError: it is of another federation.
    """
    parts: dict[str, dict[str, AnyArray]] = {"core": {}, "ledger": {}, "roster": {}}
    for key, value in state.items():
        part, _, name = key.partition("/")
        if name and part in parts:
            parts[part][name] = value
    core.load_state(parts["core"])
    for name, mine in vars(ledger).items():
        found = parts["ledger"].get(name)
        if found is None or found.shape != mine.shape:
            raise ValueError(
                f"checkpoint: ledger/{name} is missing or not of shape {mine.shape}, expected one of this "
                "federation; resume with the settings and the version it was started with"
            )
        mine[...] = found
    roster.load_state(parts["roster"])
