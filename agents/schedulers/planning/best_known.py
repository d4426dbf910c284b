"""The best orders known so far for every episode, and the score that a search climbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.contract import RoundPlan
from ..parts import Play

_UPPER = 0.5
"""Quantile of the accuracies above which the calibration is fitted: searches end near the top."""


class _Line(NamedTuple):
    """The accuracy expected at a loss: `at_zero + slope * exp(-loss)`."""

    at_zero: float
    slope: float


@dataclass(frozen=True)
class BestPlay:
    """One episode's best orders."""

    name: str  # of the scheduler that found them
    orders: tuple[RoundPlan, ...]  # until the stop, plans of a single environment
    net_points: float  # on the validation accuracy, which the reward counts
    accuracy: float  # on the validation set, in the end
    loss: float  # on the validation set, in the end


class BestKnown:
    """The best orders known of every episode."""

    def __init__(self) -> None:
        self.plays: dict[int, BestPlay] = {}
        self._floor: dict[int, float] = {}
        self._pairs: dict[int, list[Floats]] = {}
        self._lines: dict[int, _Line] = {}

    def admit(self, name: str, play: Play, seeds: Ints) -> float:
        """Take in a play that is given."""
        for row, seed in enumerate(seeds.tolist()):
            net = play.net_points[:, row]
            real = np.isfinite(net)
            self._pairs.setdefault(seed, []).append(
                np.stack([play.loss[real, row], play.accuracy[real, row]])
            )
            step = int(np.argmax(net))
            if net[step] > self._floor.get(seed, -np.inf):
                self._floor[seed] = float(net[step])
                self._keep(seed, name, play, row, step)
        return float(play.net_points.max(axis=0).sum())

    def calibrate(self, seeds: Sequence[int], mode: str) -> None:
        self.mode = mode
        for seed in seeds:
            loss, accuracy = np.concatenate(self._pairs[seed], axis=1)
            top = accuracy >= np.quantile(accuracy, _UPPER)
            x, y = np.exp(-loss[top]), accuracy[top]
            slope, at_zero = np.polyfit(x, y, 1)
            self.resid = (y - slope * x - at_zero).std()
            self._lines[seed] = _Line(at_zero, slope)

    def score(self, seed, net, accuracy, loss):
        if self.mode == "val":
            return net
        line = self._lines[seed]
        est = line.at_zero + line.slope * np.exp(-loss)
        mix = {"smooth": 1.0, "half": 0.5}[self.mode]
        return net + 100.0 * mix * (est - accuracy)

    def improve(self, name: str, play: Play, seeds: Ints) -> None:
        for row, seed in enumerate(seeds.tolist()):
            net = play.net_points[:, row]
            score = self.score(seed, net, play.accuracy[:, row], play.loss[:, row])
            score = np.where(net >= self._floor[seed], score, -np.inf)
            step = int(np.argmax(score))
            b = self.plays[seed]
            if score[step] > self.score(seed, b.net_points, b.accuracy, b.loss) + 1e-9:
                self._keep(seed, name, play, row, step)

    def _keep(self, seed: int, name: str, play: Play, row: int, step: int) -> None:
        self.plays[seed] = BestPlay(name, play.orders(row, step), float(play.net_points[step, row]), float(play.accuracy[step, row]), float(play.loss[step, row]))
