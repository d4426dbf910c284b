"""A live federation as arrays, for its coordinator to go on with after it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....common.arrays import AnyArray

if TYPE_CHECKING:
    from .live_world import LiveWorld


def federation_state(world: LiveWorld) -> dict[str, AnyArray]:
    """Model and aggregator, the books, who is who, the clock."""
    parts: dict[str, dict[str, Any]] = {
        "core": world.core.state(),
        "ledger": dict(vars(world.ledger)),
        "roster": world.roster.state(),
    }
    arrays = {
        f"{part}/{name}": np.array(value) for part, table in parts.items() for name, value in table.items()
    }
    return arrays | {"time_s": np.array(world.clock.now()), "running": np.array(world.running)}


def restore_federation(world: LiveWorld, state: Mapping[str, AnyArray]) -> None:
    """Put `federation_state` into a world built alike.

    Raises:
        ValueError: it is of another federation.
    """
    parts: dict[str, dict[str, AnyArray]] = {"core": {}, "ledger": {}, "roster": {}}
    for key, value in state.items():
        part, _, name = key.partition("/")
        if name and part in parts:
            parts[part][name] = value
    world.core.load_state(parts["core"])
    for name, mine in vars(world.ledger).items():
        found = parts["ledger"].get(name)
        if found is None or found.shape != mine.shape:
            raise ValueError(f"checkpoint: ledger/{name} is missing or not of shape {mine.shape}")
        mine[...] = found
    world.roster.load_state(parts["roster"])
    world.running = bool(state["running"])
    world.restored()
