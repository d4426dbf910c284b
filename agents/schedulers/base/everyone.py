"""What the rules that invite every available client share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from .rule import Rule


@dataclass(kw_only=True)
class Everyone(Rule):
    """Invites all allowed clients; `participants` and `over_selection` play no part."""

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """All allowed clients."""
        return allowed.copy()

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        return np.full(chosen.shape[0], self.quorum)
