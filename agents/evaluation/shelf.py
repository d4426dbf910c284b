"""Worlds to play in, built once for each size of batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias, overload

from typing_extensions import TypeVar

from ...common.splits import Split
from ...envs.any_world import AnySource, load_any, make_any_world
from ...envs.contract import SimulatedWorld
from ...envs.scenario import Scenario
from ...envs.serving import ServingWorld

AnyWorld: TypeAlias = SimulatedWorld | ServingWorld
"""A batch of worlds, of training or of serving."""
MakeWorld: TypeAlias = Callable[[int], AnyWorld]
"""Builds worlds of so many environments."""
WorldT = TypeVar("WorldT", default=AnyWorld)


@overload
def make_worlds(scenario: Scenario, split: Split) -> Callable[[int], SimulatedWorld]: ...
@overload
def make_worlds(scenario: AnySource, split: Split) -> MakeWorld: ...
def make_worlds(scenario: AnySource, split: Split) -> MakeWorld:
    """A builder of worlds of one scenario and split."""
    loaded = load_any(scenario)
    return lambda num_envs: make_any_world(loaded, num_envs, split)


class WorldShelf(Generic[WorldT]):
    """Worlds by batch size, built once and reset for each use.

    Args:
        make_world: builds them.
        leakage: whether somebody listens to them.
    """

    def __init__(self, make_world: Callable[[int], WorldT], leakage: bool = False):
        self._make_world, self.leakage = make_world, leakage
        self._worlds: dict[int, WorldT] = {}

    def take(self, num_envs: int) -> WorldT:
        """The worlds of a batch of so many episodes."""
        if num_envs not in self._worlds:
            self._worlds[num_envs] = self._make_world(num_envs)
        return self._worlds[num_envs]
