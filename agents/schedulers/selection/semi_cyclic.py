"""Semi-cyclic selection: only clients of the current block of hours train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import IDLE_WAIT_S, Rule, knob, top_m


@dataclass(kw_only=True)
class SemiCyclic(Rule):
    """Semi-cyclic selection: only clients of the current block of hours train (Eichner et al. 2019).

    The day is cut into blocks; m clients of the present block train, drawn uniformly.
    Paper: Eichner, Koren, McMahan, Srebro & Talwar, "Semi-Cyclic Stochastic Gradient Descent", ICML 2019. A
    client belongs to the block in which it is `opens_h` o'clock at its zone (`by="hour"`: it may train for
    24 / blocks hours from then on, local time), or zones are dealt to the blocks of the UTC day in turn
    (`by="zone"`). One model is trained along the sequence, which can be far off for every block but the last;
    the paper's pluralistic remedy, a model per block, is a matter of what is deployed, not of who trains.
    When nobody's block is open it waits for the next one to open; an open block with nobody there waits as
    every rule does.
    Needs: the hour, zones, availability.
    Aggregation: the world's aggregator.
    Defaults: 6 blocks of 4 hours as in the paper's experiment, opening at midnight, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "semi-cyclic"

    blocks: int = knob(6, "blocks of the day, m in the paper", low=1, high=12)
    by: str = knob("hour", "whose block it is", choices=("hour", "zone"))
    opens_h: float = knob(0.0, "local hour at which a zone's block opens", low=0.0, high=23.75)

    def opens_in_h(self, situation: Situation) -> Floats:
        """Hours `[E, N]` until a client's block opens; 0 or less, back to the opening, while it is open."""
        length_h = 24.0 / self.blocks
        if self.by == "zone":
            opening_h = situation.clients.zone % self.blocks * length_h
            since_h = (situation.run.utc_hour[:, None] - opening_h) % 24.0
        else:
            local_h = np.take_along_axis(situation.zones.local_hour, situation.clients.zone, axis=1)
            since_h = (local_h - self.opens_h) % 24.0
        return np.where(since_h < length_h, -since_h, 24.0 - since_h)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Draw m of those whose block is open."""
        return top_m(self.uniforms(), wanted, allowed & (self.opens_in_h(situation) <= 0))

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """As the base class, but until the next block opens where none is open."""
        wait_s = super()._wait(situation, chosen)
        until_h = self.opens_in_h(situation).min(axis=1)
        closed = (wait_s == IDLE_WAIT_S) & ~chosen.any(axis=1) & (until_h > 0)
        return np.where(closed, np.maximum(3600.0 * until_h, IDLE_WAIT_S), wait_s)
