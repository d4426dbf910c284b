"""FedZero: training on excess energy only, with the clients of the highest utility."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints32
from ....envs.contract import RoundPlan, Situation
from ..base import Rule, State, knob, switch
from ..parts import availability_ahead, feasible, select_by_milp, select_greedily, zone_carbon_ahead

_DURATIONS = 6
"""Round durations tried, equally spaced up to the deadline."""


@dataclass(kw_only=True)
class Fedzero(Rule):
    """FedZero: the most useful clients and shortest round that excess energy allows (Wiesner et al. 2024).

    n clients, their batches and the shortest duration such that excess energy suffices, by utility.
    Paper: Wiesner et al., "FedZero: Leveraging Renewable Excess Energy in Federated Learning", ACM e-Energy
    2024: for d = shortest ... longest, max sum sigma_c m_c over n clients with m_min <= m_c <= m_max within
    forecast capacity and each power domain's forecast excess energy; the first feasible d wins, none: wait.
    sigma is the min-max normalised Oort utility (samples x last loss; samples alone while unknown). After
    a round participants with a utility up to the quantile `exclusion` are blocked; a blocked client is
    released with probability min(alpha / (p_c - omega), 1), 1 if p_c <= omega, p_c its participations and
    omega their mean.
    Needs: carbon now and forecast, availability forecast, speeds, watts, samples, losses.
    Mapping: a situation has grid intensities, no solar output. A zone counts as a power domain; its excess
    power is `domain_clients` median clients' draw x how far its intensity falls below the threshold:
    min(1, 2 (1 - c / threshold)), threshold = `excess_below` x the mean over zones and forecast. So "excess"
    is clean grid power here, not zero-carbon power, and it is charged like any other. Capacity is no
    forecast of its own: a client's speed x the mean of 1, for it is there now, and its forecast availability
    at the end. Energy and capacity are summed over the duration (the paper's minutes within it are not
    planned one by one). Without any solution it waits `wait_s`, in all
    `wait_slack_s` at most; then excess is no longer asked for (the paper's would wait on).
    Aggregation: the world's aggregator.
    Defaults: n = 10, m_max = 5 m_min with m_min = `local_steps` (the paper's 1 and 5 epochs), alpha = 1,
    e = 1.
    """

    name: ClassVar[str] = "fedzero"

    most_over_least: float = knob(5.0, "m_max over m_min", low=1.0, high=10.0, log=True)
    excess_below: float = knob(
        1.0, "intensity under which power counts as excess, over the mean", low=0.5, high=2.0
    )
    domain_clients: float = knob(
        4.0, "clients that a zone's full excess can supply", low=0.5, high=50.0, log=True
    )
    exclusion: float = knob(1.0, "quantile of participants' utility that is blocked", low=0.0, high=1.0)
    release: float = knob(1.0, "alpha of the release probability", low=0.05, high=10.0, log=True)
    wait_s: float = knob(3600.0, "length of a wait for excess power, s", low=900.0, high=14400.0, log=True)
    exact: bool = switch(True, "solve by HiGHS; off: greedily")

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the block list and the planned batches."""
        shape = (num_envs, num_clients)
        blocked, planned = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
        extra: State = {"blocked": blocked, "planned": planned, "last": blocked.copy()}
        return super().fresh_state(num_envs, num_clients) | extra

    def steps_now(self, situation: Situation) -> Ints32:
        """m_min, until the selection has planned more."""
        least = super().steps_now(situation)
        planned = self.state["planned"]
        return np.where(planned > 0, np.clip(planned, 1, self.most_steps), least).astype(np.int32)

    def plan(self, situation: Situation) -> RoundPlan:
        """As every rule; the selection's batches become the local steps."""
        if "planned" in self.state:
            self.state["planned"] = np.zeros_like(self.state["planned"])
        plan = super().plan(situation)
        steps = np.where(plan.local_steps > 0, self.steps_now(situation), 0).astype(np.int32)
        return replace(plan, local_steps=steps)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """The selection of each environment; nobody where it has none."""
        self._update_blocks(situation)
        utility = self._utility(situation)
        durations_s = situation.terms.deadline_s[:, None] * np.arange(1, _DURATIONS + 1)[None, :] / _DURATIONS
        reach, spare_j = self._reach(situation, durations_s), self._spare_j(situation, durations_s)
        free = allowed & ~self.state["blocked"]
        patient = self.state["waited_s"] + self.wait_s <= self.wait_slack_s
        chosen = np.zeros(allowed.shape, dtype=bool)
        for row in np.flatnonzero(allowed.any(axis=1)).tolist():
            among = free[row] if free[row].any() else allowed[row]
            found = self._select(row, situation, among, utility[row], reach[row], spare_j[row], steps[row])
            if found is None and not patient[row]:
                endless = np.full(spare_j[row].shape, np.inf)
                found = self._select(row, situation, among, utility[row], reach[row], endless, steps[row])
                found = np.where(among, steps[row], 0.0) if found is None else found
            if found is not None:
                self.state["planned"][row] = np.maximum(np.floor(found + 1e-6), 0).astype(np.int64)
                chosen[row] = self.state["planned"][row] > 0
        return chosen

    def _select(
        self,
        row: int,
        situation: Situation,
        among: Bools,
        utility: Floats,
        reach: Floats,
        spare_j: Floats,
        steps: AnyArray,
    ) -> Floats | None:
        """Batches `[N]` for the shortest feasible duration; None if there is none."""
        clients = np.flatnonzero(among)
        zone, count = situation.clients.zone[row], min(self.participants, clients.size)
        batch_j = (situation.clients.step_s * situation.clients.compute_watts)[row]
        least = steps.astype(np.float64)
        solve = select_by_milp if self.exact else select_greedily
        for index in range(reach.shape[1]):
            energy_j = spare_j[:, index]
            able = clients[feasible(batch_j, least, reach[:, index], energy_j[zone])[clients]]
            if able.size < count:
                continue
            limit = np.minimum(self.most_over_least * least, self.most_steps)
            most = np.maximum(np.minimum(limit, reach[:, index]), least)
            args = (utility[able], batch_j[able], least[able], most[able], zone[able], energy_j, count)
            found = solve(*args)
            if found is not None:
                batches = np.zeros(among.size)
                batches[able] = found
                return batches
        return None

    def _utility(self, situation: Situation) -> Floats:
        """Utility sigma `[E, N]`, min-max normalised to 0.05 ... 1, so that everyone is worth a little."""
        known = np.isfinite(situation.clients.last_loss)
        first = np.where(known, np.nan_to_num(situation.clients.last_loss), situation.run.loss[:, None])
        raw = situation.clients.samples_held * first
        low, high = raw.min(axis=1, keepdims=True), raw.max(axis=1, keepdims=True)
        found: Floats = 0.05 + 0.95 * (raw - low) / np.maximum(high - low, 1e-12)
        return found

    def _reach(self, situation: Situation, durations_s: Floats) -> Floats:
        """Batches `[E, N, D]` that forecast capacity allows within each duration, transfers taken off."""
        chance = availability_ahead(situation, durations_s)
        moving_s = situation.round_s(0, self.transfers(situation))
        computing_s = np.maximum(durations_s[:, None, :] - moving_s[:, :, None], 0.0)
        return computing_s / situation.clients.step_s[:, :, None] * (0.5 + 0.5 * chance)

    def _spare_j(self, situation: Situation, durations_s: Floats) -> Floats:
        """Joules `[E, Z, D]` of excess within each duration, by the mapping of the class."""
        curves = np.concatenate(
            [situation.zones.carbon_g_per_kwh[:, :, None], situation.zones.carbon_forecast], axis=2
        )
        threshold = self.excess_below * curves.mean(axis=(1, 2))
        middle = zone_carbon_ahead(situation, durations_s / 2)
        excess = np.clip(2.0 * (1.0 - middle / np.maximum(threshold, 1e-9)[:, None, None]), 0.0, 1.0)
        watts = self.domain_clients * np.median(situation.clients.compute_watts, axis=1)
        found: Floats = watts[:, None, None] * excess * durations_s[:, None, :]
        return found

    def _update_blocks(self, situation: Situation) -> None:
        """Block the last participants of low utility, then release by chance."""
        state, last = self.state, self.state["last"]
        if self.exclusion > 0:
            utility = np.where(last, self._utility(situation), np.nan)
            for row in np.flatnonzero(last.any(axis=1)):
                limit = np.nanquantile(utility[row], self.exclusion)
                state["blocked"][row] |= last[row] & (utility[row] <= limit)
        excess = situation.clients.completions - situation.clients.completions.mean(axis=1, keepdims=True)
        chance = np.where(excess <= 0, 1.0, np.minimum(self.release / np.maximum(excess, 1e-9), 1.0))
        freed = self.uniforms() < chance
        state["blocked"] = state["blocked"] & ~(freed & ~last)
        state["last"] = np.zeros_like(last)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember who took part, for the block list."""
        self.state["last"] = trained.copy()

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        return np.full(chosen.shape[0], self.quorum)

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """A wait for energy counts against the slack."""
        waiting = ~chosen.any(axis=1) & situation.clients.available.any(axis=1)
        patient = self.state["waited_s"] + self.wait_s <= self.wait_slack_s
        self.state["waited_s"] = self.state["waited_s"] + np.where(waiting & patient, self.wait_s, 0.0)
        usual = super()._wait(situation, chosen)
        return np.where(waiting & patient & np.isfinite(usual), self.wait_s, usual)
