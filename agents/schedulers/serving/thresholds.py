"""Hierarchical inference: below which confidence a slot's answer is asked of the hub.

Confidence falls into bins, one from each of the world's levels to the next; a threshold at level b asks the
bins before b. An asked answer costs the hub's time and emissions, and is then right as often as the hub is.
What is learned online are the answers that were asked, and whether the hub said the same: the truth is never
seen, and the papers take the hub's word for it. `doubt` says how much of that word is believed: a hub that
contradicts is right with that probability more than it is wrong (1 in the papers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Floats
from ....envs.serving import NOTHING, POINTS_PER_ANSWER, ServingSituation
from ..base import State, knob
from .policy import Threshold


@dataclass(kw_only=True)
class NeverAsk(Threshold):
    """Nobody is asked: every slot's answer stands.

    Paper: none.
    Needs: nothing.
    Defaults: none.
    """

    name: ClassVar[str] = "never-ask"

    def thresholds(self, situation: ServingSituation) -> Floats:
        """The first level, 0."""
        return np.zeros((situation.num_envs, situation.num_tasks))


@dataclass(kw_only=True)
class AskBelow(Threshold):
    """One threshold for all tasks and hours: the highest of the world's levels up to `level`.

    Paper: none; what hierarchical inference does without learning.
    Needs: nothing.
    Defaults: 0.5.
    """

    name: ClassVar[str] = "ask-below"

    level: float = knob(0.5, "confidence below which the hub is asked", low=0.0, high=1.0)

    def thresholds(self, situation: ServingSituation) -> Floats:
        """The same everywhere."""
        levels = situation.terms.threshold_levels
        chosen = levels[levels <= self.level].max(initial=0.0)
        return np.full((situation.num_envs, situation.num_tasks), chosen)


@dataclass(kw_only=True)
class Calibrated(Threshold):
    """The threshold that is best by the validation rows of the models that are in use.

    argmax over the levels of 100 x accuracy with asking - share asked x price, the mean over a task's slots
    by their capacity; with calibrated models it asks where 1 - p > price / 100.
    Paper: the closed form for calibrated models of Moothedath et al., "Inference Offloading for
    Cost-Sensitive Binary Classification at the Edge", 2025 (arXiv 2509.15674).
    Needs: accuracy with asking, by level, on validation rows; what slots hold; prices.
    Defaults: the price of an answer of the hub is its own, plus `scarcity` where it had no room last time.
    """

    name: ClassVar[str] = "calibrated"

    scarcity: float = knob(
        50.0, "points that an answer of a full hub is worth elsewhere", low=0.0, high=100.0
    )

    def thresholds(self, situation: ServingSituation) -> Floats:
        """Per task."""
        tasks, model = situation.tasks, np.where(situation.serving, situation.slots.model, NOTHING)
        capacity = situation.of_rung(situation.slots.capacity_per_step, model)
        part = np.zeros((*model.shape[:1], *tasks.accuracy_known.shape))
        rows, slots = np.nonzero(model != NOTHING)
        task, rung = situation.task_of(model)[rows, slots], situation.rung_of(model)[rows, slots]
        np.add.at(part, (rows, task, rung), capacity[rows, slots])
        part = part / np.maximum(part.sum(axis=2, keepdims=True), 1e-300)
        price = asking_price(situation, self.scarcity)[:, :, None, None]
        worth = POINTS_PER_ANSWER * tasks.ask_accuracy - price * tasks.ask_share
        best = (part[..., None] * worth).sum(axis=2).argmax(axis=2)
        return np.asarray(situation.terms.threshold_levels[best])


@dataclass(kw_only=True)
class OnlineThreshold(Threshold):
    """Base of the learned thresholds: what the bins of the last step say, and what an asked answer costs."""

    doubt: float = knob(
        0.5, "how much more often a contradicting hub is right than wrong", low=0.05, high=1.0
    )
    scarcity: float = knob(
        50.0, "points that an answer of a full hub is worth elsewhere", low=0.0, high=100.0
    )

    def price(self, situation: ServingSituation) -> Floats:
        """Points of an asked answer over the points that the hub's contradiction brings, `[E, I]`."""
        return asking_price(situation, self.scarcity) / (POINTS_PER_ANSWER * self.doubt)


@dataclass(kw_only=True)
class HiLcb(OnlineThreshold):
    """HI-LCB: a bin is asked while the lower bound on P(right) leaves more to gain than asking costs.

    Bin b has f_b, the share of asked answers that the hub confirmed, n_b of them among t; f rises with the
    confidence, hence LCB_b = max_{k <= b} (f_k - sqrt(alpha ln t / n_k)), and b is asked while
    1 - LCB_b >= price.
    Paper: Chattopadhyay, Sutar, Champati & Moharir, "Low-Regret and Low-Complexity Learning for Hierarchical
    Inference", 2025 (arXiv 2508.08985): regret O(log T). Here answers come by the thousand, prices are known,
    and counts are forgotten with a half-life, since slots change their models.
    Needs: asked and confirmed answers by confidence bin.
    Defaults: alpha 0.52, half-life of 36 steps (six hours).
    """

    name: ClassVar[str] = "hi-lcb"

    alpha: float = knob(0.52, "width of the confidence bound", low=0.01, high=4.0, log=True)
    memory: float = knob(36.0, "half-life of counts, steps", low=1.0, high=1000.0, log=True)

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds asked and confirmed answers by bin, and all answers."""
        shape = situation.tasks.bins_asked.shape
        zeros = {"asked": np.zeros(shape), "agreed": np.zeros(shape), "total": np.zeros(shape[:2])}
        return super().fresh_state(situation) | zeros

    def thresholds(self, situation: ServingSituation) -> Floats:
        """Per task: the first level whose bins before it are worth asking and whose own is not."""
        state, tasks = self.state, situation.tasks
        keep = 0.5 ** (1.0 / self.memory)
        state["asked"] = keep * state["asked"] + tasks.bins_asked
        state["agreed"] = keep * state["agreed"] + tasks.bins_agreed
        state["total"] = keep * state["total"] + tasks.bins_answered.sum(axis=2)
        low = lower_bounds(state["asked"], state["agreed"], state["total"], self.alpha)
        asks = 1.0 - low >= self.price(situation)[:, :, None]
        count = np.minimum(asks.cumprod(axis=2).sum(axis=2), asks.shape[2] - 1)
        return np.asarray(situation.terms.threshold_levels[count.astype(np.int64)])


@dataclass(kw_only=True)
class H2t2(OnlineThreshold):
    """H2T2: exponential weights over thresholds, whose losses are seen in exploring steps only.

    With chance epsilon a step asks as much as the levels allow; a threshold's loss is the price for the bins
    that it asks, and for the others, in exploring steps only, what was contradicted, over epsilon.
    Paper: Moothedath, Agarwal, Umeshraja, Gross, Champati & Moharir, "Inference Offloading for Cost-Sensitive
    Binary Classification at the Edge", 2025 (arXiv 2509.15674), with two thresholds on the score of one class
    for unequal errors; errors cost the same here, which makes the two mirror images, one on the confidence.
    Needs: asked and confirmed answers by confidence bin.
    Defaults: epsilon = (ln B / (2 T))^(1/3), eta = sqrt(2 epsilon ln B / T) for T steps and B levels, which
    balances ln B / eta + eta T / (2 epsilon) + epsilon T: regret of the order T^(2/3).
    """

    name: ClassVar[str] = "h2t2"

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds the thresholds' scores, what was chosen, and whether it explored."""
        shape = situation.tasks.bins_asked.shape
        return super().fresh_state(situation) | {
            "scores": np.zeros(shape),
            "explored": np.zeros(shape[:2], dtype=bool),
            "chance": np.ones(shape),
        }

    def estimate(self, wrong: Floats, asked: Floats) -> Floats:
        """Loss `[E, I, B]` of not asking each bin, of contradicted and asked answers by bin; unbiased."""
        return np.where(self.state["explored"][:, :, None], wrong / self.exploration(), 0.0)

    def exploration(self) -> float:
        """Epsilon."""
        levels = self.state["scores"].shape[2]
        return float(min(1.0, (np.log(levels) / (2.0 * self._steps)) ** (1.0 / 3.0)))

    def thresholds(self, situation: ServingSituation) -> Floats:
        """Learn from the last step, then draw."""
        self._steps = situation.terms.steps
        state, tasks, levels = self.state, situation.tasks, situation.terms.threshold_levels
        total = np.maximum(tasks.bins_answered.sum(axis=2, keepdims=True), 1.0)
        contradicted = (tasks.bins_asked - tasks.bins_agreed) / total
        kept = self.estimate(contradicted, tasks.bins_asked)
        asked = self.price(situation)[:, :, None] * tasks.bins_answered / total
        epsilon, size = self.exploration(), levels.size
        eta = np.sqrt(2.0 * epsilon * np.log(size) / self._steps)
        state["scores"] = state["scores"] - eta * losses_of_levels(asked, kept)
        weights = np.exp(state["scores"] - state["scores"].max(axis=2, keepdims=True))
        weights = weights / weights.sum(axis=2, keepdims=True)
        drawn = self.uniforms(weights.shape[1], 2)
        chosen = np.minimum((np.cumsum(weights, axis=2) <= drawn[:, :, :1]).sum(axis=2), size - 1)
        state["explored"] = drawn[:, :, 1] < epsilon
        above = 1.0 - np.cumsum(weights, axis=2)  # chance that a bin lies below the threshold
        state["chance"] = epsilon * (np.arange(size) < size - 1) + (1 - epsilon) * above
        return levels[np.where(state["explored"], size - 1, chosen)]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._steps = 1


@dataclass(kw_only=True)
class HiExp(H2t2):
    """Exponential weights over the thresholds, each bin's loss over the chance that it was asked.

    As `h2t2`, but every asked answer teaches, not only those of exploring steps.
    Paper: the exponential weights (HIL-N) of Moothedath, Champati & Gross, "Online Algorithms for
    Hierarchical Inference in Deep Learning applications at the Edge", 2023 (arXiv 2304.00891).
    Needs: asked and confirmed answers by confidence bin.
    Defaults: those of `h2t2`.
    """

    name: ClassVar[str] = "hi-exp"

    def estimate(self, wrong: Floats, asked: Floats) -> Floats:
        """Contradicted answers over the chance of having been asked."""
        return np.where(asked > 0, wrong / np.maximum(self.state["chance"], 1e-3), 0.0)


def asking_price(situation: ServingSituation, scarcity: float) -> Floats:
    """Points of one answer of the hub for a slot that is not sure, `[E, I]`: its way, emissions, scarcity.

    Args:
        situation: with the last step's drops, which say that the hub had no room.
        scarcity: points of an answer that the hub gives in the place of another.
    """
    terms, hub = situation.terms, situation.hub
    asked = situation.tasks.rate.sum(axis=1)
    share = np.moveaxis(situation.tasks.rate, 1, 2) / np.maximum(asked, 1e-300)[:, :, None]
    way_ms = (share * hub.latency_ms[:, None, :]).sum(axis=2)
    price = way_ms * terms.points_per_ms[:, None]
    price = price + (hub.grams_per_request * terms.points_per_gram)[:, None]
    full = situation.tasks.dropped_last.sum(axis=1) > 0
    return np.asarray(price + scarcity * full[:, None])


def lower_bounds(asked: Floats, agreed: Floats, total: Floats, alpha: float) -> Floats:
    """HI-LCB's bounds `[E, I, B]` on the chance that an answer of a bin is right; it rises with the bin."""
    width = np.sqrt(alpha * np.log(np.maximum(total, 1.0))[:, :, None] / np.maximum(asked, 1e-300))
    bounds = np.where(asked > 0, agreed / np.maximum(asked, 1e-300) - width, -np.inf)
    return np.maximum(np.maximum.accumulate(bounds, axis=2), 0.0)


def losses_of_levels(asked: Floats, kept: Floats) -> Floats:
    """Loss `[E, I, B]` of each level: the bins before it are asked, it and those behind are kept.

    Args:
        asked: `[E, I, B]`, loss of asking each bin.
        kept: `[E, I, B]`, loss of keeping it.
    """
    before = np.cumsum(asked, axis=2) - asked
    behind = np.cumsum(kept[:, :, ::-1], axis=2)[:, :, ::-1]
    return np.asarray(before + behind)
