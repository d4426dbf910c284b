"""Schedulers of one's own, as a user's file would have them; named by the tests as `module:Class`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frugalfl.agents.schedulers.base import Rule, knob, plan_for


class EveryOther:
    """Ten lines: every second client that is there trains ten steps, for four rounds."""

    name = "every-other"

    def reset(self, envs, seeds, num_clients):
        """Nothing to remember."""

    def plan(self, situation):
        chosen = situation.clients.available & (np.arange(situation.num_clients) % 2 == 0)
        return plan_for(situation, chosen, 10, wait_s=np.where(situation.run.round_index >= 4, np.inf, 0.0))


@dataclass(kw_only=True)
class Nearest(Rule):
    """A rule with a knob of its own."""

    name = "nearest"
    closeness: float = knob(0.5, "how much speed counts", low=0.1, high=1.0)

    def scores(self, situation, steps):
        return -self.closeness * situation.clients.step_s


class Crashes(EveryOther):
    """Raises on the second batch of episodes."""

    def reset(self, envs, seeds, num_clients):
        if len(seeds) == 1:
            raise RuntimeError("no luck")


class Dies(EveryOther):
    """Takes its process down."""

    def plan(self, situation):
        os._exit(9)


class Slow(EveryOther):
    """Long enough to be interrupted; tells that it has begun, and in which process."""

    def plan(self, situation):
        mark = Path(os.environ["FRUGALFL_TEST_MARK"])
        mark.with_suffix(".draft").write_text(str(os.getpid()))
        mark.with_suffix(".draft").rename(mark)
        time.sleep(60)
        return super().plan(situation)
