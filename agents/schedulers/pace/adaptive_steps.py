"""Adaptive local steps: tau under a resource budget (Wang et al.) and AdaComm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, spent_points


def drift(tau: ArrayLike, eta: ArrayLike, beta: ArrayLike, delta: ArrayLike) -> Floats:
    """h(tau), how far tau local steps carry a client from the path of the global gradient.

    Source: Wang et al., JSAC 2019, equation 11: (delta / beta) ((eta beta + 1)^tau - 1) - eta delta tau; it
    is 0 at 0 and 1 steps.
    """
    tau, eta, beta, delta = (np.asarray(each, dtype=np.float64) for each in (tau, eta, beta, delta))
    with np.errstate(over="ignore"):
        grown = delta / beta * ((eta * beta + 1.0) ** tau - 1.0) - eta * delta * tau
    return np.maximum(grown, 0.0)


def jsac_tau(
    eta: float,
    beta: Floats,
    rho: Floats,
    delta: Floats,
    resource: Floats,
    per_step: Floats,
    per_round: Floats,
    phi: float = 0.025,
    most: Ints | None = None,
) -> Ints:
    """The local steps that make the most of what is left of a resource.

    Source: Wang et al., "Adaptive Federated Learning in Resource Constrained Edge Computing Systems", JSAC
    2019: with T = R tau / (c tau + b) total steps, minimise
    G = (1 + sqrt(1 + 4 T^2 phi rho eta h(tau) / tau)) / (2 T eta phi) + rho h(tau).

    Args:
        eta: learning rate.
        beta: `[E]`, smoothness estimate.
        rho: `[E]`, Lipschitz estimate.
        delta: `[E]`, divergence of client gradients.
        resource: `[E]`, R, what is left.
        per_step: `[E]`, c, resource per local step.
        per_round: `[E]`, b, resource per aggregation.
        phi: control parameter.
        most: `[E]`, largest tau allowed; None: 100.

    Returns:
        Int `[E]`, at least 1; the smallest of equally good ones.
    """
    limit = np.full(np.shape(delta), 100, dtype=np.int64) if most is None else most
    tau = np.arange(1, int(limit.max(initial=1)) + 1, dtype=np.float64)[None, :]
    c, b, r = per_step[:, None], per_round[:, None], resource[:, None]
    total = np.maximum(r * tau / np.maximum(c * tau + b, 1e-300), 1e-300)
    h = drift(tau, eta, beta[:, None], delta[:, None])
    lipschitz = rho[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        root = np.sqrt(1.0 + 4.0 * total**2 * phi * lipschitz * eta * h / tau)
        bound = (1.0 + root) / (2.0 * total * eta * phi) + lipschitz * h
    bound = np.where((tau <= limit[:, None]) & np.isfinite(bound), bound, np.inf)
    # Rounding must not prefer a longer tau to an equal shorter one.
    least = bound.min(axis=1, keepdims=True)
    found: Ints = (bound <= least * (1 + 1e-12)).argmax(axis=1).astype(np.int64) + 1
    return found


@dataclass(kw_only=True)
class JsacTau(Rule):
    """Adaptive tau under a resource budget: local steps by gradient divergence (Wang et al. 2019).

    Random m participants with the tau that Wang et al. derive from gradient divergence and what is left.
    Paper: Wang et al., "Adaptive Federated Learning in Resource Constrained Edge Computing Systems", IEEE
    JSAC 2019. First round tau = 1, then at most ten times the last one. The paper's clients report
    gradients at two models; reports here are a loss and the length of an update. So rho is the moving
    average of |change of the loss| / length of the mean participant's update, delta that of the spread of
    length / (eta tau) among the last participants times `divergence`, and beta is a constant. With m = 1
    there is no divergence to see: half the participant's own length stands in for it, and the rule is then
    driven by its knobs and not the paper's any more. The resource is
    accuracy points, in which hours, bytes and emissions all have a price: R = what is left of
    `budget_points`, c and b what a local step and an aggregation of m average clients cost.
    Needs: update lengths, losses, seconds per step, prices.
    Aggregation: the world's aggregator.
    Defaults: phi = 0.025, m = 10; `local_steps` plays no part but as a scale of `balance` and `decay`.
    """

    name: ClassVar[str] = "jsac-tau"

    learning_rate: float = knob(0.05, "eta, local learning rate", low=0.001, high=1.0, log=True)
    smoothness: float = knob(2.0, "beta, Lipschitz constant of the gradients", low=0.1, high=50.0, log=True)
    divergence: float = knob(
        1.0, "delta over the spread of the update lengths", low=0.001, high=30.0, log=True
    )
    phi: float = knob(0.025, "control parameter of the bound", low=0.0001, high=1.0, log=True)
    budget_points: float = knob(40.0, "points that the run may cost in all", low=5.0, high=200.0, log=True)
    smoothing: float = knob(0.3, "weight of the newest estimate", low=0.05, high=1.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds tau, the estimates, and the loss at the last round."""
        start = {"tau": np.zeros(num_envs, dtype=np.int64), "old_loss": np.full(num_envs, np.nan)}
        start |= {key: np.full(num_envs, np.nan) for key in ("rho", "delta")}
        return super().fresh_state(num_envs, num_clients) | start

    def steps_now(self, situation: Situation) -> Ints32:
        """tau, with the common `balance` and `decay`."""
        tau = self.tau_now(situation)
        scale = super().steps_now(situation) / self.local_steps
        return np.clip(np.rint(tau[:, None] * scale), 1, self.most_steps).astype(np.int32)

    def tau_now(self, situation: Situation) -> Ints:
        """Tau `[E]` from the estimates so far; 1 before the first report."""
        rho, delta = self._estimates(situation)
        known = np.isfinite(rho) & np.isfinite(delta) & (self.state["tau"] > 0)
        left = np.maximum(self.budget_points - spent_points(situation), 0.02 * self.budget_points)
        per_step, per_round = self._prices(situation)
        most = np.minimum(10 * np.maximum(self.state["tau"], 1), self.most_steps)
        tau = jsac_tau(
            self.learning_rate,
            np.full(rho.shape, self.smoothness),
            np.where(known, rho, 1.0),
            np.where(known, delta, 1.0),
            left,
            per_step,
            per_round,
            self.phi,
            most,
        )
        return np.where(known, tau, np.maximum(self.state["tau"], 1))

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Keep the estimates, the tau and the loss of this round."""
        state, some = self.state, trained.any(axis=1)
        tau = self.tau_now(situation)
        state["rho"], state["delta"] = self._estimates(situation)
        state["tau"] = np.where(some, tau, state["tau"])
        state["old_loss"] = np.where(some, situation.run.loss, state["old_loss"])

    def _estimates(self, situation: Situation) -> tuple[Floats, Floats]:
        """Estimates rho and delta `[E]` after the reports of the last round; nan while nothing is known."""
        state = self.state
        reported = np.isfinite(situation.clients.last_norm) & (situation.clients.rounds_since <= 1)
        count = reported.sum(axis=1)
        norm = np.where(reported, situation.clients.last_norm, 0.0)
        mean = norm.sum(axis=1) / np.maximum(count, 1)
        spread = np.sqrt(
            (np.where(reported, situation.clients.last_norm - mean[:, None], 0.0) ** 2).sum(axis=1)
            / np.maximum(count, 1)
        )
        length = np.maximum(self.learning_rate * np.maximum(state["tau"], 1), 1e-12)
        # A wait brings no new reports: the same ones must not be averaged in again.
        fresh = (count > 0) & np.isfinite(state["old_loss"]) & (mean > 0) & state["trained_last"]
        rho = np.abs(situation.run.loss - state["old_loss"]) / np.maximum(mean, 1e-12)
        # A single participant has no spread; half its own length stands in for it.
        delta = self.divergence * np.where(count > 1, spread, 0.5 * mean) / length
        return self._average("rho", rho, fresh), self._average("delta", delta, fresh)

    def _average(self, key: str, value: Floats, fresh: Bools) -> Floats:
        old = self.state[key]
        moved = np.where(np.isnan(old), value, old + self.smoothing * (value - old))
        return np.where(fresh, moved, old)

    def _prices(self, situation: Situation) -> tuple[Floats, Floats]:
        """Points `[E]` of one local step and of one aggregation, m average clients in parallel."""
        per_hour = situation.terms.price_per_hour / 3600.0
        one_g = situation.round_points(2) - situation.round_points(1)
        bytes_points = situation.round_points(1) - one_g
        moving_s = situation.round_s(1) - situation.clients.step_s
        step = self.participants * one_g.mean(axis=1) + per_hour * situation.clients.step_s.mean(axis=1)
        overhead = per_hour * (moving_s.mean(axis=1) + situation.terms.overhead_s)
        return step, overhead + self.participants * bytes_points.mean(axis=1)


@dataclass(kw_only=True)
class Adacomm(Rule):
    """AdaComm: local steps that fall with the loss, tau = ceil(tau_0 sqrt(F / F_0)) (Wang & Joshi 2019).

    Random m participants whose local steps fall with the loss: tau = ceil(tau_0 sqrt(F / F_0)).
    Paper: Wang & Joshi, "Adaptive Communication Strategies to Achieve the Best Error-Runtime Trade-off in
    Local-Update SGD", SysML 2019 (AdaComm). Every `interval_s` seconds tau is set by the rule; where that is
    not smaller than before, tau = ceil(gamma tau), but never below 1.
    Needs: the loss after every round, the clock.
    Aggregation: the world's aggregator.
    Defaults: gamma = 0.5 as in the paper, every two hours; tau_0 is `local_steps`.
    """

    name: ClassVar[str] = "adacomm"

    interval_s: float = knob(7200.0, "T_0, seconds between two changes", low=600.0, high=86400.0, log=True)
    gamma: float = knob(0.5, "factor where the rule does not shrink tau", low=0.3, high=1.0)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds tau, the loss at the start, and when tau was last changed."""
        start: State = {"tau": np.full(num_envs, self.local_steps, dtype=np.int64)}
        start |= {"first_loss": np.full(num_envs, np.nan), "changed_s": np.zeros(num_envs)}
        return super().fresh_state(num_envs, num_clients) | start

    def steps_now(self, situation: Situation) -> Ints32:
        """tau, with the common `balance` and `decay`."""
        self._adapt(situation)
        scale = super().steps_now(situation) / self.local_steps
        return np.clip(np.rint(self.state["tau"][:, None] * scale), 1, self.most_steps).astype(np.int32)

    def _adapt(self, situation: Situation) -> None:
        state = self.state
        state["first_loss"] = np.where(np.isnan(state["first_loss"]), situation.run.loss, state["first_loss"])
        due = situation.run.time_s - state["changed_s"] >= self.interval_s
        share = situation.run.loss / np.maximum(state["first_loss"], 1e-12)
        by_loss = np.ceil(self.local_steps * np.sqrt(share) - 1e-9)
        shrunk = np.where(by_loss < state["tau"], by_loss, np.ceil(self.gamma * state["tau"] - 1e-9))
        tau = np.maximum(np.where(due, shrunk, state["tau"]), 1)
        state["tau"] = np.where(np.isfinite(tau), tau, state["tau"]).astype(np.int64)
        passed = np.floor((situation.run.time_s - state["changed_s"]) / self.interval_s)
        moved_s = state["changed_s"] + passed * self.interval_s
        state["changed_s"] = np.where(due & math.isfinite(self.interval_s), moved_s, state["changed_s"])
