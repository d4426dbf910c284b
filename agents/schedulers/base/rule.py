"""Base of the handcrafted schedulers: what all share, so that comparisons are about the rule alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints, Ints32
from ....common.units import BYTES_PER_GB
from ....envs.contract import REFRESHES, STOP_S, RoundPlan, SchedulerKind, Situation, survival
from .decisions import (
    IDLE_WAIT_S,
    OWN,
    PAYS,
    cleanest_wait_s,
    closing_share,
    plan_for,
    progress,
    rounds_at_price,
    spent_points,
    top_m,
    with_answering,
)
from .hyperparameters import check_knobs, knob, switch

State = dict[str, AnyArray]

_STREAM = 0x5C4ED
"""Keeps a scheduler's random stream apart from the world's, which is seeded with the same number."""
_BARE_TRANSFER = 100
"""Samples sent to a client that holds none and could otherwise train on nothing."""
_LEAST_PRICE = 1e-6
"""Points; samples that cost less count as this dear, so that those for nothing have a price to scale with."""


@dataclass(kw_only=True)
class Rule:
    """Base of the handcrafted schedulers: a score per client, the best m train.

    A subclass says who is preferred (`scores`, or `choose` for other ways of choosing), may prescribe its own
    aggregation coefficients (`weights`) and may keep state per environment (`fresh_state`, `learn`).
    Everything else is common and tunable: how many, how long, how much data, when to wait, when to stop.

    A rule's row i depends on row i alone: its random numbers come from one generator per environment.
    """

    name: ClassVar[str] = "rule"
    kind: ClassVar[SchedulerKind] = "handcrafted"
    clairvoyant: ClassVar[bool] = False

    participants: int = knob(10, "clients per round, m", low=1, high=100, log=True)
    local_steps: int = knob(10, "local SGD steps of each participant", low=1, high=100, log=True)
    balance: float = knob(0.0, "0: equal steps for all; 1: equal time for all", low=0.0, high=1.0)
    most_steps: int = knob(100, "local steps of one client, at most", low=1, high=1000, log=True)
    decay: float = knob(
        1.0, "factor on the local steps at the end of the run, geometric", low=0.02, high=5.0, log=True
    )
    quorum: float = knob(1.0, "share of m to wait for", low=0.3, high=1.0)
    over_selection: float = knob(1.0, "clients invited for each one wanted", low=1.0, high=2.0)
    transfer_samples: int = knob(
        0, "samples sent to a participant in all, at its first rounds", low=20, high=2000, log=True, off=0
    )
    server_step: float = knob(
        1.0, "factor on the server's learning rate, where it is a decision", low=0.01, high=100.0, log=True
    )
    last_server_step: float = knob(
        0.0, "that factor at the end of the run, geometric", low=0.01, high=100.0, log=True, off=0.0
    )
    upload_bits: int = knob(
        0, "bits of an uploaded number, if a decision; 0: the world's", low=2, high=16, off=0
    )
    refresh: str = knob(OWN, "who is sent the new model, where models serve", choices=(OWN, *REFRESHES))
    ask_below: float = knob(
        PAYS, "confidence below which clients ask the hub; off: where it pays", low=0.0, high=1.0, off=PAYS
    )
    transfer_price_power: float = knob(
        0.0, "fewer samples the dearer: times (price of 100, points)^-power", low=0.05, high=1.0, off=0.0
    )
    avoid_losses: bool = switch(False, "leave out clients whose announced end comes too early")
    loss_margin: float = knob(1.1, "room an announced end must leave, in round times", low=1.0, high=3.0)
    min_survival: float = knob(
        0.0,
        "leave out clients less likely than this to finish, by the forecast",
        low=0.05,
        high=0.98,
        off=0.0,
    )
    max_round_s: float = knob(
        math.inf, "leave out clients that need longer, s", low=30.0, high=20000.0, log=True, off=math.inf
    )
    wait_saving: float = knob(
        math.inf,
        "wait for the cleanest forecast hour if the chosen clients' carbon falls by more than this share",
        low=0.02,
        high=0.9,
        off=math.inf,
    )
    wait_slack_s: float = knob(
        43200.0, "waits for carbon in all, at most, s", low=3600.0, high=604800.0, log=True
    )
    stop_after_rounds: int = knob(
        0, "end the run after so many training rounds", low=3, high=300, log=True, off=0
    )
    stop_price_power: float = knob(
        0.0,
        "fewer rounds the dearer they are: times (own mean price of a round / stop_price)^-power",
        low=0.05,
        high=2.0,
        off=0.0,
    )
    stop_price: float = knob(
        1.0, "price of a round at which stop_after_rounds is meant, points", low=0.001, high=100.0, log=True
    )
    stop_gain: float = knob(
        0.0,
        "end the run when the recent gain is below this multiple of its price",
        low=0.2,
        high=3.0,
        off=0.0,
    )
    stop_window: int = knob(8, "training rounds that count as recent", low=3, high=30, log=True)

    def __post_init__(self) -> None:
        check_knobs(self)
        self._rngs: list[np.random.Generator] = []
        self._state: State = {}
        self._num_clients = 0

    # The scheduler interface ------------------------------------------------------------------------------

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes in the rows of `envs`; see `Scheduler.reset`."""
        envs = np.asarray(envs, dtype=bool)
        num_envs = envs.shape[0]
        fresh = self.fresh_state(num_envs, num_clients)
        if len(self._rngs) != num_envs or self._num_clients != num_clients:
            self._rngs = [np.random.default_rng([_STREAM, row]) for row in range(num_envs)]
            self._state, self._num_clients = fresh, num_clients
        for key, initial in fresh.items():
            self._state[key][envs] = initial[envs]
        for row in np.flatnonzero(envs):
            self._rngs[row] = np.random.default_rng([_STREAM, int(seeds[row]) % 2**63])

    def plan(self, situation: Situation) -> RoundPlan:
        """Who trains, for how long, on how much more data, or how long to wait; see `Scheduler.plan`."""
        self._check(situation)
        situation = situation.at_bits(self.upload_bits)
        self._observe(situation)
        steps, transfer = self.steps_now(situation), self.transfers(situation)
        allowed = self.candidates(situation, steps, transfer)
        wanted = math.ceil(self.participants * self.over_selection - 1e-9)
        chosen = self.choose(situation, allowed, wanted, steps)
        wait_s, weights = self._wait(situation, chosen), self.weights(situation, chosen)
        trained = chosen & (wait_s <= 0)[:, None]
        self.learn(situation, trained)
        self._state["trained_last"] = np.asarray(trained.any(axis=1))
        self._state["rounds"] = self._state["rounds"] + self._state["trained_last"]
        quorum, server_step = self._quorum(chosen, wanted), self.server_step_now(situation)
        plan = plan_for(situation, chosen, steps, quorum, transfer, wait_s, weights, server_step)
        return with_answering(plan, situation, self.refresh, self.ask_below)

    # What a rule may say ----------------------------------------------------------------------------------

    def scores(self, situation: Situation, steps: Ints32) -> Floats:
        """Preference `[E, N]`, larger is better, given the local steps `[E, N]`; here: equal."""
        return np.zeros(situation.clients.available.shape)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Bool `[E, N]`: the `wanted` allowed clients with the best scores, equal ones at random."""
        return top_m(self.scores(situation, steps), wanted, allowed, self.uniforms())

    def weights(self, situation: Situation, chosen: Bools) -> Floats | None:
        """Aggregation coefficients `[E, N]` if the method prescribes them; None leaves it to the world."""
        return None

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Initial value of all state, each array with E rows. Extend the parent's dict."""
        window = (num_envs, self.stop_window + 1)
        return {
            "trained_last": np.ones(num_envs, dtype=bool),
            "rounds": np.zeros(num_envs, dtype=np.int64),
            "waited_s": np.zeros(num_envs),
            "accuracy_log": np.full(window, np.nan),
            "spent_log": np.full(window, np.nan),
        }

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Update the rule's own state once it is known who is invited, bool `[E, N]`; here: nothing."""

    # What all share ---------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The per-environment state arrays."""
        return self._state

    def uniforms(self) -> Floats:
        """Random numbers `[E, N]` in [0, 1), each row from its environment's own generator."""
        return np.stack([rng.random(self._num_clients) for rng in self._rngs])

    def steps_now(self, situation: Situation) -> Ints32:
        """Local steps `[E, N]` of this round, at least 1 and at most `most_steps`."""
        now = self.local_steps * self.decay ** progress(situation)
        typical = np.median(situation.clients.step_s, axis=1, keepdims=True)
        steps = now[:, None] * (typical / situation.clients.step_s) ** self.balance
        found: Ints32 = np.clip(np.rint(steps), 1, self.most_steps).astype(np.int32)
        return found

    def server_step_now(self, situation: Situation) -> Floats:
        """Factors `[E]` on the server's learning rate; 1 but where the world makes it a decision."""
        first, last = self.server_step, self.last_server_step or self.server_step
        factors = first * (last / first) ** progress(situation)
        return np.asarray(np.clip(factors, min(first, last), max(first, last)))

    def transfers(self, situation: Situation) -> Ints32:
        """Samples `[E, N]` to send: up to the goal in all, and some to a client that has none.

        The goal is `transfer_samples`, less where samples are dear (`transfer_price_power`).
        """
        goal: Floats = np.full((situation.num_envs, 1), float(self.transfer_samples))
        if self.transfer_price_power > 0:
            gigabytes = 100 * situation.terms.sample_bytes[:, None] / BYTES_PER_GB
            price = np.maximum(gigabytes * situation.terms.price_per_gb[:, None], _LEAST_PRICE)
            goal = np.rint(goal * price**-self.transfer_price_power)
        bare = np.where(situation.clients.samples_held == 0, np.maximum(_BARE_TRANSFER, goal), 0)
        wanted = np.maximum(goal - situation.clients.samples_sent, bare)
        return np.clip(wanted, 0, situation.clients.storage_left).astype(np.int32)

    def carbon_coming(self, situation: Situation) -> Floats:
        """Intensity `[E, Z, H]` that the rule expects at the leads, g CO2e per kWh: the forecast's."""
        return situation.zones.carbon_forecast

    def candidates(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Bools:
        """Bool `[E, N]`: available, with something to train on, fast enough and likely to finish."""
        needed_s = situation.round_s(steps, transfer)
        allowed = situation.clients.available & (needed_s <= self.max_round_s)
        allowed &= situation.clients.samples_held + transfer > 0
        if self.avoid_losses:
            allowed &= situation.clients.announced_left_s >= needed_s * self.loss_margin
        if self.min_survival > 0:
            allowed &= survival(situation, needed_s) >= self.min_survival
        return allowed

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        """Share `[E]` of the invited that closes the round: m answers if all wanted could be invited."""
        invited = np.maximum(chosen.sum(axis=1), 1)
        scaled = np.maximum(np.floor(invited / self.over_selection + 1e-9), 1)
        expected = np.where(invited >= wanted, np.minimum(self.participants, invited), scaled)
        return closing_share(self.quorum * expected, invited)

    def _check(self, situation: Situation) -> None:
        """Refuse situations of another size than the last reset; ValueError."""
        if len(self._rngs) != situation.num_envs or self._num_clients != situation.num_clients:
            raise ValueError(
                f"{self.name}: situation of {situation.clients.available.shape} clients, expected "
                f"{(len(self._rngs), self._num_clients)}: call reset() first"
            )

    def _observe(self, situation: Situation) -> None:
        """Append accuracy and spending to the logs of those that have trained since the last decision."""
        moved = self._state["trained_last"]
        for key, value in (
            ("accuracy_log", 100 * situation.run.accuracy),
            ("spent_log", spent_points(situation)),
        ):
            shifted = np.concatenate([self._state[key][:, 1:], value[:, None]], axis=1)
            self._state[key] = np.where(moved[:, None], shifted, self._state[key])

    def _finished(self) -> Bools:
        """Bool `[E]`: the run is no longer worth its price."""
        done = np.zeros(len(self._rngs), dtype=bool)
        if self.stop_after_rounds > 0:
            # Spent by the end of the last round: a wait since then is no reason to stop.
            spent = np.nan_to_num(self._state["spent_log"][:, -1])
            counted = rounds_at_price(self._state["rounds"], spent, self.stop_price, self.stop_price_power)
            done |= counted >= self.stop_after_rounds
        if self.stop_gain > 0:
            gain = self._state["accuracy_log"][:, -1] - self._state["accuracy_log"][:, 0]
            price = self._state["spent_log"][:, -1] - self._state["spent_log"][:, 0]
            done |= gain < self.stop_gain * price  # nan, hence False, before the window is full
        return done

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """Seconds `[E]` to wait: 0 to train, `STOP_S` to end the run."""
        wait_s = np.where(chosen.any(axis=1), 0.0, IDLE_WAIT_S)
        if math.isfinite(self.wait_saving):
            steps, transfer = self.steps_now(situation), self.transfers(situation)
            round_s = np.where(chosen, situation.round_s(steps, transfer), 0.0).max(axis=1)
            round_s = round_s + situation.terms.overhead_s
            left_s = 3600.0 * situation.terms.budget_left[:, 0] - round_s
            most_s = np.minimum(self.wait_slack_s - self._state["waited_s"], left_s)
            carbon = self.carbon_coming(situation)
            pause_s = cleanest_wait_s(situation, chosen, carbon, most_s, self.wait_saving)
            pause_s = np.where(wait_s == 0, pause_s, 0.0)
            self._state["waited_s"] = self._state["waited_s"] + pause_s
            wait_s = wait_s + pause_s
        return np.where(self._finished(), STOP_S, wait_s)
