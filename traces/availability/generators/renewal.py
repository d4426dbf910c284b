"""Alternating renewal processes whose clock runs faster and slower over the day or the week.

A client is on and off in turns. Each stay has an amount of *work*, drawn from a law, and ends when the
cumulative hazard of the hours passed has done that work. With exponential work this is the inhomogeneous
two-state Markov chain; with a constant hazard it is the plain semi-Markov process. All clients move from
one event to the next together; there is no time slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma

import numpy as np

from ....common.arrays import Bools, Floats
from ....common.sizes import MOST_VALUES, check_values
from ..episode import Sessions
from .renewal_kernels import (
    ClockTable,
    Rates,
    Stays,
    Work,
    first_stays,
    hours_after,
    padded_sessions,
    play_stays,
)

# Hours without any hazard would make the clock impossible to invert.
_LEAST_RATE_PER_H = 1e-6
# Several arrays hold each of them.
_MOST_STAYS = MOST_VALUES / 8


@dataclass(frozen=True)
class Law:
    """A law of stays with mean one.

    Attributes:
        kind: "exponential", "weibull" or "lognormal".
        shape: Weibull shape k, or the standard deviation of the logarithm; unused otherwise.
    """

    kind: str = "exponential"
    shape: float = 1.0

    def draw(self, rng: np.random.Generator, size: tuple[int, ...] | int) -> Floats:
        """Stays from their beginning."""
        if self.kind == "lognormal":
            return np.exp(self.shape * rng.standard_normal(size) - self.shape**2 / 2.0)
        work = rng.standard_exponential(size)
        if self.kind == "weibull":
            return work ** (1.0 / self.shape) / gamma(1.0 + 1.0 / self.shape)
        return work

    def draw_running(self, rng: np.random.Generator, size: int) -> tuple[Floats, Floats]:
        """The age and the rest of stays that are found running at a random moment.

        The whole stay then has the length-biased law (for a log-normal one: its logarithm moved by
        sigma^2; for a Weibull one: its k-th power is Gamma(1 + 1/k)), and the moment is uniform in it.
        """
        if self.kind == "lognormal":
            whole = np.exp(self.shape * rng.standard_normal(size) + self.shape**2 / 2.0)
        elif self.kind == "weibull":
            k = self.shape
            whole = rng.standard_gamma(1.0 + 1.0 / k, size) ** (1.0 / k) / gamma(1.0 + 1.0 / k)
        else:
            whole = rng.standard_gamma(2.0, size)
        age = whole * rng.random(size)
        return age, whole - age


class Clock:
    """Cumulative hazard of a rate that is constant within hours and repeats after a day or a week.

    Args:
        rate_per_h: `[P]`, P = 1, 24 or 168.
    """

    def __init__(self, rate_per_h: Floats):
        rate = np.maximum(np.asarray(rate_per_h, dtype=np.float64), _LEAST_RATE_PER_H)
        self.period_h = float(rate.size)
        hours = np.arange(rate.size + 1, dtype=np.float64)
        self.table = ClockTable(hours, np.concatenate([[0.0], np.cumsum(rate)]), self.period_h)

    def after(self, hour: Floats, work: Floats) -> Floats:
        """The hour at which `work` more (or less, if negative) has been done than at `hour`."""
        hours: Floats = hours_after(hour, work, self.table)
        return hours


@dataclass(frozen=True)
class Alternation:
    """A population's law of being on and off in turns.

    Attributes:
        up: clock of the hazard off -> on.
        down: clock of the hazard on -> off.
        on: law of the work of an on-stay.
        off: law of the work of an off-stay.
    """

    up: Clock
    down: Clock
    on: Law
    off: Law

    def sample(
        self,
        hour: Floats,
        share_on: Floats,
        up_factor: Floats,
        down_factor: Floats,
        horizon_h: float,
        rng: np.random.Generator,
        sudden_per_h: float = 0.0,
    ) -> tuple[Sessions, Bools]:
        """Sessions of N clients over `[0, horizon]`, begun in the middle of their lives.

        Args:
            hour: `[N]`, each client's hour on the clocks at t = 0.
            share_on: `[N]`, probability of being on at t = 0.
            up_factor: `[N]`, factor on the hazard off -> on.
            down_factor: `[N]`, factor on the hazard on -> off.
            horizon_h: hours to cover.
            rng: the only source of chance.
            sudden_per_h: hazard of a withdrawal that is not part of the law.

        Returns:
            The sessions (none announced) and bool `[N, S]`, which of them end by the law (not suddenly).
        """
        n = hour.size
        uniform = rng.random(n)
        on_age, on_rest = self.on.draw_running(rng, n)
        _, off_rest = self.off.draw_running(rng, n)
        up, down, last = self.up.table, self.down.table, hour + horizon_h
        rates = Rates(hour, last, up_factor, down_factor)
        on0, coming = first_stays(uniform, share_on, on_age, off_rest, rates, up, down)
        blocks: list[tuple[Floats, Floats, Bools]] = []
        over = False
        while not over:
            work = self._draw_block(rng, n, horizon_h, sudden_per_h)
            shape = work.on.shape
            stays = Stays(coming, np.empty(shape), np.empty(shape), np.empty(shape, dtype=bool))
            rows, over = play_stays(not blocks, rates, on0, on_rest, work, up, down, stays)
            blocks.append((stays.starts[:rows], stays.ends[:rows], stays.natural[:rows]))
            made = sum(len(starts) for starts, _, _ in blocks)
            what = f"availability: stays of {n} clients within {horizon_h:g} h"
            check_values(what, made, n, do="take longer stays or fewer hours", most=_MOST_STAYS)
        if len(blocks) > 1:
            starts, ends, natural = (np.concatenate(part) for part in zip(*blocks, strict=True))
        else:
            starts, ends, natural = blocks[0]
        start_s, end_s, by_law = padded_sessions(starts, ends, natural, hour, last)
        return Sessions(start_s, end_s, np.zeros(by_law.shape, dtype=bool)), by_law

    def _draw_block(self, rng: np.random.Generator, n: int, horizon_h: float, sudden_per_h: float) -> Work:
        """Work of the next stays of all clients; one call of the generator for many transitions."""
        rows = int(min(8 + horizon_h / 4.0, 64))
        sudden = rng.standard_exponential((rows, n)) if sudden_per_h > 0 else np.empty((rows, 0))
        return Work(self.on.draw(rng, (rows, n)), self.off.draw(rng, (rows, n)), sudden, float(sudden_per_h))
