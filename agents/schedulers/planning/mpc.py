"""Model-predictive control: simulate a few rounds under several actions, carry out the best first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints32
from ....envs.contract import STOP_S, RoundPlan, Situation
from ..base import Rule, State, knob, plan_for, standardised, survival
from ..parts import GainCurve, client_carbon_ahead

_UNIT_STEPS = 10.0
"""Local steps of one unit of useful work."""
_LEAST_UTILITY = 0.05
"""No client is worth less, over a plain one."""


@dataclass
class _Actions:
    """Candidates of E environments: C sets of clients in order, A = C x m actions.

    Attributes:
        order: int `[E, C, N]`, clients by their own net value, best first.
        steps: int32 `[E, C, N]`, local steps by client.
        work: `[E, C, M]`, useful work of the m best.
        now: `[E, C, M]`, points that a round with them costs now.
        later: `[E, C, M]`, points that one costs at the mean of the carbon forecast.
        possible: bool `[E, C, M]`.
    """

    order: AnyArray
    steps: Ints32
    work: Floats
    now: Floats
    later: Floats
    possible: Bools


@dataclass(kw_only=True)
class Mpc(Rule):
    """Model-predictive control: the first of the actions that a predictive model finds best, every round.

    Rolls out who, how many, how many steps, waiting and stopping on a predictive model, best first action.
    Model: accuracy follows a concave curve of useful work (`GainCurve`: plateau and rate start from knobs and
    are refitted to what was seen); a client's useful work in H steps is (H / 10)^`steps_exponent` x
    (1 + weights x standardised loss, staleness and share) x its chance to finish, by the availability
    forecast and announced ends; that of a set is the sum^`crowd_exponent`. Costs are those of the situation's
    prices, now at the present carbon, later at the mean of its forecast. A candidate is a number of steps
    (the common schedule of `local_steps` and `decay` times each of three factors) and the m best clients by
    their own predicted net value, m = 1 ... `participants`; it is repeated for 1, 2, ... `horizon` rounds,
    and the best of these counts. Stopping competes with the accuracy that is there now, not with its filtered
    level: a lucky measurement is a moment to stop. Waiting competes where the carbon forecast falls.
    Paper: none; certainty-equivalent receding-horizon control (e.g. Rawlings & Mayne, Model Predictive
    Control, 2009).
    Needs: all of the Situation.
    Aggregation: the world's aggregator.
    Defaults: at most 3 participants, 30 steps; meant to be tuned per world.
    """

    name: ClassVar[str] = "mpc"

    participants: int = knob(3, "clients per round, at most", low=1, high=100, log=True)
    local_steps: int = knob(30, "local SGD steps of each participant", low=1, high=100, log=True)
    plateau: float = knob(88.0, "accuracy that the curve tends to, points", low=50.0, high=100.0)
    rate: float = knob(0.1, "share of the way to it per unit of work", low=0.005, high=0.5, log=True)
    trust: float = knob(
        40.0, "weight of these two against what is seen, rounds", low=0.5, high=200.0, log=True
    )
    filter_gain: float = knob(0.3, "weight of the newest accuracy in its filtered level", low=0.1, high=1.0)
    steps_exponent: float = knob(0.3, "useful work over local steps", low=0.05, high=1.0)
    crowd_exponent: float = knob(0.4, "useful work over participants", low=0.05, high=1.0)
    loss_weight: float = knob(0.4, "utility per deviation of the last loss", low=0.0, high=2.0)
    staleness_weight: float = knob(0.6, "the same of the rounds since it took part", low=0.0, high=2.0)
    share_weight: float = knob(0.0, "the same of its share alpha_k", low=-1.0, high=1.0)
    step_spread: float = knob(1.4, "factor between the candidates' local steps", low=1.0, high=3.0)
    horizon: int = knob(30, "rounds looked ahead, at most", low=1, high=60, log=True)
    luck: float = knob(0.2, "option value of later rounds, in deviations of the noise", low=0.0, high=2.0)
    stop_margin: float = knob(
        -1e9, "end the run below this predicted net gain, points", low=-5.0, high=5.0, off=-1e9
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the state of the gain curve."""
        return super().fresh_state(num_envs, num_clients) | GainCurve.fresh(num_envs)

    def plan(self, situation: Situation) -> RoundPlan:
        """The first action of the best prediction; see `Scheduler.plan`."""
        self._check(situation)
        self._observe(situation)
        curve = GainCurve(self._state, self.plateau, self.rate, self.trust, self.filter_gain)
        curve.observe(100 * situation.run.accuracy)
        transfer = self.transfers(situation)
        actions = self._actions(situation, curve, transfer)
        value, rows = self._values(situation, curve, actions), np.arange(situation.num_envs)
        flat = value.reshape(situation.num_envs, -1)
        best = flat.argmax(axis=1)
        which, count = np.divmod(best, value.shape[2])
        top, possible = flat[rows, best], np.isfinite(flat[rows, best])
        rank = np.argsort(actions.order[rows, which], axis=1)
        chosen = (rank <= count[:, None]) & possible[:, None]
        wait_s = self._wait_or_stop(situation, chosen, top, possible, actions, which, count)
        trained = chosen & (wait_s <= 0)[:, None]
        some = trained.any(axis=1)
        curve.expect(actions.work[rows, which, count], some)
        self._state["trained_last"] = some
        self._state["rounds"] = self._state["rounds"] + some
        quorum = self._quorum(chosen, self.participants + 1)
        return plan_for(situation, chosen, actions.steps[rows, which], quorum, transfer, wait_s)

    def utility(self, situation: Situation, allowed: Bools) -> Floats:
        """Useful work `[E, N]` of each client over a plain one's, mean 1 among the allowed."""
        stale = situation.clients.rounds_since.astype(np.float64)
        worth = 1.0 + self.loss_weight * standardised(situation.clients.last_loss, allowed)
        worth = worth + self.staleness_weight * standardised(stale, allowed)
        worth = worth + self.share_weight * standardised(situation.clients.target_weight, allowed)
        worth = np.where(allowed, np.maximum(worth, _LEAST_UTILITY), 0.0)
        mean = worth.sum(axis=1, keepdims=True) / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        found: Floats = worth / np.maximum(mean, 1e-12)
        return found

    def _actions(self, situation: Situation, curve: GainCurve, transfer: Ints32) -> _Actions:
        parts = [
            self._one_length(situation, curve, transfer, factor)
            for factor in sorted({1.0 / self.step_spread, 1.0, self.step_spread})
        ]
        return _Actions(*(np.stack(each, axis=1) for each in zip(*parts, strict=True)))

    def _one_length(
        self, situation: Situation, curve: GainCurve, transfer: Ints32, factor: float
    ) -> tuple[AnyArray, ...]:
        """All m for one number of steps; the fields of `_Actions` without C."""
        plain = self.steps_now(situation)
        steps = np.clip(np.rint(plain * factor), 1, self.most_steps).astype(np.int32)
        allowed = self.candidates(situation, steps, transfer)
        needed_s = situation.round_s(steps, transfer)
        finishes = survival(situation, needed_s)
        size = (steps / _UNIT_STEPS) ** self.steps_exponent
        work = self.utility(situation, allowed) * finishes * size
        points = situation.round_points(steps, transfer)
        per_hour = situation.terms.price_per_hour[:, None] / 3600.0
        own = curve.gained(curve.level[:, None], work) - points - per_hour * needed_s
        order = np.argsort(np.where(allowed, -own, np.inf), axis=1, kind="stable")
        most = min(self.participants, situation.num_clients)
        top = order[:, :most]

        def best(values: Floats) -> Floats:
            return np.take_along_axis(np.where(allowed, values, 0.0), top, axis=1)

        overhead_s = situation.terms.overhead_s[:, None]
        hours_now = per_hour * (np.maximum.accumulate(best(needed_s), axis=1) + overhead_s)
        later = points + (self._mean_carbon(situation) - 1.0) * self._carbon_points(
            situation, steps, transfer
        )
        crowd = np.arange(1, most + 1)
        total = np.cumsum(best(work), axis=1)
        useful = crowd**self.crowd_exponent * total / crowd
        now = np.cumsum(best(points), axis=1) + hours_now
        ahead = np.cumsum(best(later), axis=1) + hours_now
        possible = crowd[None, :] <= allowed.sum(axis=1)[:, None]
        return order, steps, useful, now, ahead, possible

    def _values(self, situation: Situation, curve: GainCurve, actions: _Actions) -> Floats:
        """Predicted net points `[E, C, M]` of each action over the best number of rounds, above stopping."""
        best = np.full(actions.work.shape, -np.inf)
        left = np.minimum(self.horizon, situation.run.rounds_left)[:, None, None]
        level, here = curve.level[:, None, None], 100 * situation.run.accuracy[:, None, None]
        noise = self.luck * curve.noise[:, None, None]
        for rounds in range(1, self.horizon + 1):
            gained = curve.gained(level, rounds * actions.work)
            lucky = noise * np.sqrt(2.0 * np.log(rounds))
            net = level + gained + lucky - here - actions.now - (rounds - 1) * actions.later
            best = np.where((rounds <= left) & (net > best), net, best)
        return np.where(actions.possible, best, -np.inf)

    def _wait_or_stop(
        self,
        situation: Situation,
        chosen: Bools,
        value: Floats,
        possible: Bools,
        actions: _Actions,
        which: AnyArray,
        count: AnyArray,
    ) -> Floats:
        """Seconds `[E]` to wait: 0 to train, `STOP_S` to end the run."""
        rows = np.arange(situation.num_envs)
        wait_s = self._wait(situation, chosen)
        leads_s = situation.zones.carbon_leads_s
        if leads_s.size:
            # Waiting saves grams in the first round, and costs the hours; the round itself is the same.
            zones = client_carbon_ahead(situation, leads_s) / situation.client_carbon[:, :, None]
            grams = self._carbon_points(situation, actions.steps[rows, which], self.transfers(situation))
            saved = np.where(chosen[:, :, None], grams[:, :, None] * (1.0 - zones), 0.0).sum(axis=1)
            gain = saved - situation.terms.price_per_hour[:, None] * leads_s[None, :] / 3600.0
            waiting = (gain.max(axis=1) > 0) & possible & (situation.run.rounds_left > 1) & (wait_s == 0)
            wait_s = np.where(waiting, leads_s[gain.argmax(axis=1)], wait_s)
        stop = possible & (value < self.stop_margin) & (self._state["rounds"] > 0)
        return np.where(stop, STOP_S, wait_s)

    def _carbon_points(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Floats:
        """The emissions' part `[E, N]` of an invitation's points."""
        return situation.round_g(steps, transfer) / 1e3 * situation.terms.price_per_kg[:, None]

    def _mean_carbon(self, situation: Situation) -> Floats:
        """Forecast mean over present intensity `[E, N]`; 1 without a forecast."""
        if situation.zones.carbon_leads_s.size == 0:
            return np.ones(situation.clients.available.shape)
        ahead = client_carbon_ahead(situation, situation.zones.carbon_leads_s).mean(axis=2)
        found: Floats = ahead / np.maximum(situation.client_carbon, 1e-9)
        return found
