"""How many local steps between two exchanges: fixed, of equal time, by the checkpoint rule, by survival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Bools, Floats, Ints32
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import Situation, survival
from ..base import Everyone, State, knob

_LENGTHS = 24
"""Numbers of steps that are compared, geometrically from 1 to the most."""
_UNIT_STEPS = 10.0
"""Local steps that are one unit of useful work."""


def checkpoint_interval_s(exchange_s: ArrayLike, mean_session_s: ArrayLike) -> Floats:
    """Seconds of work between two exchanges that lose least: `sqrt(2 exchange mean session)`.

    Source: Young, "A First Order Approximation to the Optimum Checkpoint Interval", Communications of the ACM
    17(9), 1974; Daly, "A Higher Order Estimate of the Optimum Checkpoint Interval for Restart Dumps", Future
    Generation Computer Systems 22(3), 2006, refines it where an exchange is no short part of a session.
    """
    product = 2.0 * np.asarray(exchange_s, dtype=np.float64) * np.asarray(mean_session_s)
    return np.asarray(np.sqrt(product))


@dataclass(kw_only=True)
class DilocoH(Everyone):
    """DiLoCo: everybody makes the same fixed number H of local steps between two exchanges.

    Paper: Douillard et al., "DiLoCo: Distributed Low-Communication Training of Language Models", 2023 (arXiv
    2311.08105), with H = 500; Jaghouar et al., "INTELLECT-1 Technical Report", 2024, with H = 100 and 8 bits.
    Without the outer momentum, which is the aggregator's, it is local SGD (Stich, ICLR 2019).
    Needs: availability.
    Aggregation: the world's aggregator; `diloco` in the paper.
    Defaults: H is `local_steps`, 20; `participants` plays no part.
    """

    name: ClassVar[str] = "diloco-h"

    local_steps: int = knob(20, "H, local steps between two exchanges", low=1, high=1000, log=True)


@dataclass(kw_only=True)
class DataParallel(Everyone):
    """Synchronous data parallelism: everybody makes one step, and all bytes move every time.

    Paper: none; the statistical ceiling and the floor of frugality (e.g. Goyal et al., "Accurate, Large
    Minibatch SGD", 2017).
    Needs: availability.
    Aggregation: the world's aggregator.
    Defaults: one step, whatever `local_steps`, `balance` and `decay` say; `participants` plays no part.
    """

    name: ClassVar[str] = "data-parallel"

    def steps_now(self, situation: Situation) -> Ints32:
        """One."""
        return np.ones(situation.clients.available.shape, dtype=np.int32)


@dataclass(kw_only=True)
class EqualTime(Everyone):
    """Equal time for everybody: `H_k = floor(T / step_k)`, so that fast machines make more steps.

    Nobody waits for slow machines, and slow machines take part. Who could not make a single step in T is
    left out.
    Paper: the dynamic local updates of Liu et al., "Asynchronous Local-SGD Training for Language Modeling",
    2024 (arXiv 2401.09135), there as H_k = v_k / v_max H.
    Needs: availability, seconds per step.
    Aggregation: the world's aggregator.
    Defaults: T = half an hour; `local_steps`, `balance`, `decay` and `participants` play no part.
    """

    name: ClassVar[str] = "equal-time"

    work_s: float = knob(1800.0, "T, seconds of computing per round", low=60.0, high=1e6, log=True)

    def steps_now(self, situation: Situation) -> Ints32:
        """As many as fit into T, at least 1."""
        fit = np.floor(self.work_s / situation.clients.step_s + 1e-9)
        return np.clip(fit, 1, self.most_steps).astype(np.int32)

    def candidates(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Bools:
        """Those who can make a step in T."""
        return super().candidates(situation, steps, transfer) & (situation.clients.step_s <= self.work_s)


@dataclass(kw_only=True)
class YoungDaly(Everyone):
    """The checkpoint interval as a number of local steps: `H_k step_k = sqrt(2 exchange_k mean session)`.

    An exchange saves a client's work as a checkpoint does: too seldom loses work with the session, too often
    wastes time on exchanges. An exchange is the download, the upload and the server's overhead. The mean
    session is estimated from what was seen: seconds of presence of all clients over the sessions that ended,
    with `session_s` as if one session of that length had ended before.
    Paper: Young 1974, see `checkpoint_interval_s`.
    Needs: availability, seconds per step, bandwidth, ages of sessions.
    Aggregation: the world's aggregator.
    Defaults: three hours as the first guess; `local_steps`, `balance`, `decay` and `participants` play no
    part.
    """

    name: ClassVar[str] = "young-daly"

    session_s: float = knob(10800.0, "mean session as it is first guessed, s", low=600.0, high=1e6, log=True)
    factor: float = knob(1.0, "factor on the interval", low=0.1, high=10.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds what was seen of sessions."""
        seen: State = {"present_s": np.full(num_envs, self.session_s), "ended": np.ones(num_envs)}
        seen |= {"was_there": np.zeros((num_envs, num_clients), dtype=bool), "seen_at_s": np.zeros(num_envs)}
        return super().fresh_state(num_envs, num_clients) | seen

    @property
    def mean_session_s(self) -> Floats:
        """`[E]`, the estimate."""
        return np.asarray(self.state["present_s"] / self.state["ended"])

    def steps_now(self, situation: Situation) -> Ints32:
        """The interval over the seconds of a step, at least 1."""
        moving_s = situation.round_s(0) + situation.terms.overhead_s[:, None]
        work_s = self.factor * checkpoint_interval_s(moving_s, self.mean_session_s[:, None])
        return np.clip(np.rint(work_s / situation.clients.step_s), 1, self.most_steps).astype(np.int32)

    def _observe(self, situation: Situation) -> None:
        """Count seconds of presence and ends of sessions since the last decision."""
        super()._observe(situation)
        state, now_s = self.state, situation.run.time_s
        passed_s = (now_s - state["seen_at_s"])[:, None]
        # Who is at work for an earlier round is there, though not available.
        there = situation.clients.available | situation.clients.busy
        age_s = np.where(there, situation.clients.session_age_s, 0.0)
        stayed = there & (situation.clients.busy | (age_s >= passed_s))
        was_there = state["was_there"]
        # A session that ended in between lasted for half of the time, as far as anybody knows.
        present_s = np.where(was_there & stayed, passed_s, np.where(was_there, 0.5 * passed_s, 0.0))
        present_s = present_s + np.where(there & ~(was_there & stayed), np.minimum(age_s, passed_s), 0.0)
        state["present_s"] = state["present_s"] + present_s.sum(axis=1)
        state["ended"] = state["ended"] + (was_there & ~stayed).sum(axis=1)
        state["was_there"], state["seen_at_s"] = there, now_s.copy()


@dataclass(kw_only=True)
class SurvivalH(Everyone):
    """Local steps by survival: `H_k = arg max_h P(session outlasts the round of h) g(h) - price(h)`.

    Parcae's liveput, the work to be expected over predicted preemptions, as a number of local steps. P is the
    chance to stay by announced ends and the availability forecast, price(h) what h steps, the bytes and
    the client's hours cost at the present prices, and g(h) = v (h / 10)^`exponent` points. v is what a
    client's ten steps have gained of late: gains of the rounds over their participants' units of work.
    Who is not worth inviting at any h is left out.
    Paper: Duan et al., "Parcae: Proactive, Liveput-Optimized DNN Training on Preemptible Instances", NSDI
    2024.
    Needs: all of the Situation.
    Aggregation: the world's aggregator.
    Defaults: the first rounds gain two points per client; `local_steps`, `balance`, `decay` and
    `participants` play no part.
    """

    name: ClassVar[str] = "survival-h"

    gain: float = knob(2.0, "points that ten steps of a client gain at first", low=0.05, high=20.0, log=True)
    exponent: float = knob(0.5, "gain over local steps", low=0.05, high=1.0)
    smoothing: float = knob(0.3, "weight of the newest round's gain", low=0.02, high=1.0)
    hours_weight: float = knob(1.0, "of the client's hours in its price", low=0.0, high=2.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the worth of a unit of work, the units of the last round, and the accuracy before it."""
        start = {"worth": np.full(num_envs, self.gain), "units": np.zeros(num_envs)}
        return super().fresh_state(num_envs, num_clients) | start | {"before": np.full(num_envs, np.nan)}

    def steps_now(self, situation: Situation) -> Ints32:
        """The best number of steps of each client."""
        return self._best(situation)[0]

    def candidates(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Bools:
        """Those who are worth more than they cost; all others where nobody is."""
        able = super().candidates(situation, steps, transfer)
        worthy = able & (self._best(situation)[1] > 0)
        found: Bools = np.where(worthy.any(axis=1, keepdims=True), worthy, able)
        return found

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Note what is at work now, to be compared with what it gains."""
        units = self._units(self.steps_now(situation))
        self.state["units"] = np.where(trained, units, 0.0).sum(axis=1)
        self.state["before"] = np.where(trained.any(axis=1), 100 * situation.run.accuracy, np.nan)

    def _observe(self, situation: Situation) -> None:
        """Average what a unit of work has gained."""
        super()._observe(situation)
        state = self.state
        known = np.isfinite(state["before"]) & (state["units"] > 0)
        gained = np.maximum(100 * situation.run.accuracy - np.nan_to_num(state["before"]), 0.0)
        newest = gained / np.maximum(state["units"], 1e-12)
        moved = state["worth"] + self.smoothing * (newest - state["worth"])
        state["worth"], state["before"] = np.where(known, moved, state["worth"]), np.full(known.shape, np.nan)

    def _units(self, steps: Ints32) -> Floats:
        return np.asarray((steps / _UNIT_STEPS) ** self.exponent)

    def _best(self, situation: Situation) -> tuple[Ints32, Floats]:
        """Steps `[E, N]` and what they are expected to be worth, net."""
        lengths = np.unique(np.rint(np.geomspace(1, self.most_steps, _LENGTHS)).astype(np.int32))
        shape = situation.clients.available.shape
        steps = np.broadcast_to(lengths[:, None, None], (lengths.size, *shape))
        needed_s = np.stack([situation.round_s(int(h)) for h in lengths])
        price = np.stack([situation.round_points(int(h)) for h in lengths])
        hourly = self.hours_weight * situation.terms.price_per_hour[:, None] / SECONDS_PER_HOUR
        crowd = np.maximum(situation.clients.available.sum(axis=1), 1)[:, None]
        gained = survival(situation, needed_s) * self.state["worth"][:, None] * self._units(steps)
        net = gained - price - hourly * needed_s / crowd  # an hour of the run is shared by all at work
        best = net.argmax(axis=0)[None]
        return lengths[best[0]], np.take_along_axis(net, best, axis=0)[0]
