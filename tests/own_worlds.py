"""Plain worlds that the tests own: one of each packaged kind, with nothing drawn and nothing to set up.

Tests of mechanics play in these, so that they do not depend on how the packaged worlds are tuned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from frugalfl.envs.scenario import Scenario, load_scenario
from frugalfl.envs.world import FederatedWorld

FOLDER = Path(__file__).with_name("worlds")


def plain(name: str, **changes: object) -> Scenario:
    """The tests' own world of a packaged world's name, with changes as `load_scenario` takes them."""
    return load_scenario(FOLDER / f"{name}.yaml", **changes)


def begun(scenario: Scenario, seeds: ArrayLike) -> FederatedWorld:
    """A world of one environment per seed, at the start of its episodes."""
    each = np.asarray(seeds)
    world = FederatedWorld(scenario, len(each))
    world.reset(np.ones(len(each), dtype=bool), each)
    return world
