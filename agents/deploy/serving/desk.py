"""What the steps of a live world of serving share, and what each is seen to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.serving import SlotStates
from ..transport import Clock
from .book import RequestBook
from .courier import Courier
from .judge import Judge
from .stopwatch import Stopwatch


@dataclass
class Record:
    """What a step was seen to do."""

    local: Floats  # [S] answers of each slot
    compute_s: Floats  # [S] real seconds that they took
    moved_bytes: Floats  # [S] to each slot and back
    bins: Floats  # [3, I, T] slots' answers by confidence: all, asked, agreed
    hub: int = 0  # answers of the hub to requests that no slot had room for
    asked: int = 0  # and to slots that were not sure
    late: int = 0  # answers that came after their requests had been answered elsewhere
    loaded: int = 0
    lost: int = 0  # models and loads that went with their nodes
    waited: int = 0  # answers that somebody waited for
    measured_ms: float = 0.0  # real milliseconds of these, summed
    nominal_ms: float = 0.0  # what the profile says of them


@dataclass(frozen=True)
class Desk:
    """What one step leaves to the next."""

    book: RequestBook
    slots: SlotStates
    courier: Courier
    judge: Judge
    stopwatch: Stopwatch
    node: Ints  # [S] the client that each slot is a part of
    left: Floats  # [N] how often each client had left when its slots were last looked at
    clock: Clock
    poll_s: float

    @property
    def place(self) -> Ints:
        """`[S]`, the number of each slot among those of its node."""
        return np.arange(self.node.size) - np.searchsorted(self.node, self.node)
