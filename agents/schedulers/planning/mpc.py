"""Model-predictive control: simulate a few rounds under several actions, carry out the best first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints32
from ....common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from ....envs.contract import STOP_S, RoundPlan, Situation, survival
from ..base import Rule, State, knob, plan_for, standardised, with_answering
from ..parts import GainCurve, integral_ahead

_UNIT_STEPS = 10.0
"""Local steps of one unit of useful work."""
_LEAST_UTILITY = 0.05
"""No client is worth less, over a plain one."""
_NOW = np.zeros(1)
"""Not to wait, as the only wait to consider."""


@dataclass
class _Actions:
    """Candidates of E environments: C lengths of work, and the m = 1 ... M best clients for each."""

    order: AnyArray  # [E, C, N] clients by their own net value, best first
    steps: Ints32  # [E, C, N] local steps by client
    work: Floats  # [E, C, M] useful work of the m best
    bytes_points: Floats  # [E, C, M] points that a round's bytes cost
    carbon_points: Floats  # [E, C, M, L + 1] points that its emissions cost now and at the forecast's leads
    setup_points: Floats  # [E, C, M] what setting up costs more, once
    round_s: Floats  # [E, C, M] seconds of a round of clients that are set up
    possible: Bools  # [E, C, M]

    def one(self, rows: AnyArray, which: AnyArray, count: AnyArray) -> _Actions:
        """A single action of each environment, C = M = 1."""
        at = (rows, which, count)
        return _Actions(
            order=self.order[rows, which][:, None],
            steps=self.steps[rows, which][:, None],
            work=self.work[at][:, None, None],
            bytes_points=self.bytes_points[at][:, None, None],
            carbon_points=self.carbon_points[at][:, None, None],
            setup_points=self.setup_points[at][:, None, None],
            round_s=self.round_s[at][:, None, None],
            possible=self.possible[at][:, None, None],
        )


@dataclass(kw_only=True)
class Mpc(Rule):
    """Model-predictive control: the first of the actions that a predictive model finds best, every round.

    Rolls out who, how many, how many steps, waiting and stopping on a predictive model, best first action.
    Model: accuracy follows a concave curve of useful work (`GainCurve`: plateau and rate start from knobs and
    are refitted to what was seen); a client's useful work in H steps is (H / 10)^`steps_exponent` x
    (1 + weights x standardised loss, staleness and share) x its chance to finish, by the availability
    forecast and announced ends; that of a set is the sum^`crowd_exponent`. Costs are those of the situation's
    prices; emissions follow the carbon forecast over the hours that the planned rounds take. A candidate is a
    number of steps (the common schedule of `local_steps` and `decay` times each of three factors) and the m
    best clients by their own predicted net value, m = 1 ... `participants`; it is repeated for 1, 2, ...
    `horizon` rounds, as many as fit into the hours left, and the best of these counts. Stopping competes with
    the accuracy that is there now, not with its filtered level: a lucky measurement is a moment to stop.
    Waiting competes as the same plan begun at a lead of the forecast: it pays for the hours, and loses the
    rounds that no longer fit into those left, which are taken to last as long as the run's rounds so far. It
    has to gain `wait_margin`, all waits together last `wait_slack_s` at most, and after a wait comes a round:
    a forecast that keeps promising better hours does not keep it waiting.
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
    untried_bonus: float = knob(
        0.0, "utility of a client never heard of, beyond one of mean loss", low=0.0, high=3.0
    )
    staleness_weight: float = knob(0.6, "the same of the rounds since it took part", low=0.0, high=2.0)
    share_weight: float = knob(0.0, "the same of its share alpha_k", low=-1.0, high=1.0)
    step_spread: float = knob(1.4, "factor between the candidates' local steps", low=1.0, high=3.0)
    horizon: int = knob(30, "rounds looked ahead, at most", low=1, high=60, log=True)
    luck: float = knob(0.2, "option value of later rounds, in deviations of the noise", low=0.0, high=2.0)
    wait_margin: float = knob(
        0.2, "begin later only if that promises so many points more", low=0.01, high=5.0, log=True
    )
    wait_slack_s: float = knob(
        172800.0, "waits for carbon in all, at most, s", low=3600.0, high=604800.0, log=True
    )
    stop_margin: float = knob(
        -1e9, "end the run below this predicted net gain, points", low=-5.0, high=5.0, off=-1e9
    )

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the gain curve's, who has waited for cleaner hours just now, and how long rounds took."""
        hours: State = {"waited_last": np.zeros(num_envs, dtype=bool)}
        hours |= {name: np.zeros(num_envs) for name in ("trained_s", "decided_at_s")}
        return super().fresh_state(num_envs, num_clients) | GainCurve.fresh(num_envs) | hours

    def plan(self, situation: Situation) -> RoundPlan:
        """The first action of the best prediction; see `Scheduler.plan`."""
        self._check(situation)
        situation = situation.at_bits(self.upload_bits)
        self._observe(situation)
        curve = GainCurve(self._state, self.plateau, self.rate, self.trust, self.filter_gain)
        curve.observe(100 * situation.run.accuracy)
        self._watch_the_clock(situation)
        transfer = self.transfers(situation)
        actions = self._actions(situation, curve, transfer)
        value = self._values(situation, curve, actions, _NOW)[..., 0]
        flat, rows = value.reshape(situation.num_envs, -1), np.arange(situation.num_envs)
        best = flat.argmax(axis=1)
        which, count = np.divmod(best, value.shape[2])
        top, possible = flat[rows, best], np.isfinite(flat[rows, best])
        rank = np.argsort(actions.order[rows, which], axis=1)
        chosen = (rank <= count[:, None]) & possible[:, None]
        later = self._values(
            situation, curve, actions.one(rows, which, count), situation.zones.carbon_leads_s
        )
        wait_s = self._wait_or_stop(situation, chosen, top, possible, later[:, 0, 0])
        trained = chosen & (wait_s <= 0)[:, None]
        some = trained.any(axis=1)
        curve.expect(actions.work[rows, which, count], some)
        self._state["trained_last"] = some
        self._state["rounds"] = self._state["rounds"] + some
        quorum = self._quorum(chosen, self.participants + 1)
        server_step = self.server_step_now(situation)
        steps = actions.steps[rows, which]
        plan = plan_for(situation, chosen, steps, quorum, transfer, wait_s, server_step=server_step)
        return with_answering(plan, situation, self.refresh, self.ask_below)

    def utility(self, situation: Situation, allowed: Bools) -> Floats:
        """Useful work `[E, N]` of each client over a plain one's, mean 1 among the allowed."""
        stale = situation.clients.rounds_since.astype(np.float64)
        worth = 1.0 + self.loss_weight * standardised(situation.clients.last_loss, allowed)
        worth = worth + self.untried_bonus * np.isnan(situation.clients.last_loss)
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
        per_s = situation.terms.price_per_hour[:, None] / SECONDS_PER_HOUR
        own = curve.gained(curve.level[:, None], work) - situation.round_points(steps, transfer)
        own = own - per_s * needed_s
        order = np.argsort(np.where(allowed, -own, np.inf), axis=1, kind="stable")
        most = min(self.participants, situation.num_clients)
        top = order[:, :most]

        def best(values: Floats) -> Floats:
            return np.take_along_axis(np.where(allowed, values, 0.0), top, axis=1)

        crowd = np.arange(1, most + 1)
        useful = crowd**self.crowd_exponent * np.cumsum(best(work), axis=1) / crowd
        warm = situation.warm  # whoever goes on training is set up by then
        bytes_points = situation.terms.price_per_gb[:, None] * warm.round_bytes(transfer) / BYTES_PER_GB
        carbon = self._carbon_points(warm, steps, transfer)
        ahead = [np.cumsum(best(carbon[:, :, lead]), axis=1) for lead in range(carbon.shape[2])]
        round_s = np.maximum.accumulate(best(warm.round_s(steps, transfer)), axis=1)
        late_s = np.maximum.accumulate(best(needed_s), axis=1) - round_s
        more = situation.round_points(steps, transfer) - warm.round_points(steps, transfer)
        setup = np.cumsum(best(more), axis=1) + per_s * late_s
        possible = crowd[None, :] <= allowed.sum(axis=1)[:, None]
        spent = (np.cumsum(best(bytes_points), axis=1), np.stack(ahead, axis=2), setup)
        return order, steps, useful, *spent, round_s + situation.terms.overhead_s[:, None], possible

    def _values(self, situation: Situation, curve: GainCurve, actions: _Actions, waits_s: Floats) -> Floats:
        """Predicted net points `[E, C, M, W]` above stopping: of each action after each wait `[W]`.

        Each over its best number of rounds, of those that fit into the hours left. One round now always
        counts as fitting: whether to begin it is the world's matter.
        """
        spread = (slice(None), None, None, None)
        level, here = curve.level[spread], 100 * situation.run.accuracy[spread]
        noise, per_s = (
            self.luck * curve.noise[spread],
            situation.terms.price_per_hour[spread] / SECONDS_PER_HOUR,
        )
        left = np.minimum(self.horizon, situation.run.rounds_left)[spread]
        left_s = SECONDS_PER_HOUR * situation.terms.budget_left[:, 0][spread]
        work, bytes_points = actions.work[..., None], actions.bytes_points[..., None]
        round_s = np.maximum(actions.round_s, 1e-9)[..., None]
        leads_s = situation.zones.carbon_leads_s
        begin_s = np.broadcast_to(waits_s, (*actions.work.shape, waits_s.size))
        before = integral_ahead(actions.carbon_points, leads_s, begin_s)
        pace_s = np.maximum(round_s, self._pace_s(situation)[spread])
        best = np.full(begin_s.shape, -np.inf)
        for rounds in range(1, self.horizon + 1):
            end_s = begin_s + rounds * round_s
            emitted = (integral_ahead(actions.carbon_points, leads_s, end_s) - before) / round_s
            lucky = noise * np.sqrt(2.0 * np.log(rounds))
            net = level + curve.gained(level, rounds * work) + lucky - here
            net = net - actions.setup_points[..., None] - rounds * bytes_points - per_s * end_s - emitted
            in_time = begin_s + round_s + (rounds - 1) * pace_s <= left_s
            fits = (rounds <= left) & (in_time | ((rounds == 1) & (waits_s == 0)))
            best = np.where(fits & (net > best), net, best)
        return np.where(actions.possible[..., None], best, -np.inf)

    def _watch_the_clock(self, situation: Situation) -> None:
        """Add up the seconds of training rounds."""
        state, now_s = self._state, situation.run.time_s
        lasted_s = np.where(state["trained_last"], now_s - state["decided_at_s"], 0.0)
        state["trained_s"], state["decided_at_s"] = state["trained_s"] + lasted_s, now_s.copy()

    def _pace_s(self, situation: Situation) -> Floats:
        """Seconds `[E]` of a round: the mean so far, with the median client's as one more observation.

        Those who are fast and there now need not be there later.
        """
        typical_s = np.median(situation.round_s(self.steps_now(situation)), axis=1)
        total_s = self._state["trained_s"] + typical_s + situation.terms.overhead_s
        return np.asarray(total_s / (self._state["rounds"] + 1.0))

    def _wait_or_stop(
        self, situation: Situation, chosen: Bools, value: Floats, possible: Bools, later: Floats
    ) -> Floats:
        """Seconds `[E]` to wait: 0 to train, `STOP_S` to end the run.

        Args:
            situation: what is known.
            chosen: bool `[E, N]`.
            value: `[E]`, of the best action now, above stopping.
            possible: bool `[E]`, whether there is one.
            later: `[E, H]`, value of the same action after waiting for each lead of the carbon forecast.
        """
        wait_s = self._wait(situation, chosen)
        leads_s = situation.zones.carbon_leads_s
        waiting = np.zeros(situation.num_envs, dtype=bool)
        if leads_s.size:
            slack_s = self.wait_slack_s - self._state["waited_s"]
            later = np.where(leads_s <= slack_s[:, None], later, -np.inf)
            waiting = (
                possible
                & (later.max(axis=1) > value + self.wait_margin)
                & (wait_s == 0)
                & ~self._state["waited_last"]
            )
            pause_s = np.where(waiting, leads_s[later.argmax(axis=1)], 0.0)
            self._state["waited_s"] = self._state["waited_s"] + pause_s
            wait_s = wait_s + pause_s
            value = np.where(waiting, later.max(axis=1), value)
        self._state["waited_last"] = waiting
        stop = possible & (value < self.stop_margin) & (self._state["rounds"] > 0)
        return np.where(stop, STOP_S, wait_s)

    def _carbon_points(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Floats:
        """Points `[E, N, L + 1]` that an invitation's emissions cost now and at the forecast's leads."""
        curves = np.concatenate(
            [situation.zones.carbon_g_per_kwh[:, :, None], self.carbon_coming(situation)], axis=2
        )
        curves = np.take_along_axis(curves, situation.clients.zone[:, :, None], axis=1)
        kwh = situation.round_j(steps, transfer) / JOULES_PER_KWH
        price = situation.terms.price_per_kg[:, None, None] / GRAMS_PER_KG
        found: Floats = price * kwh[:, :, None] * curves
        return found
