"""No training at all: the zero line of every comparison."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Ints
from ....envs.contract import STOP_S, RoundPlan, SchedulerKind, Situation
from ..base import plan_for


class Never:
    """No training at all: ends the run at once, gains no accuracy and is charged nothing.

    Ends the run at once: no accuracy gained, nothing charged. A scheduler below it had better not train.
    Paper: none. Needs: nothing. Defaults: none.
    """

    name: ClassVar[str] = "never"
    kind: ClassVar[SchedulerKind] = "handcrafted"
    clairvoyant: ClassVar[bool] = False

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Nothing to reset."""

    def plan(self, situation: Situation) -> RoundPlan:
        """Stop."""
        return plan_for(situation, np.zeros(situation.clients.available.shape, dtype=bool), 1, wait_s=STOP_S)
