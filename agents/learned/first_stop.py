"""When a trained policy may end a run: as in its training."""

from __future__ import annotations

from collections.abc import Mapping


def first_stop_of(world: Mapping[str, object]) -> int:
    """Training rounds before which the end of a run is masked, for a policy and for its training.

    The package's own networks begin with a bias against ending a run, and learn to end early where nothing
    is worth its price: for them it is never masked, unless the world of their training says so.

    Args:
        world: keyword arguments of the training environments, `levels` perhaps among them.
    """
    levels = world.get("levels")
    first_stop = levels.get("first_stop", 0) if isinstance(levels, Mapping) else 0
    return first_stop if isinstance(first_stop, int) else 0
