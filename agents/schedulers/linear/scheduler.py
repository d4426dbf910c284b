"""A linear rule for every decision: the plainest policy that a search can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....common.units import GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from ....envs.contract import STOP_S, RoundPlan, SchedulerKind, Situation, survival
from ..base import closing_share, plan_for, top_m
from ..parts import client_carbon_ahead
from .features import (
    CLIENT_FEATURES,
    RUN_FEATURES,
    SERVED_RUN_FEATURES,
    Middle,
    Orders,
    client_features,
    progress,
    run_features,
)
from .frozen import check_frozen
from .recent import Recent, fresh, note, observe
from .serving import check_refresh, offered, rest_s
from .weights import DECISIONS, INDEX, SERVED_DECISIONS, WEIGHTS, Theta, by_name, theta_rows

Knowledge: TypeAlias = Literal["real", "ends", "carbon", "both"]
"""Which future a linear rule is shown: none, true ends of sessions, true carbon intensity, both."""

_STREAM = 0x11EA4
"""Keeps the rule's random stream apart from the world's, which is seeded with the same number."""
_BARE_TRANSFER = 16
"""Samples sent at least to a client that holds none and could otherwise train on nothing."""
_UNIT_DEVIATION = 12.0**0.5
"""Over the deviation of a uniform number in [0, 1)."""
_SPENT_ON_WAITS = 0.8
"""A wait takes at most this share of the hours left: the work wants some as well."""
_GAIN_UNIT = 5.0
"""Gain per price at which the bounded term of stopping is at 76%."""
_LEAST_PRICE = 0.02
_FORMS = {
    name: np.array([INDEX[f"{name}.{feature}"] for feature in (*RUN_FEATURES, *SERVED_RUN_FEATURES)])
    for name in (*DECISIONS, *SERVED_DECISIONS)
}
"""Places of each decision's weights in a vector theta, those for where models serve last."""


class LinearRule:
    """Linear rule for every decision, its weights found by evolution with a learned scheduler's budget.

    How many answers, local steps, over-selection, quorum, samples to send, waiting and stopping are smooth
    functions of linear forms of the run's features (`DECISIONS`, `RUN_FEATURES`); who trains is the best of a
    linear score of the clients' standardised features (`CLIENT_FEATURES`), some of them times the progress of
    the run, plus chance; clients with a chance to finish below `min-survival` are left out where others are
    there. It waits for the lead of the carbon forecast that saves most, net of the hours, if it saves enough;
    it stops when the logarithm of the rounds exceeds its form plus a bounded term of the recent gain per
    price. Where models serve it also sees how good and how old answers are, and says how long a model serves
    before the next round and who is sent that one.
    Paper: none; policy search by evolution strategies in the manner of Hansen, "The CMA Evolution Strategy: A
    Tutorial", 2016.
    Needs: all of the Situation.
    Aggregation: the world's aggregator.
    Defaults: three participants, 15 steps; meant to be tuned per world.

    Args:
        theta: the weights, see `WEIGHTS`: by name, `[P]`, or one candidate per environment, `[E, P]`.
        middle: of the world's prices and hours, `Middle.of(scenario)`.
        most_steps: local steps of one client, at most.
        freeze: decisions held at a constant instead, see `FREEZABLE`; an instrument of measurement: the best
            rule found with a decision free, minus the best found with it frozen, is the decision's value.
        knowledge: which future it is shown in place of forecasts: "real" for none, "ends" for the true ends
            of sessions, "carbon" for the true intensity at the forecast's leads, "both". An instrument of
            measurement too: all but "real" are clairvoyant, and ceilings in tables.
        fewest_bits: of an update's coordinates, where they are a decision.
        most_bits: likewise; 0: no decision.
        refresh: levels of `RoundPlan.refresh`, where they are a decision.

    Raises:
        ValueError: unknown names or bad values in any of these.
    """

    name: ClassVar[str] = "linear-rule"

    def __init__(
        self,
        theta: Theta | None = None,
        middle: Middle | Mapping[str, float] | None = None,
        most_steps: int = 100,
        freeze: Mapping[str, float] | None = None,
        knowledge: Knowledge = "real",
        fewest_bits: int = 0,
        most_bits: int = 0,
        refresh: Sequence[int] = (),
    ):
        if knowledge not in get_args(Knowledge):
            raise ValueError(f"knowledge: {knowledge!r}, expected one of {', '.join(get_args(Knowledge))}")
        if most_steps < 1:
            raise ValueError(f"most_steps: {most_steps}, expected at least 1")
        if not 0 <= fewest_bits <= most_bits:
            raise ValueError(f"fewest_bits: {fewest_bits}, expected 0 to most_bits, {most_bits}")
        self._given, self._bits = theta_rows(theta), (int(fewest_bits), int(most_bits))
        self.refresh = check_refresh(refresh)
        self.middle = middle if isinstance(middle, Middle) else Middle(**(middle or {}))
        self.most_steps, self.freeze, self.knowledge = int(most_steps), check_frozen(freeze or {}), knowledge
        self._rngs: list[np.random.Generator] = []
        self._theta, self._num_clients = self._given[:0], 0
        self._averages: Recent = {}

    @property
    def kind(self) -> SchedulerKind:
        """How tables group it."""
        return "ceiling" if self.clairvoyant else "handcrafted"

    @property
    def clairvoyant(self) -> bool:
        """Whether it wants to see `Situation.future`."""
        return self.knowledge != "real"

    @property
    def settings(self) -> dict[str, object]:
        """What decides how it plays, JSON-able; as arguments they build it again."""
        rows = self._given
        theta = by_name(rows[0]) if len(rows) == 1 else rows.tolist()
        whole = {"theta": theta, "middle": vars(self.middle), "most_steps": self.most_steps}
        told = {"freeze": self.freeze, "knowledge": self.knowledge, "refresh": list(self.refresh)}
        return whole | told | self.bits

    @property
    def bits(self) -> dict[str, int]:
        """The fewest and the most bits of an update's coordinates, as arguments."""
        return dict(zip(("fewest_bits", "most_bits"), self._bits, strict=True))

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes in the rows of `envs`; see `Scheduler.reset`."""
        num_envs = len(envs)
        if len(self._given) not in (1, num_envs):
            raise ValueError(
                f"theta: {len(self._given)} rows, expected 1 or one for each of {num_envs} environments"
            )
        if len(self._rngs) != num_envs or self._num_clients != num_clients:
            self._rngs = [np.random.default_rng([_STREAM, row]) for row in range(num_envs)]
            self._theta = np.array(np.broadcast_to(self._given, (num_envs, len(WEIGHTS))))
            self._averages, self._num_clients = fresh(num_envs), num_clients
        for name, initial in fresh(num_envs).items():
            self._averages[name] = np.where(envs, initial, self._averages[name])
        for row in np.flatnonzero(envs):
            self._rngs[row] = np.random.default_rng([_STREAM, int(seeds[row]) % 2**63])

    def plan(self, situation: Situation) -> RoundPlan:
        """Who trains, for how long, on how much more data, or how long to wait; see `Scheduler.plan`."""
        if len(self._rngs) != situation.num_envs or self._num_clients != situation.num_clients:
            raise ValueError(
                f"{self.name}: situation of {situation.clients.available.shape} clients, expected "
                f"{(len(self._rngs), self._num_clients)}: call reset() first"
            )
        observe(self._averages, situation)
        features = run_features(situation, self.middle)
        served = situation.stream is not None
        names = (*DECISIONS, *SERVED_DECISIONS) if served else DECISIONS
        forms = {name: self._form(name, features) for name in names}
        situation = situation.at_bits(self._upload_bits(forms["upload-bits"]))
        orders = self._orders(situation, forms)
        wanted, invitations, closing = self._crowd(forms)
        chosen = top_m(self._scores(situation, orders), invitations, self._candidates(situation, orders))
        wait_s = self._wait_s(situation, forms["wait"], chosen, orders)
        rests_s = self._rest_s(situation, forms) if served else np.zeros(situation.num_envs)
        wait_s = np.where(rests_s > 0, rests_s, wait_s)
        wait_s = np.where(self._finished(situation, forms["stop"]), STOP_S, wait_s)
        note(self._averages, situation, chosen.any(axis=1) & (wait_s <= 0))
        invited = np.maximum(chosen.sum(axis=1), 1)
        quorum = closing_share(closing * np.minimum(wanted, invited), invited)
        plan = plan_for(situation, chosen, orders.local_steps, quorum, orders.transfer_samples, wait_s)
        if not served or not self.refresh:
            return plan
        return replace(plan, refresh=offered(self._constant("refresh", forms["refresh"]), self.refresh))

    def _weight(self, name: str) -> Floats:
        """One weight, `[E]`."""
        found: Floats = self._theta[:, INDEX[name]]
        return found

    def _form(self, decision: str, features: Floats) -> Floats:
        """A decision's linear form of the features `[E, F]`, `[E]`."""
        weights = np.take(self._theta, _FORMS[decision][: features.shape[1]], axis=1)
        found: Floats = (weights * features).sum(axis=1)
        return found

    def _constant(self, decision: str, free: Floats) -> Floats:
        """`[E]`, a decision as it is, or the constant at which it is frozen."""
        frozen = self.freeze.get(decision)
        return free if frozen is None else np.full(free.shape, float(frozen))

    def _upload_bits(self, form: Floats) -> Ints:
        """Bits `[E]` of an update's coordinates; 0: the world's."""
        bits = np.exp(np.clip(form, 0.0, 3.0)) if self._bits[1] else np.zeros(form.shape)
        wanted = np.rint(self._constant("upload_bits", bits)).astype(np.int64)
        return np.where(wanted > 0, np.clip(wanted, *self._bits), 0)

    def _orders(self, situation: Situation, forms: Mapping[str, Floats]) -> Orders:
        """What each client would be ordered."""
        clients = situation.clients
        base = self._constant("local_steps", np.exp(np.clip(forms["local-steps"], -1.0, 4.6)))
        balance = 0.0 if "local_steps" in self.freeze else np.clip(self._weight("balance"), 0.0, 1.5)[:, None]
        typical = np.median(clients.step_s, axis=1, keepdims=True)
        scaled = base[:, None] * (typical / clients.step_s) ** balance
        steps: Ints32 = np.clip(np.rint(scaled), 1, self.most_steps).astype(np.int32)
        goal = np.exp(np.clip(forms["transfer-samples"], -3.0, 7.5))
        goal = np.rint(self._constant("transfer_samples", goal))[:, None]
        bare = np.where(clients.samples_held == 0, _BARE_TRANSFER, 0)
        sent = np.maximum(goal - clients.samples_sent, bare)
        transfer: Ints32 = np.clip(sent, 0, clients.storage_left).astype(np.int32)
        needed_s = situation.round_s(steps, transfer)
        if self.knowledge in ("ends", "both"):
            assert situation.future is not None
            finishes = (situation.future.session_left_s >= needed_s).astype(np.float64)
        else:
            finishes = survival(situation, needed_s)
        return Orders(steps, transfer, needed_s, finishes)

    def _crowd(self, forms: Mapping[str, Floats]) -> tuple[Floats, Ints, Floats]:
        """Answers wanted `[E]`, clients to invite `[E]`, share `[E]` of the wanted answers that closes."""
        frozen = "participants" in self.freeze
        free = np.rint(np.exp(np.clip(forms["participants"], -1.0, 4.6)))
        wanted = np.clip(self._constant("participants", free), 1, self._num_clients)
        spare = 1.0 if frozen else np.exp(np.clip(forms["over-selection"], 0.0, 1.5))
        invitations = np.clip(np.ceil(wanted * spare - 1e-9), 1, self._num_clients).astype(np.int64)
        closing = np.ones(len(wanted)) if frozen else _sigmoid(forms["quorum"])
        return wanted, invitations, closing

    def _candidates(self, situation: Situation, orders: Orders) -> Bools:
        """Bool `[E, N]`: those likely to finish in time; all that could be invited where nobody is."""
        able = situation.clients.available & (situation.clients.samples_held + orders.transfer_samples > 0)
        likely = able & (orders.finishes >= np.clip(self._weight("min-survival"), 0.0, 0.98)[:, None])
        likely = likely & (orders.needed_s <= situation.terms.deadline_s[:, None])
        found: Bools = np.where(likely.any(axis=1, keepdims=True), likely, able)
        return found

    def _scores(self, situation: Situation, orders: Orders) -> Floats:
        """Preference `[E, N]`; the same random numbers are drawn whether it is frozen or not."""
        chance = np.stack([rng.random(self._num_clients) for rng in self._rngs])
        if "who" in self.freeze:
            return chance
        now = progress(situation)
        noise = np.exp(np.clip(self._weight("who.noise"), -6.0, 3.0))[:, None]
        score = noise * _UNIT_DEVIATION * (chance - 0.5)
        for name, values in client_features(situation, orders).items():
            weight = self._weight(f"who.{name}")
            if name in CLIENT_FEATURES and CLIENT_FEATURES[name].over_time:
                weight = weight + now * self._weight(f"who.{name}.progress")
            score = score + weight[:, None] * values
        return score

    def _wait_s(self, situation: Situation, form: Floats, chosen: Bools, orders: Orders) -> Floats:
        """Seconds `[E]` until the lead that saves most carbon, net of the hours; 0 if that is too little."""
        leads_s = situation.zones.carbon_leads_s
        if "wait" in self.freeze or leads_s.size == 0:
            return np.zeros(situation.num_envs)
        joules = np.where(chosen, situation.round_j(orders.local_steps, orders.transfer_samples), 0.0)
        ahead = client_carbon_ahead(situation, leads_s, truth=self.knowledge in ("carbon", "both"))
        now = (joules * situation.client_carbon).sum(axis=1)[:, None]
        then = (joules[:, :, None] * ahead).sum(axis=1)
        lead_h = leads_s[None, :] / SECONDS_PER_HOUR
        points = now / (JOULES_PER_KWH * GRAMS_PER_KG) * situation.terms.price_per_kg[:, None]
        patience = np.exp(np.clip(self._weight("wait.hours"), -6.0, 3.0))[:, None]
        hours = patience * situation.terms.price_per_hour[:, None] * lead_h
        saved = np.where(points > 0, (points * (1.0 - then / np.maximum(now, 1e-300)) - hours), 0.0)
        share = saved / np.where(points > 0, points, 1.0)
        share = np.where(lead_h < _SPENT_ON_WAITS * situation.terms.budget_left[:, :1], share, -np.inf)
        best = share.argmax(axis=1)
        enough = np.take_along_axis(share, best[:, None], axis=1)[:, 0] > _sigmoid(form)
        return np.where(enough & chosen.any(axis=1), leads_s[best], 0.0)

    def _rest_s(self, situation: Situation, forms: Mapping[str, Floats]) -> Floats:
        """Seconds `[E]` for which the model serves on as it is; 0 where a round is due."""
        if "wait" in self.freeze:
            return np.zeros(situation.num_envs)
        pauses = self._constant("pause", np.exp(np.clip(forms["pause"], -3.0, 5.0)))
        return rest_s(situation, self._averages["began_s"], pauses)

    def _finished(self, situation: Situation, form: Floats) -> Bools:
        """Bool `[E]`: the run is no longer worth its price."""
        rounds = situation.run.round_index
        if "stop_after_rounds" in self.freeze:
            return np.asarray(rounds >= self.freeze["stop_after_rounds"])
        weight = np.exp(np.clip(self._weight("stop.gain"), -3.0, 2.0))
        per_price = self._averages["gain"] / np.maximum(self._averages["price"], _LEAST_PRICE)
        late: Bools = np.log1p(rounds) > form + weight * np.tanh(per_price / _GAIN_UNIT)
        return late & (rounds > 0)


def _sigmoid(values: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))
    return found
