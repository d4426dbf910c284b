"""How far the clients' nodes are trusted: faults are counted, doubts are said once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ....common.arrays import Bools

_LOG = logging.getLogger(__name__)


class Trust:
    """Counts of answers that were wrong.

    Attributes:
        faults: int64 `[N]`, answers that could not be read or did not fit their order.

    Args:
        num_clients: N.
        most_faults: after so many a client is given up; 0 = however many.
    """

    def __init__(self, num_clients: int, most_faults: int) -> None:
        self.faults = np.zeros(num_clients, dtype=np.int64)
        self._most = most_faults
        self._doubted: set[tuple[int, str]] = set()

    @property
    def given_up(self) -> Bools:
        """Bool `[N]`: whose answers were wrong so often that it is not asked any more."""
        too_many: Bools = (self.faults >= self._most) & (self._most > 0)
        return too_many

    def blame(self, client: int, name: str) -> None:
        """Count an answer of a client that was wrong; `name` is its node's."""
        self.faults[client] += 1
        if self.given_up[client]:
            count = int(self.faults[client])
            _LOG.warning("%s (client %d) is not asked any more after %d wrong answers", name, client, count)

    def doubt(self, client: int, name: str, lines: Sequence[str]) -> None:
        """Say what is not believed of what a node says, `field: ...`; of each field once."""
        for line in lines:
            field = line.partition(":")[0]
            if (client, field) not in self._doubted:
                self._doubted.add((client, field))
                _LOG.warning("%s: %s", name, line)
