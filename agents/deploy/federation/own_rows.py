"""Rows that nodes bring themselves: who does, how many, and how many of them count."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Ints
from ..nodes import NodeProfile


class OwnRows:
    """How many rows of their own the clients' nodes bring; the coordinator knows nothing else of them.

    Attributes:
        samples: int64 `[N]`; 0 = its node plays a part of the scenario's data.

    Args:
        num_clients: N.
        most: of one node that count, so that a claim of a billion rows is not all the weight; 0 = nobody may
            bring any.
    """

    def __init__(self, num_clients: int, most: int) -> None:
        self.samples: Ints = np.zeros(num_clients, dtype=np.int64)
        self._most = most

    def check(self, profile: NodeProfile) -> None:
        """Refuse a node that brings rows where none may; ValueError of one line."""
        if profile.own_samples is not None and not self._most:
            raise ValueError(
                f"data: {profile.own_samples} rows of its own, expected none: nodes play parts of the "
                "scenario's data here; start the federation with --own-samples to let them bring theirs"
            )

    def take(self, client: int, profile: NodeProfile) -> list[str]:
        """Enter what a node says; returns what of it is not believed, one line each."""
        said = profile.own_samples or 0
        self.samples[client] = min(said, self._most)
        if said > self._most:
            return [f"own_samples: {said}, expected at most {self._most}; cut"]
        return []
