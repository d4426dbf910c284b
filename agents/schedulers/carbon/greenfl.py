"""Green FL: clients and time slots under a carbon budget, planned ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....common.units import JOULES_PER_KWH
from ....envs.contract import STOP_S, SchedulerKind, Situation
from ..base import Rule, State, knob
from ..parts import availability_ahead, client_carbon_ahead, fill_slots, full_rounds

_LEAST_ROUNDS = 1
_GRAMS_FLOOR = 1e-9


@dataclass(kw_only=True)
class GreenflOnline(Rule):
    """Green FL: a carbon budget spent on the cleanest (client, slot) pairs, fairly (Arputharaj et al. 2025).

    Spends a carbon budget on the cleanest (client, slot) pairs, fairly between clients, then fine-tunes.
    Paper: Arputharaj, Rodio & Neglia, "Green Federated Learning via Carbon-Aware Client and Time Slot
    Scheduling", 2025: max sum_k (sum_t (g_max - g_kt) a_kt)^alpha within the budget, all clients in the last
    `fine_tuning` of T + s slots, nothing after them; T is the number of rounds of full participation that the
    budget would pay for, s the slack. A slot is a decision here, a round or a wait: the pace of the decisions
    so far tells which hour a later slot falls into. No more slots are planned ahead than rounds are left, as
    each may be one. The online version re-plans at every decision, with the budget and slots left,
    on the carbon forecast; an empty column is a wait of `slot_s`. Clients come and go here (not in the
    paper): a later slot of a client is planned with only if its forecast availability is at least
    `min_presence`.
    Needs: carbon now and forecast, energy per round, carbon budget (without one: `budget_share` of what
    everybody expected would emit in all rounds), availability forecast.
    Aggregation: by `coefficients`; "unbiased" is the paper's, self-normalised: outside the fine-tuning
    alpha_k / pi_k with pi_k the share of the slots planned for k, cut at `max_weight` times the mean; inside,
    alpha_k. (As the paper has them, not normalised, a slot with few participants makes a step several times
    too long, which explains the collapses in its Table II.)
    Defaults: alpha = 0.1 and one slot of fine-tuning as in the paper, budget 20 %, slack 20 slots.
    """

    name: ClassVar[str] = "greenfl-online"
    truth: ClassVar[bool] = False

    fairness: float = knob(
        0.1, "alpha: 1 carbon-greedy, towards 0 equal split", low=0.001, high=1.0, log=True
    )
    budget_share: float = knob(
        0.2,
        "budget as a share of full participation's emissions, without a budget in the episode",
        low=0.01,
        high=1.0,
        log=True,
    )
    slack_slots: int = knob(
        20, "s, slots beyond the rounds that the budget would pay for", low=1, high=150, log=True
    )
    fine_tuning: int = knob(1, "t_ft, slots at the end in which everybody trains", low=1, high=10, off=0)
    slot_s: float = knob(3600.0, "length of an empty slot, s", low=900.0, high=7200.0, log=True)
    min_presence: float = knob(0.3, "forecast availability that counts on a client", low=0.0, high=0.95)
    coefficients: str = knob(
        "unbiased", "alpha / pi, or the world's aggregator", choices=("unbiased", "world")
    )
    max_weight: float = knob(5.0, "largest coefficient over the mean one", low=1.0, high=30.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds budget, end slot, slot counter, per-client picks and grams spared."""
        numbers = {key: np.zeros(num_envs) for key in ("budget_g", "worst_g", "start_g")}
        numbers |= {key: np.zeros((num_envs, num_clients)) for key in ("spared_g", "picks", "share")}
        counts = {"slot": np.zeros(num_envs, dtype=np.int64), "end": np.zeros(num_envs, dtype=np.int64)}
        return super().fresh_state(num_envs, num_clients) | numbers | counts

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """The first column of each environment's schedule; `participants` plays no part."""
        most = int(situation.run.rounds_left.max(initial=1))
        grams = self._grams_ahead(situation, steps, max(most, 1))
        chance = availability_ahead(situation, self._ahead_s(situation, max(most, 1)))
        self._open(situation, grams, chance)
        chosen = np.zeros(allowed.shape, dtype=bool)
        for row in range(situation.num_envs):
            left = int(min(self.state["end"][row] - self.state["slot"][row], situation.run.rounds_left[row]))
            if left > 0:
                usable = chance[row, :, :left] >= max(self.min_presence, 1e-9)
                usable[:, 0] = allowed[row]
                chosen[row] = self._column(row, situation, grams[row, :, :left], usable)
        return chosen

    def _column(self, row: int, situation: Situation, grams: Floats, usable: Bools) -> Bools:
        state, left = self.state, grams.shape[1]
        tuning = np.arange(left) >= left - self.fine_tuning
        if tuning[0]:
            state["share"][row] = np.nan
            return usable[:, 0].copy()
        left_g = state["budget_g"][row] - (1e3 * situation.run.kilograms[row] - state["start_g"][row])
        args = (usable, state["spared_g"][row], float(state["worst_g"][row]))
        # Forecasts move: a budget that no longer pays for the fine-tuning pays for what it can before it.
        plan = fill_slots(grams, left_g, self.fairness, tuning, *args)
        plan = plan or fill_slots(grams, left_g, self.fairness, None, *args)
        if plan is None:
            state["share"][row] = 0.0
            return np.zeros(usable.shape[0], dtype=bool)
        planned = plan.chosen[:, ~tuning].sum(axis=1)
        slots = max(state["end"][row] - self.fine_tuning, 1)
        state["share"][row] = np.minimum((state["picks"][row] + planned) / slots, 1.0)
        return plan.chosen[:, 0].copy()

    def learn(self, situation: Situation, trained: Bools) -> None:
        """A slot is over; those who train in it have spared something."""
        state = self.state
        grams = situation.round_g(self.steps_now(situation), self.transfers(situation))
        spared_g = np.maximum(state["worst_g"][:, None] - grams, 0.0)
        state["spared_g"] = state["spared_g"] + np.where(trained, spared_g, 0.0)
        state["picks"] = state["picks"] + trained
        state["slot"] = state["slot"] + 1

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """alpha_k / pi_k, cut; alpha_k while fine-tuning."""
        if self.coefficients == "world":
            return None
        share, alpha = self.state["share"], situation.clients.target_weight
        tuning = np.isnan(share).any(axis=1, keepdims=True)
        pi = np.where(chosen & ~tuning, np.maximum(share, 1e-3), np.nan)
        count = np.maximum((np.isfinite(share) & (share > 0)).sum(axis=1, keepdims=True), 1)
        mean = np.maximum(np.where(np.isfinite(share), share, 0.0).sum(axis=1, keepdims=True) / count, 1e-3)
        worth = np.where(tuning, 1.0, np.minimum(1.0 / pi, self.max_weight / mean))
        return np.where(chosen, alpha * worth, 0.0)

    def _open(self, situation: Situation, grams: Floats, chance: Floats) -> None:
        """Fix budget and end at the first decision of an episode."""
        state = self.state
        for row in np.flatnonzero(state["slot"] == 0):
            most = int(situation.run.rounds_left[row])
            full_g = (grams[row, :, :most] * chance[row, :, :most]).sum(axis=0)
            allowance_g = 1e3 * float(situation.terms.budget_left[row, 2])
            budget_g = allowance_g if np.isfinite(allowance_g) else self.budget_share * float(full_g.sum())
            rounds = max(full_rounds(full_g[None], budget_g), _LEAST_ROUNDS)
            state["budget_g"][row], state["start_g"][row] = budget_g, 1e3 * situation.run.kilograms[row]
            state["worst_g"][row] = grams[row, :, :most].max(initial=_GRAMS_FLOOR)
            state["end"][row] = rounds + self.slack_slots

    def _ahead_s(self, situation: Situation, slots: int) -> Floats:
        """Seconds `[E, S]` from now to the slots ahead, by the pace of the decisions so far."""
        slot = self.state["slot"]
        pace_s = np.where(slot > 0, situation.run.time_s / np.maximum(slot, 1), self.slot_s)
        return np.maximum(pace_s, 1.0)[:, None] * np.arange(slots)[None, :]

    def _grams_ahead(self, situation: Situation, steps: Ints32, slots: int) -> Floats:
        """`[E, N, S]`, what an invitation in each slot ahead would emit."""
        carbon = client_carbon_ahead(situation, self._ahead_s(situation, slots), self.truth)
        joules = situation.round_j(steps, self.transfers(situation))
        return np.maximum(joules[:, :, None] / JOULES_PER_KWH * carbon, _GRAMS_FLOOR)

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        return np.full(chosen.shape[0], self.quorum)

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """An empty column is a wait of one slot; after the last slot the run ends."""
        wait_s = np.where(chosen.any(axis=1), super()._wait(situation, chosen), self.slot_s)
        over = (self.state["slot"] >= self.state["end"]) | self._finished()
        return np.where(over, STOP_S, wait_s)


@dataclass(kw_only=True)
class GreenflOffline(GreenflOnline):
    """Green FL with the carbon trace known: true intensities instead of a forecast (Arputharaj et al. 2025).

    `greenfl-online` with the carbon trace known: the true intensity at the leads instead of its forecast.
    Paper: Arputharaj, Rodio & Neglia 2025, the offline problem. What is known here is the true future at the
    leads of the situation's forecast (`Situation.future`); between them it is linear, behind the last
    constant. It sees what no coordinator does, and so counts with those who see the future, not as a
    handcrafted method.
    Needs: as `greenfl-online`, and `Situation.future` (without it: the forecast).
    Aggregation: as `greenfl-online`.
    Defaults: as `greenfl-online`.
    """

    name: ClassVar[str] = "greenfl-offline"
    kind: ClassVar[SchedulerKind] = "ceiling"
    clairvoyant: ClassVar[bool] = True
    truth: ClassVar[bool] = True
