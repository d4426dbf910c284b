"""Online ascent on the concave gain: mirror ascent (INFIDA), gradient ascent, tabular greedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.serving import ServingSituation
from ....envs.serving_view import gain_and_slope, ladder_of, marginals
from ..base import State, knob
from .policy import Placement
from .simplices import (
    drawn_contents,
    gradient_bound,
    gradient_rate,
    mirror_bound,
    mirror_rate,
    nearest_distributions,
    softmax,
)


@dataclass(kw_only=True)
class Ascent(Placement):
    """Base of the ascents: a distribution over contents for each slot, which climbs the gain's slope.

    In each step the requests just seen make a concave gain G_t (see `ladder`), and y moves along its slope at
    the y that was played. Contents are drawn slot by slot with uniforms that are kept for the whole episode,
    so that a choice changes only as far as y does. In expectation the drawn placement gains at least
    (1 - 1/e) G_t(y) where the hub is the dearest option.

    Regret: the best fixed y in hindsight, max_y sum_t <g_t, y>, minus sum_t <g_t, y_t>. As G is concave it is
    no less than the regret in G itself against any fixed placement, and `regret_bound` holds in every
    episode. A slot that is away has no slope.
    """

    rate: float = knob(
        1.0, "step, in multiples of the one with the best bound", low=0.01, high=100.0, log=True
    )

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds y (as `point`), the step, the uniforms, and the sums behind the regret."""
        ladder = ladder_of(situation, situation.tasks.mean_rate, away=True)
        shape = ladder.cost.shape
        tasks = situation.tasks.mean_rate.shape[2]
        of_task = np.arange(shape[2]) // (shape[2] // tasks)
        room = np.minimum(ladder.capacity, ladder.requests[:, None, of_task])
        most = room * np.maximum(ladder.dropped - np.minimum(ladder.cost, ladder.dropped), 0.0)
        horizon = np.full(shape[0], float(situation.terms.steps))
        return super().fresh_state(situation) | {
            "point": self.first(shape),
            "eta": self.rate * self.best_rate(most, horizon),
            "uniforms": self.kept_uniforms(shape[1]),
            "slopes": np.zeros(shape),
            "earned": np.zeros(shape[0]),
            "squares": np.zeros(shape[:2]),
        }

    def first(self, shape: tuple[int, ...]) -> Floats:
        """The first y."""
        return np.full(shape, 1.0 / shape[2])

    def best_rate(self, most: Floats, horizon: Floats) -> Floats:
        """The step `[E, S]` with the best bound if no slope exceeds `most` `[E, S, J]`."""
        raise NotImplementedError

    def square(self, slope: Floats) -> Floats:
        """Square of the size `[E, S]` of a slope in the norm of the bound."""
        raise NotImplementedError

    def climb(self, point: Floats, slope: Floats) -> Floats:
        """The next y."""
        raise NotImplementedError

    def regret_bound(self) -> Floats:
        """What the regret `[E]` so far cannot exceed, in points of one request."""
        raise NotImplementedError

    def regret(self) -> Floats:
        """Regret `[E]` so far of y against the best fixed y, in points of one request."""
        return np.asarray(self.state["slopes"].max(axis=2).sum(axis=1) - self.state["earned"])

    def ascend(self, slope: Floats) -> None:
        """Move y along a slope `[E, S, J]` and count what it earned."""
        state = self.state
        state["slopes"] = state["slopes"] + slope
        state["earned"] = state["earned"] + (slope * state["point"]).sum(axis=(1, 2))
        state["squares"] = state["squares"] + self.square(slope)
        state["point"] = self.climb(state["point"], slope)

    def place(self, situation: ServingSituation) -> Ints:
        """Learn from the last step's requests, then draw; the first step has none."""
        played = self.state["point"] * situation.slots.available[:, :, None]
        _, slope = gain_and_slope(ladder_of(situation, situation.tasks.requests_last), played)
        self.ascend(slope)
        return drawn_contents(self.state["point"], self.state["uniforms"])


@dataclass(kw_only=True)
class InfidaOma(Ascent):
    """INFIDA: online mirror ascent with negative entropy on each slot's distribution over models.

    y_sj <- y_sj e^(eta g_sj) / Z_s, g_sj = min(capacity, r) (gamma_K* - gamma_sj)+, where K* is the dearest
    option that y needs to answer all requests r.
    Paper: Si Salem et al., "Toward Inference Delivery Networks: Distributing Machine Learning With Optimality
    Guarantees", IEEE/ACM Transactions on Networking 32(1), 2024, whose memory knapsack per node is here a
    choice of one model per slot (a partition matroid), and whose rounding (DepRound) becomes a draw per slot.
    Needs: requests of the last step, capacities, accuracies, prices.
    Defaults: eta_s = sqrt(8 ln J / T) / G_s with G_s the largest slope at the mean rates: regret at most
    sum_s G_s sqrt(T ln J / 2), and (1 - 1/e) times that against what the drawn placements gain.
    """

    name: ClassVar[str] = "infida-oma"

    def best_rate(self, most: Floats, horizon: Floats) -> Floats:
        """For gains from 0 to the largest."""
        return mirror_rate(most.max(axis=2), most.shape[2], horizon)

    def square(self, slope: Floats) -> Floats:
        """Of the range."""
        return np.asarray(np.ptp(slope, axis=2) ** 2)

    def climb(self, point: Floats, slope: Floats) -> Floats:
        """Multiplied."""
        return softmax(np.log(np.maximum(point, 1e-300)) + self.state["eta"][:, :, None] * slope)

    def regret_bound(self) -> Floats:
        """See `mirror_bound`."""
        return mirror_bound(self.state["eta"], self.state["point"].shape[2], self.state["squares"])


@dataclass(kw_only=True)
class OnlineGradientPlacement(Ascent):
    """Online gradient ascent on each slot's distribution over models, projected onto the simplex.

    Paper: Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient Ascent", ICML 2003;
    for caches, Si Salem, Neglia & Ioannidis, "No-Regret Caching via Online Mirror Descent", 2021.
    Needs: requests of the last step, capacities, accuracies, prices.
    Defaults: eta_s = D / (G_s sqrt(T)), D^2 = 1 - 1 / J, with G_s the length of the largest slope at the mean
    rates: regret at most sum_s D G_s sqrt(T).
    """

    name: ClassVar[str] = "oga"

    def best_rate(self, most: Floats, horizon: Floats) -> Floats:
        """For slopes of the largest length."""
        return gradient_rate(np.sqrt((most**2).sum(axis=2)), most.shape[2], horizon)

    def square(self, slope: Floats) -> Floats:
        """Euclidean."""
        return np.asarray((slope**2).sum(axis=2))

    def climb(self, point: Floats, slope: Floats) -> Floats:
        """Projected."""
        return nearest_distributions(point + self.state["eta"][:, :, None] * slope)

    def regret_bound(self) -> Floats:
        """See `gradient_bound`."""
        return gradient_bound(self.state["eta"], self.state["point"].shape[2], self.state["squares"])


@dataclass(kw_only=True)
class TabularGreedy(Placement):
    """Online tabular greedy: a learner per slot and colour, each paid what it adds to those before it.

    A table of S x C exponential-weights learners; slot s plays the content of its own colour's learner. With
    freshly drawn colours c, learners take their turn in the order (c_s, s), and each is paid for every
    content what that would add to what came before it: an unbiased estimate of its marginal gain in the
    table. More colours bring 1 - 1/e nearer and slow the learning; one is online greedy, 1/2.
    Paper: Streeter, Golovin & Krause, "Online Learning of Assignments", NIPS 2009 (with the proof: Golovin,
    Krause & Streeter, arXiv 1407.1082); for networks of caches, Li, Si Salem, Neglia & Ioannidis, "Online
    Caching Networks with Adversarial Guarantees", POMACS 5(3), 2021. The slots' own colours and uniforms are
    kept for the episode, which is what moves least.
    Needs: requests of the last step, capacities, accuracies, prices.
    Defaults: four colours, the best step for gains up to those at the mean rates. Its bound on the
    (1 - 1/e)-regret holds less S (S - 1) / (2 C) of the optimum and is void at these sizes, so none is given.
    """

    name: ClassVar[str] = "tbgrd"

    colours: int = knob(4, "C, learners per slot", low=1, high=32, log=True)
    rate: float = knob(
        1.0, "step, in multiples of the one with the best bound", low=0.01, high=100.0, log=True
    )

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds the table of scores, the slots' colours and uniforms, and the step."""
        ladder = ladder_of(situation, situation.tasks.mean_rate, away=True)
        envs, slots, contents = ladder.cost.shape
        of_task = np.arange(contents) // situation.num_rungs
        room = np.minimum(ladder.capacity, ladder.requests[:, None, of_task])
        most = (room * np.maximum(ladder.dropped - np.minimum(ladder.cost, ladder.dropped), 0.0)).max(axis=2)
        horizon = np.full(envs, situation.terms.steps / self.colours)
        kept = self.kept_uniforms(slots, self.colours + 1)
        return super().fresh_state(situation) | {
            "scores": np.zeros((envs, slots, self.colours, contents)),
            "colour": np.floor(kept[:, :, -1] * self.colours).astype(np.int64),
            "uniforms": kept[:, :, :-1],
            "eta": self.rate * mirror_rate(most, contents, horizon),
        }

    def learn(self, situation: ServingSituation) -> None:
        """Pay one learner of each slot, with fresh colours."""
        state = self.state
        envs, slots = state["colour"].shape
        colour = np.floor(self.uniforms(slots) * self.colours).astype(np.int64)
        ladder = ladder_of(situation, situation.tasks.requests_last)
        rank = colour * slots + np.arange(slots)
        added = marginals(ladder, self._drawn(colour), rank=rank)
        rows, columns = np.indices((envs, slots))
        state["scores"][rows, columns, colour] += state["eta"][:, :, None] * added

    def place(self, situation: ServingSituation) -> Ints:
        """Learn from the last step's requests, then the contents of the slots' own colours."""
        self.learn(situation)
        return self._drawn(self.state["colour"])

    def _drawn(self, colour: Ints) -> Ints:
        rows, slots = np.indices(colour.shape)
        table = softmax(self.state["scores"][rows, slots, colour])
        return drawn_contents(table, self.state["uniforms"][rows, slots, colour])
