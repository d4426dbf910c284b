"""The best orders known so far for every episode, and what a search may put in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.contract import RoundPlan
from ..parts import Play


@dataclass(frozen=True)
class BestPlay:
    """One episode's best orders."""

    name: str  # of the scheduler that found them
    orders: tuple[RoundPlan, ...]  # until the stop, plans of a single environment
    net_points: float  # on the validation accuracy, which the reward counts
    pooled_points: float  # on validation and training rows together, which the search climbs


class BestKnown:
    """The best orders known of every episode.

    Two scores are kept apart. *Net points* count the accuracy on the validation set, as the reward does. A
    search that climbs them picks what suits its few hundred rows by chance. So it climbs the *pooled*
    points, on several times as many rows, among plays that have at least the net points of everybody
    admitted with any stop.
    """

    def __init__(self) -> None:
        self.plays: dict[int, BestPlay] = {}
        self._floor: dict[int, float] = {}  # best net points of those admitted

    def admit(self, name: str, play: Play, seeds: Ints) -> Floats:
        """Take in a play that nobody may fall behind; its net points `[E]` at its best moment to stop."""
        best = play.points
        for seed, net in zip(seeds.tolist(), best.tolist(), strict=True):
            self._floor[seed] = max(net, self._floor.get(seed, -np.inf))
        self.offer(name, play, seeds)
        return best

    def offer(self, name: str, play: Play, seeds: Ints) -> None:
        """Keep a play where it has the floor's net points and more pooled points than what is known.

        A seed may come several times; several plays are then offered for its episode.
        """
        for row, seed in enumerate(seeds.tolist()):
            enough = play.net_points[:, row] >= self._floor[seed]
            pooled = np.where(enough, play.pooled_points[:, row], -np.inf)
            stop, known = int(pooled.argmax()), self.plays.get(seed)
            if not enough[stop]:
                continue
            fallen = known is None or known.net_points < self._floor[seed]
            if fallen or (known is not None and pooled[stop] > known.pooled_points):
                net = float(play.net_points[stop, row])
                self.plays[seed] = BestPlay(name, play.orders(row, stop), net, float(pooled[stop]))

    def recall(self, plays: Mapping[int, BestPlay]) -> None:
        """Take over what is known; no search may fall behind it."""
        self.plays.update(plays)
        self._floor.update({seed: play.net_points for seed, play in plays.items()})

    def mean_net_points(self, seeds: Ints) -> float:
        """Of the best orders of these episodes."""
        return float(np.mean([self.plays[seed].net_points for seed in seeds.tolist()]))
