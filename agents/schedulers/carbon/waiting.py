"""Temporal shifting: wait for clean hours (Let's Wait Awhile) or scale with them (CarbonScaler)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import STOP_S, Situation
from ..base import Rule, State, knob, top_m
from ..parts import client_carbon_ahead


def run_now(carbon: Floats, needed: int, interruptible: bool) -> bool:
    """Whether the present slot belongs to the best ones for a job.

    Source: Wiesner et al., "Let's Wait Awhile", Middleware 2021. Interruptible: the cheapest slots before the
    deadline; non-interruptible: the window of consecutive slots with the lowest mean.

    Args:
        carbon: `[S]`, forecast of the slots up to the deadline, the present one first.
        needed: slots that the job still needs.
        interruptible: whether it may pause.
    """
    if needed >= carbon.size:
        return True
    if interruptible:
        return bool(np.argsort(carbon, kind="stable")[: max(needed, 1)].min() == 0)
    sums = np.convolve(carbon, np.ones(max(needed, 1)), mode="valid")
    return int(np.argmin(sums)) == 0


def carbon_scale(throughput: Floats, carbon: Floats, work: float, watts: Floats | None = None) -> Ints:
    """How many servers in each slot: marginal work per marginal gram, best first, until the work is done.

    Source: Hanafy et al., "CarbonScaler", SIGMETRICS 2023 (greedy of carbon_scaler.go).

    Args:
        throughput: `[J]`, work per slot that the j-th server adds; must not increase with j.
        carbon: `[S]`, intensity of each slot.
        work: to be done in all.
        watts: `[J]`, marginal power; None: equal.

    Returns:
        Int `[S]`, servers per slot.
    """
    power = np.ones_like(throughput) if watts is None else watts
    value = throughput[:, None] / np.maximum(power[:, None] * carbon[None, :], 1e-300)
    # A cap on the later ones keeps j before j + 1 in every slot.
    value = np.minimum.accumulate(value, axis=0)
    order = np.argsort(-value.T.ravel(), kind="stable")  # slot by slot, so that equal values keep j in order
    slots, servers = np.divmod(order, throughput.size)
    done = np.cumsum(throughput[servers])
    taken = int(np.searchsorted(done, work - 1e-12)) + 1
    return np.bincount(slots[:taken], minlength=carbon.size).astype(np.int64)


@dataclass(kw_only=True)
class _Slots(Rule):
    """A job of `job_rounds` rounds and the slots in which it may run."""

    job_rounds: int = knob(25, "rounds of the job", low=3, high=200, log=True)
    slack_h: float = knob(
        12.0, "hours beyond the job's own time until its deadline", low=0.5, high=96.0, log=True
    )
    slot_s: float = knob(3600.0, "length of a slot and of a wait, s", low=900.0, high=7200.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the seconds waited for carbon."""
        return super().fresh_state(num_envs, num_clients) | {"idle_s": np.zeros(num_envs)}

    def _slots_left(self, situation: Situation) -> tuple[Ints, Ints]:
        """Rounds still needed and slots to the deadline, both int `[E]`."""
        needed = np.maximum(self.job_rounds - self.state["rounds"], 0)
        needed = np.minimum(needed, situation.run.rounds_left)
        slack = np.floor(np.maximum(3600 * self.slack_h - self.state["idle_s"], 0) / self.slot_s)
        return needed, needed + slack.astype(np.int64)

    def _carbon_ahead(self, situation: Situation, among: Bools, slots: int) -> Floats:
        """Mean intensity `[E, S]` at the clients of `among` in the slots ahead."""
        ahead_s = self.slot_s * np.arange(max(slots, 1))
        carbon = client_carbon_ahead(situation, ahead_s)
        count = np.maximum(among.sum(axis=1), 1)
        found: Floats = np.where(among[:, :, None], carbon, 0.0).sum(axis=1) / count[:, None]
        return found

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """A slot where nobody is to train; the end where the job is done."""
        wait_s = np.where(chosen.any(axis=1), super()._wait(situation, chosen), self.slot_s)
        self.state["idle_s"] = self.state["idle_s"] + np.where(np.isfinite(wait_s), wait_s, 0.0)
        done = (self.state["rounds"] >= self.job_rounds) | self._finished()
        return np.where(done, STOP_S, wait_s)


@dataclass(kw_only=True)
class LetsWaitAwhile(_Slots):
    """Temporal shifting: trains in the slots forecast to be cleanest before a deadline (Wiesner et al. 2021).

    Random m participants, in the slots that the forecast says are the cleanest before a deadline.
    Paper: Wiesner et al., "Let's Wait Awhile: How Temporal Workload Shifting Can Reduce Carbon Emissions in
    the Cloud", Middleware 2021. The job is `job_rounds` rounds, its deadline `slack_h` hours after it could
    be done at the earliest. "pausing": train now only if this slot is among the needed number of cleanest
    slots before the deadline; "in-one-go": start where the mean over the job is lowest, then go on. Carbon
    is the mean at the participants; re-planned at every decision.
    Needs: carbon now and forecast.
    Aggregation: the world's aggregator.
    Defaults: pausing, 25 rounds, half a day of slack, hourly slots.
    """

    name: ClassVar[str] = "lets-wait-awhile"

    shifting: str = knob("pausing", "may the job pause", choices=("pausing", "in-one-go"))

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Random m, or nobody in a slot that is not among the best."""
        chosen = super().choose(situation, allowed, wanted, steps)
        needed, slots = self._slots_left(situation)
        carbon = self._carbon_ahead(situation, chosen, int(slots.max(initial=1)))
        go = np.ones(situation.num_envs, dtype=bool)
        pausing = self.shifting == "pausing"
        for row in np.flatnonzero(chosen.any(axis=1) & (needed > 0)):
            started = not pausing and self.state["rounds"][row] > 0
            curve = carbon[row, : slots[row]]
            go[row] = started or run_now(curve, int(needed[row]), pausing)
        return chosen & go[:, None]


@dataclass(kw_only=True)
class Carbonscaler(_Slots):
    """Carbon-aware scaling: more participants in clean slots, fewer in dirty ones (Hanafy et al. 2023).

    More participants in clean slots, fewer or none in dirty ones, until the job's work is done.
    Paper: Hanafy et al., "CarbonScaler: Leveraging Cloud Workload Elasticity for Optimizing Carbon-
    Efficiency", SIGMETRICS 2023: (slot, scale) pairs in the order of marginal work per marginal gram. A
    server is a participant here: j of them do j^`elasticity` units of work in a slot, up to `participants`;
    the job is what `job_rounds` slots with `base_participants` come to. Power is taken as equal, as in the
    paper's homogeneous clusters; carbon is the mean at the available clients. Re-planned at every decision.
    Needs: carbon now and forecast.
    Aggregation: the world's aggregator.
    Defaults: elasticity 0.7, five participants on average and ten at most, 25 rounds, hourly slots.
    """

    name: ClassVar[str] = "carbonscaler"

    elasticity: float = knob(0.7, "exponent of the work that j participants do", low=0.05, high=1.0)
    base_participants: int = knob(5, "participants that the job is dimensioned for", low=1, high=50, log=True)
    greenest: bool = knob(False, "take those who emit least, not random ones", choices=(False, True))

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the work done."""
        return super().fresh_state(num_envs, num_clients) | {"done": np.zeros(num_envs)}

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """The present slot's scale, at random or greenest first."""
        needed, slots = self._slots_left(situation)
        carbon = self._carbon_ahead(situation, allowed, int(slots.max(initial=1)))
        scale = np.arange(1, wanted + 1, dtype=np.float64)
        throughput = scale**self.elasticity - (scale - 1.0) ** self.elasticity
        left = self.job_rounds * min(self.base_participants, wanted) ** self.elasticity - self.state["done"]
        servers = np.zeros(situation.num_envs, dtype=np.int64)
        for row in np.flatnonzero(allowed.any(axis=1) & (needed > 0)):
            servers[row] = carbon_scale(throughput, carbon[row, : slots[row]], float(left[row]))[0]
        prefer = -situation.round_g(steps) if self.greenest else np.zeros(allowed.shape)
        return top_m(prefer, servers, allowed, self.uniforms())

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Count the work done."""
        self.state["done"] = self.state["done"] + trained.sum(axis=1) ** self.elasticity

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        goal = self.job_rounds * min(self.base_participants, self.participants) ** self.elasticity
        return np.where(self.state["done"] >= goal - 1e-9, STOP_S, super()._wait(situation, chosen))
