"""Train or wait as two experts: online gradient and mirror ascent on the chance of a round, with regret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import Situation
from ..base import State, knob, spent_points
from ..parts import fresh_lengths, unit_gains
from .paced import Paced


@dataclass(kw_only=True)
class TrainOrWait(Paced):
    """Two experts, one says train and the other wait; whom to follow is drawn with a chance that is learned.

    At every decision a round is held with chance x, quota <= x <= 1 - quota. What came of it is known at the
    next one: the change of accuracy, worth what `credit_h` hours of answers make of it (in a world without
    streams, what it is worth at the end), less what was charged in between. Only the one who was followed
    has a gain, divided by its chance, so that both are unbiased; then they are divided by the running mean of
    their length and cut at length 1, which makes G = 1 in the bounds.

    Regret: the gains g_t as they were learned from give the best fixed chance in hindsight, minus <g_t, x_t>.
    Accuracy that changes late is credited to whoever is followed then; drift is held against both alike.
    """

    rate: float = knob(1.0, "step, in multiples of the one with the best bound", low=0.1, high=10.0, log=True)
    quota: float = knob(0.05, "least chance of either", low=0.01, high=0.4)
    credit_h: float = knob(4.0, "hours for which a change of accuracy counts", low=0.5, high=48.0, log=True)

    # What a method says -----------------------------------------------------------------------------------

    def length(self, gains: Floats) -> Floats:
        """The length `[E]` of gains `[E, 2]` in the norm of the method's bound."""
        raise NotImplementedError

    def width(self) -> float:
        """How far the best chance may be from the first one, in the bound's own measure."""
        raise NotImplementedError

    def moved(self, chance: Floats, gains: Floats, eta: Floats) -> Floats:
        """The chance `[E]` after one step, wherever it leads."""
        raise NotImplementedError

    # What both share --------------------------------------------------------------------------------------

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the chance, what was decided last and known then, and the sums behind the regret."""
        zero = ("accuracy_then", "spent_then", "earned", "horizon", "decided")
        more: State = {key: np.zeros(num_envs) for key in zero}
        more |= {"chance": np.full(num_envs, 0.5), "gained": np.zeros((num_envs, 2))}
        more |= {key: np.zeros(num_envs, dtype=bool) for key in ("pending", "trained")}
        return super().fresh_state(num_envs, num_clients) | fresh_lengths(num_envs) | more

    def due(self, situation: Situation) -> Bools:
        """Learn from the last decision, then draw."""
        state = self.state
        slots = np.ceil(situation.terms.budget_left[:, 0] * SECONDS_PER_HOUR / self.look_s)
        slots = np.where(np.isfinite(slots), slots, situation.run.rounds_left)
        state["horizon"] = np.where(state["horizon"] == 0, np.maximum(slots, 1), state["horizon"])
        self._digest(situation)
        draws = np.array([rng.random() for rng in self._rngs])
        return np.asarray(draws < state["chance"])

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember what was done and known; a round that nobody was there for is no decision."""
        state, some = self.state, np.asarray(trained.any(axis=1))
        state["pending"], state["trained"] = some | ~state["due"], some
        state["accuracy_then"] = situation.run.accuracy.copy()
        state["spent_then"] = spent_points(situation)

    def eta(self) -> Floats:
        """The step `[E]` with the best bound for the episode's number of looks, times `rate`."""
        return np.asarray(self.rate * np.sqrt(2 * self.width() / np.maximum(self.state["horizon"], 1)))

    def regret(self) -> Floats:
        """Regret `[E]` so far against the best fixed chance in hindsight; the last decision is still open."""
        train, wait = self.state["gained"].T
        low, high = np.minimum(train, wait), np.maximum(train, wait)
        return np.asarray((1 - self.quota) * high + self.quota * low - self.state["earned"])

    def regret_bound(self) -> Floats:
        """What that cannot exceed: width / eta + eta T / 2 `[E]`, T the decisions so far, G = 1."""
        eta = self.eta()
        return np.asarray(self.width() / eta + eta * self.state["decided"] / 2)

    def _digest(self, situation: Situation) -> None:
        state, moved = self.state, self.state["pending"]
        worth = np.full(situation.num_envs, 100.0)
        if situation.stream is not None:
            worth = situation.stream.requests_hour * situation.stream.points_per_request * self.credit_h
        gain = worth * (situation.run.accuracy - state["accuracy_then"])
        gain = gain - (spent_points(situation) - state["spent_then"])
        played = np.stack([state["chance"], 1 - state["chance"]], axis=1)
        followed = np.stack([state["trained"], ~state["trained"]], axis=1) & moved[:, None]
        raw = np.where(followed, gain[:, None] / played, 0.0)
        gains = unit_gains(state, raw, self.length(raw), moved)
        state["gained"] = state["gained"] + gains
        state["earned"] = state["earned"] + (gains * played).sum(axis=1)
        state["decided"] = state["decided"] + moved
        chance = np.clip(self.moved(state["chance"], gains, self.eta()), self.quota, 1 - self.quota)
        state["chance"] = np.where(moved, chance, state["chance"])
        state["pending"] = np.zeros_like(moved)


@dataclass(kw_only=True)
class GradientPace(TrainOrWait):
    """Online gradient ascent on the chance to train, not wait, with a regret bound (Zinkevich 2003).

    Random m participants with chance x, x <- projection of x + eta g. See `TrainOrWait`.
    Paper: Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient Ascent", ICML 2003.
    eta = D / (G sqrt(T)) with D the distance of the first chance from the farthest, G = 1: regret at most
    D G sqrt(T); see `regret`, `regret_bound`.
    Needs: accuracy after every decision, prices; in a world with streams also requests and their worth.
    Aggregation: the world's aggregator.
    Defaults: a look every half an hour, quota 0.05, four hours of credit, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "oga-pace"

    def length(self, gains: Floats) -> Floats:
        """Euclidean."""
        return np.asarray(np.sqrt((gains**2).sum(axis=1)))

    def width(self) -> float:
        """Half the squared distance."""
        return (0.5 - self.quota) ** 2

    def moved(self, chance: Floats, gains: Floats, eta: Floats) -> Floats:
        """Along the gradient, back onto x_train + x_wait = 1."""
        return np.asarray(chance + eta * (gains[:, 0] - gains[:, 1]) / 2)


@dataclass(kw_only=True)
class MirrorPace(TrainOrWait):
    """Online mirror ascent on the chance to train, not wait, with a regret bound (Si Salem et al. 2021).

    Random m participants with chance x, x proportional to x e^(eta g). See `TrainOrWait`.
    Paper: exponential weights as mirror ascent with the negative entropy, as in Si Salem, Neglia & Ioannidis,
    "No-Regret Caching via Online Mirror Descent", 2021. eta = sqrt(2 KL / T), G = 1 the largest gain, KL of
    the farthest chance from the first one, ln 2 where the quota is small: regret at most sqrt(2 KL T); see
    `regret`, `regret_bound`.
    Needs: accuracy after every decision, prices; in a world with streams also requests and their worth.
    Aggregation: the world's aggregator.
    Defaults: a look every half an hour, quota 0.05, four hours of credit, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "oma-pace"

    def length(self, gains: Floats) -> Floats:
        """The largest."""
        return np.asarray(np.abs(gains).max(axis=1))

    def width(self) -> float:
        """The divergence of the farthest chance from a half."""
        q = self.quota
        return float(np.log(2) + q * np.log(q) + (1 - q) * np.log(1 - q))

    def moved(self, chance: Floats, gains: Floats, eta: Floats) -> Floats:
        """Multiplicative; the projection onto an interval is the nearest end, as in the Euclidean case."""
        odds = np.log(chance) - np.log1p(-chance) + eta * (gains[:, 0] - gains[:, 1])
        return np.asarray(1 / (1 + np.exp(-odds)))
