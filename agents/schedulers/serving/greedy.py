"""Greedy placements: what adds most, at the rates of the beginning, now, or while slots stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from ....envs.serving_view import (
    PROPOSAL_SLOW,
    PROPOSAL_STEPS,
    Ladder,
    at_content,
    coming_content,
    fill_greedily,
    ladder_of,
    load_delays,
    load_prices,
    marginals,
    propose,
)
from ..base import State, knob
from .policy import Placement

_GRID = 32
"""Points of the window at which the chance of staying is computed."""


@dataclass(kw_only=True)
class StaticGreedy(Placement):
    """Static greedy: one pass of marginal gains on the mean rates, for all slots, then kept.

    A slot that comes back loads what it was given at the beginning.
    Paper: the greedy SG of Si Salem et al. 2024; Nemhauser, Wolsey & Fisher, "An Analysis of Approximations
    for Maximizing Submodular Set Functions", Mathematical Programming 14, 1978.
    Needs: mean rates, capacities, accuracies, prices.
    Defaults: none.
    """

    name: ClassVar[str] = "static-greedy"

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds the placement."""
        ladder = ladder_of(situation, situation.tasks.mean_rate, away=True, hub_last=True)
        everywhere = np.ones((situation.num_envs, situation.num_slots), dtype=bool)
        # Slots are there for a part of the time only, on average as many as now.
        share = np.repeat(situation.slots.available.mean(axis=1, keepdims=True), situation.num_slots, axis=1)
        share = np.maximum(share, 1 / situation.num_slots)

        def added(content: Ints) -> Floats:
            return marginals(
                ladder, content, share, np.repeat(share[:, :, None], ladder.cost.shape[2], axis=2)
            )

        fixed = fill_greedily(added, np.full(everywhere.shape, NOTHING), everywhere)
        return super().fresh_state(situation) | {"fixed": fixed}

    def place(self, situation: ServingSituation) -> Ints:
        """The same as ever."""
        return self.state["fixed"]


@dataclass(kw_only=True)
class Greedy(Placement):
    """Base of the greedy placements that follow what happens: free slots, and some full ones, choose anew."""

    horizon: int = knob(6, "steps whose gain has to be worth a load's price", low=1, high=36, log=True)
    reconsider: float = knob(0.15, "share of full slots that choose anew in a step", low=0.0, high=1.0)

    def gains(self, situation: ServingSituation, ladder: Ladder, content: Ints) -> Floats:
        """What each content would add over the coming steps, `[E, S, J]`, in points of one request."""
        raise NotImplementedError

    def choosing(self, situation: ServingSituation, held: Ints) -> Bools:
        """Bool `[E, S]`: slots that choose now: the free ones and some of the others."""
        again = self.uniforms(held.shape[1]) < self.reconsider
        return np.asarray(situation.loadable & ((held == NOTHING) | again))

    def place(self, situation: ServingSituation) -> Ints:
        """The greedy choice of free and reconsidered slots; a slot that keeps its content pays no price."""
        known = situation.tasks.requests_last.sum(axis=(1, 2), keepdims=True) > 0
        requests = np.where(known, situation.tasks.requests_last, situation.tasks.mean_rate)
        ladder, held = ladder_of(situation, requests, hub_last=True), coming_content(situation)
        free = self.choosing(situation, held)
        wanted = fill_greedily(
            lambda content: self.gains(situation, ladder, content), held, free, load_prices(situation)
        )
        return np.where(free, wanted, NOTHING)


@dataclass(kw_only=True)
class OnlineGreedy(Greedy):
    """Online greedy: a free slot takes what adds most at the last step's requests, less the load's price.

    Paper: none exactly; it is in the place of OLAG, the online heuristic of Si Salem et al. 2024, which also
    ranks models by what they added to the requests just seen.
    Needs: requests of the last step, capacities, accuracies, prices.
    Defaults: a gain counts for six steps of ten minutes; 15 % of the full slots reconsider.
    """

    name: ClassVar[str] = "online-greedy"

    def gains(self, situation: ServingSituation, ladder: Ladder, content: Ints) -> Floats:
        """The marginal gain, once per step."""
        return self.horizon * marginals(ladder, content)


@dataclass(kw_only=True)
class SurvivalGreedy(Greedy):
    """Survival greedy: the same gain times the share of the coming steps in which the slot would serve.

    A session of age a goes on for t more with chance exp(-((a + t) / l)^k + (a / l)^k), Weibull's residual
    life; an announced end is certain. A content serves from the end of its load until then.
    Paper: none; the survival-aware planning of Parcae (Duan et al., NSDI 2024), for placements.
    Needs: what `online-greedy` needs, session ages and the Weibull fit, announced ends, load times.
    Defaults: eight steps of ten minutes; 15 % of the full slots reconsider.
    """

    name: ClassVar[str] = "survival-greedy"

    horizon: int = knob(8, "steps whose gain has to be worth a load's price", low=1, high=36, log=True)

    def gains(self, situation: ServingSituation, ladder: Ladder, content: Ints) -> Floats:
        """The marginal gain times expected steps of service."""
        share = serving_share(situation, self.horizon * situation.terms.step_s)
        return self.horizon * share * marginals(ladder, content, at_content(share, content))


@dataclass(kw_only=True)
class SwapGreedy(Placement):
    """Swap greedy: change after change, the steepest first, of empty and of full slots, while it pays.

    It makes all the `proposals` that an agent of a world of serving is shown.
    Paper: none; steepest ascent over one slot's changes, as in the local search of Fisher, Nemhauser &
    Wolsey 1978, with the prices of loads.
    Needs: requests of the last step and of two hours, capacities, accuracies, prices.
    Defaults: a gain counts for five steps of ten minutes, three tenths of the requests are two hours' mean.
    """

    name: ClassVar[str] = "swap-greedy"

    horizon: int = knob(
        PROPOSAL_STEPS, "steps whose gain has to be worth a load's price", low=1, high=36, log=True
    )
    slow: float = knob(
        PROPOSAL_SLOW, "share of the two hours' mean in the requests counted on", low=0.0, high=1.0
    )

    def place(self, situation: ServingSituation) -> Ints:
        """What is proposed."""
        return propose(situation, self.horizon, self.slow).content


def staying(situation: ServingSituation, times_s: Floats) -> Floats:
    """Chance `[E, S, K]` that a session still runs at each time from now, in seconds; 0 for slots away.

    The Weibull residual life at its age; an announced end is certain.
    """
    slots = situation.slots
    shape, scale = slots.stay_shape[:, :, None], np.maximum(slots.stay_scale_s, 1e-9)[:, :, None]
    age = slots.session_age_s[:, :, None]
    stays = np.exp(-(((age + times_s) / scale) ** shape) + (age / scale) ** shape)
    told = slots.announced_left_s[:, :, None]
    return np.where(np.isfinite(told), times_s < told, stays) * slots.available[:, :, None]


def serving_ahead(situation: ServingSituation, depth: int) -> Floats:
    """Expected share `[E, S, depth]` of each coming step in which a slot serves what it has or loads."""
    step_s, slots = situation.terms.step_s, situation.slots
    begins: Floats = np.arange(depth, dtype=np.float64) * step_s
    delay_s = np.where(slots.loading != NOTHING, slots.loading_left_s, 0.0)[:, :, None]
    ready = np.clip((begins + step_s - delay_s) / step_s, 0.0, 1.0)
    if situation.future is not None:
        left_s = situation.future.session_left_s[:, :, None]
        share = np.minimum(left_s, begins + step_s) - np.maximum(begins, delay_s)
        return np.asarray(np.maximum(share, 0.0) / step_s)
    return np.asarray(ready * staying(situation, begins + step_s / 2))


def serving_share(situation: ServingSituation, window_s: float) -> Floats:
    """Expected share `[E, S, J]` of a window in which a content would serve: after its load, while it lasts.

    Args:
        situation: with the fitted sessions of each slot.
        window_s: from now on.
    """
    slots = situation.slots
    stays = staying(situation, np.linspace(0.0, window_s, _GRID + 1))
    pieces = (stays[:, :, 1:] + stays[:, :, :-1]) / 2 / _GRID
    # after[..., n] is the share of the window behind grid point n in which the slot is expected to be there.
    after = np.concatenate(
        [np.cumsum(pieces[:, :, ::-1], axis=2)[:, :, ::-1], np.zeros_like(stays[:, :, :1])], axis=2
    )
    delays = load_delays(situation)
    place = np.clip(delays / window_s, 0.0, 1.0) * _GRID
    left = np.minimum(place.astype(np.int64), _GRID - 1)
    low = np.take_along_axis(after, left, axis=2)
    expected = low + (place - left) * (np.take_along_axis(after, left + 1, axis=2) - low)
    told = slots.announced_left_s[:, :, None]
    certain = np.maximum(np.minimum(told, window_s) - delays, 0.0) / window_s
    return np.where(np.isfinite(told), certain, expected)
