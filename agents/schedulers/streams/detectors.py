"""Detectors of drift for E streams of answers at once: DDM, Page-Hinkley, ADWIN.

Libraries' detectors (`river`) take one answer at a time. A coordinator is told between two decisions how
many answers were checked and how many of them were wrong, in no order, hundreds of them; so these take
counts. Fed with single answers they are the published ones, which tests compare with `river`'s.

A detector holds settings only; what it has seen is a `State` of arrays with E rows, so that a row can
start afresh, be copied or be stored like everything else that a rule remembers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import digamma

from ....common.arrays import Bools, Floats
from ..base import State

BOUNDS = ("variance", "hoeffding")
"""How far apart ADWIN's two means must lie; see `Adwin`."""


class Detector(Protocol):
    """Whether the share of wrong answers has risen."""

    def fresh(self, num_envs: int) -> State:
        """What it has seen at the beginning: nothing."""
        ...

    def update(self, seen: State, answers: Floats, wrong: Floats) -> tuple[State, Bools]:
        """Take in how many answers became known and how many of them were wrong, each `[E]`.

        Rows without answers stay as they are.

        Returns:
            What it has seen then, and bool `[E]`, where the share has risen; it goes on from there, and
            whoever wants it to forget puts a row of `fresh` in.
        """
        ...


@dataclass(frozen=True)
class Ddm:
    """DDM: the error rate's upper limit leaves the lowest one so far (Gama et al. 2004).

    With p the share of wrong answers among the n so far and s = sqrt(p (1 - p) / n): a drift where
    p + s > p_min + level s_min, with p_min and s_min of the time at which p + s was least.
    """

    level: float = 3.0  # 2 is the paper's warning
    warm_start: int = 30  # answers without a verdict

    def fresh(self, num_envs: int) -> State:
        """See `Detector.fresh`."""
        none, unknown = np.zeros(num_envs), np.full(num_envs, np.inf)
        return {
            "answers": none,
            "wrong": none.copy(),
            "least_rate": unknown,
            "least_deviation": unknown.copy(),
        }

    def update(self, seen: State, answers: Floats, wrong: Floats) -> tuple[State, Bools]:
        """See `Detector.update`."""
        count, bad = seen["answers"] + answers, seen["wrong"] + wrong
        rate = bad / np.maximum(count, 1)
        deviation = np.sqrt(rate * (1 - rate) / np.maximum(count, 1))
        judged = (count > self.warm_start) & (answers > 0)
        lower = judged & (rate + deviation <= seen["least_rate"] + seen["least_deviation"])
        least_rate = np.where(lower, rate, seen["least_rate"])
        least_deviation = np.where(lower, deviation, seen["least_deviation"])
        risen = judged & (rate + deviation > least_rate + self.level * least_deviation)
        after = {"answers": count, "wrong": bad, "least_rate": least_rate, "least_deviation": least_deviation}
        return after, risen


@dataclass(frozen=True)
class PageHinkley:
    """Page-Hinkley: the excess of errors over their running mean adds up to more than a limit (Page 1954).

    m_t = sum_i (x_i - mean_i - delta) with mean_i the mean of x_1 ... x_i; a drift where m_t - min m > limit.
    Answers of one look count as equal ones, for which the sum has a closed form: with N answers of mean p
    before and n new ones of mean q it is N (q - p) (psi(N + n + 1) - psi(N + 1)) - n delta.
    """

    delta: float = 0.005
    limit: float = 50.0
    warm_start: int = 30

    def fresh(self, num_envs: int) -> State:
        """See `Detector.fresh`."""
        return {key: np.zeros(num_envs) for key in ("answers", "wrong", "excess")}

    def update(self, seen: State, answers: Floats, wrong: Floats) -> tuple[State, Bools]:
        """See `Detector.update`."""
        before = seen["answers"]
        count, bad = before + answers, seen["wrong"] + wrong
        mean = seen["wrong"] / np.maximum(before, 1)
        news = wrong / np.maximum(answers, 1)
        grown = before * (news - mean) * (digamma(count + 1) - digamma(before + 1)) - self.delta * answers
        excess = np.maximum(seen["excess"] + np.where(answers > 0, grown, 0.0), 0.0)
        risen = (count > self.warm_start) & (answers > 0) & (excess > self.limit)
        return {"answers": count, "wrong": bad, "excess": excess}, risen


@dataclass(frozen=True)
class Adwin:
    """ADWIN: a window that is cut wherever its older and newer part differ in mean (Bifet and Gavalda 2007).

    The window is a row of cells, one per look; when all are used, pairs in the older half are joined, as
    the paper's exponential histogram does. The oldest cell is dropped as long as any cut into parts of n0
    and n1 answers has means further apart than, with 1/m = 1/n0 + 1/n1, n answers of variance v in all,

    * `hoeffding`, the paper's theorem: sqrt(ln(4 n / delta) / (2 m));
    * `variance`, what the paper uses: sqrt(2 v ln(2 ln(n) / delta) / m) + 2 ln(2 ln(n) / delta) / (3 m).

    A fall of the error rate shortens the window as well, but is no drift to react to.
    """

    delta: float = 0.002
    bound: str = "variance"
    cells: int = 64
    least: int = 5  # answers on either side of a cut

    def fresh(self, num_envs: int) -> State:
        """See `Detector.fresh`; the newest cell is the last."""
        return {key: np.zeros((num_envs, self.cells)) for key in ("answers", "wrong")}

    def update(self, seen: State, answers: Floats, wrong: Floats) -> tuple[State, Bools]:
        """See `Detector.update`."""
        some = (answers > 0)[:, None]
        window = {}
        full = (seen["answers"][:, :1] > 0) & some
        for key, new in (("answers", answers), ("wrong", wrong)):
            roomy = np.where(full, _halved(seen[key]), seen[key])
            window[key] = np.where(some, np.concatenate([roomy[:, 1:], new[:, None]], axis=1), seen[key])
        risen = np.zeros(len(answers), dtype=bool)
        oldest = np.argmax(window["answers"] > 0, axis=1)
        while True:
            apart, up = self._cuts(window["answers"], window["wrong"])
            rows = np.flatnonzero(apart)
            if not rows.size:
                return window, risen
            risen |= up
            for key in window:
                window[key][rows, oldest[rows]] = 0.0
            oldest[rows] += 1

    def _cuts(self, answers: Floats, wrong: Floats) -> tuple[Bools, Bools]:
        """Where some cut parts two means, and where the newer one is the larger, each `[E]`."""
        old, old_wrong = np.cumsum(answers, axis=1)[:, :-1], np.cumsum(wrong, axis=1)[:, :-1]
        total, bad = answers.sum(axis=1, keepdims=True), wrong.sum(axis=1, keepdims=True)
        new, new_wrong = total - old, bad - old_wrong
        possible = (old >= self.least) & (new >= self.least)
        difference = new_wrong / np.maximum(new, 1) - old_wrong / np.maximum(old, 1)
        inverse = 1 / np.maximum(old, 1) + 1 / np.maximum(new, 1)
        size = np.maximum(total, 3.0)
        if self.bound == "hoeffding":
            far = np.sqrt(inverse / 2 * np.log(4 * size / self.delta))
        else:
            rate = bad / size
            log = np.log(2 * np.log(size) / self.delta)
            far = np.sqrt(2 * inverse * rate * (1 - rate) * log) + 2 / 3 * inverse * log
        apart = possible & (np.abs(difference) > far)
        return apart.any(axis=1), (apart & (difference > 0)).any(axis=1)


def _halved(cells: Floats) -> Floats:
    """The same window with every two cells of its older half joined, `[E, W]`: a quarter is free again."""
    num_envs, count = cells.shape
    half = 2 * (count // 4)
    joined = cells[:, :half].reshape(num_envs, half // 2, 2).sum(axis=2)
    return np.concatenate([np.zeros((num_envs, half // 2)), joined, cells[:, half:]], axis=1)
