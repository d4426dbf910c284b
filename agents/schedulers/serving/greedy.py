"""Greedy placements: what adds most, at the rates of the beginning, now, while slots stay, or in truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from ..base import State, knob
from .exact import plan_exactly, small_enough
from .ladder import (
    Ladder,
    at_content,
    coming_content,
    fill_greedily,
    ladder_of,
    load_delays,
    load_prices,
    marginals,
)
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
        ladder = ladder_of(situation, situation.tasks.mean_rate, away=True)
        everywhere = np.ones(situation.slots.available.shape, dtype=bool)
        # Slots are there for a part of the time only, on average as many as now.
        share = np.repeat(situation.slots.available.mean(axis=1, keepdims=True), everywhere.shape[1], axis=1)
        share = np.maximum(share, 1 / everywhere.shape[1])

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
        return situation.loadable & ((held == NOTHING) | again)

    def place(self, situation: ServingSituation) -> Ints:
        """The greedy choice of free and reconsidered slots; a slot that keeps its content pays no price."""
        known = situation.tasks.requests_last.sum(axis=(1, 2), keepdims=True) > 0
        requests = np.where(known, situation.tasks.requests_last, situation.tasks.mean_rate)
        ladder, held = ladder_of(situation, requests), coming_content(situation)
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
class ClairvoyantPlacement(Greedy):
    """Clairvoyant: the greedy with the true sessions, requests and carbon of the coming steps.

    Worlds so small that all plans can be compared are planned exactly (see `exact`). Elsewhere it is greedy,
    and no upper bound.
    Paper: none.
    Needs: the future.
    Defaults: eight steps of ten minutes; every slot reconsiders in every step.
    """

    name: ClassVar[str] = "clairvoyant"
    clairvoyant: ClassVar[bool] = True
    release: ClassVar[str] = "lp-defer"
    threshold: ClassVar[str] = "calibrated"

    horizon: int = knob(8, "steps ahead", low=1, high=36, log=True)
    reconsider: float = knob(1.0, "share of full slots that choose anew in a step", low=0.0, high=1.0)

    def place(self, situation: ServingSituation) -> Ints:
        """The exact plan's first step where there is one, else the greedy one."""
        if small_enough(situation.num_slots, situation.num_tasks * situation.num_rungs):
            return plan_exactly(situation, self.horizon)
        return super().place(situation)

    def gains(self, situation: ServingSituation, ladder: Ladder, content: Ints) -> Floats:
        """The sum of the marginal gains of each step ahead, with the share of it in which slots serve."""
        total = np.zeros(ladder.cost.shape)
        for ahead, share in self._ahead(situation):
            total += marginals(ahead, content, at_content(share, content), share)
        return total

    def _ahead(self, situation: ServingSituation) -> list[tuple[Ladder, Floats]]:
        if self._seen is not situation:
            self._seen, self._steps_ahead = situation, true_steps(situation, self.horizon)
        return self._steps_ahead

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seen: ServingSituation | None = None
        self._steps_ahead: list[tuple[Ladder, Floats]] = []


def true_steps(situation: ServingSituation, steps: int) -> list[tuple[Ladder, Floats]]:
    """Of each coming step the ladder, and the share `[E, S, J]` of it in which a content would serve.

    Every content is loaded now, where it is not there already, and gone with the running session.
    """
    future = situation.future
    if future is None:
        raise ValueError("clairvoyant: situation without a future, expected one; ask for clairvoyant=True")
    step_s, delays = situation.terms.step_s, load_delays(situation)
    left_s = future.session_left_s[:, :, None]
    found = []
    for h in range(min(steps, future.requests.shape[3])):
        begins, ends = np.maximum(delays, h * step_s), np.minimum(left_s, (h + 1) * step_s)
        share = np.maximum(ends - begins, 0.0) / step_s
        found.append(
            (ladder_of(situation, future.requests[..., h], carbon=carbon_ratio(situation, h)), share)
        )
    return found


def carbon_ratio(situation: ServingSituation, h: int) -> Floats:
    """True intensity of each zone h steps ahead over the present one, `[E, Z]`."""
    assert situation.future is not None
    now = np.maximum(situation.zones.carbon_g_per_kwh, 1e-9)
    return situation.future.carbon_g_per_kwh[:, :, h] / now


def serving_share(situation: ServingSituation, window_s: float) -> Floats:
    """Expected share `[E, S, J]` of a window in which a content would serve: after its load, while it lasts.

    Args:
        situation: with the fitted sessions of each slot.
        window_s: from now on.
    """
    slots = situation.slots
    t = np.linspace(0.0, window_s, _GRID + 1)
    shape, scale = slots.stay_shape[:, :, None], np.maximum(slots.stay_scale_s, 1e-9)[:, :, None]
    age = slots.session_age_s[:, :, None]
    stays = np.exp(-(((age + t) / scale) ** shape) + (age / scale) ** shape)
    stays = stays * slots.available[:, :, None]
    pieces = (stays[:, :, 1:] + stays[:, :, :-1]) / 2 / _GRID
    # after[..., n] is the share of the window behind grid point n in which the slot is expected to be there.
    after = np.concatenate([np.cumsum(pieces[:, :, ::-1], axis=2)[:, :, ::-1], np.zeros_like(age)], axis=2)
    delays = load_delays(situation)
    place = np.clip(delays / window_s, 0.0, 1.0) * _GRID
    left = np.minimum(place.astype(np.int64), _GRID - 1)
    low = np.take_along_axis(after, left, axis=2)
    expected = low + (place - left) * (np.take_along_axis(after, left + 1, axis=2) - low)
    told = slots.announced_left_s[:, :, None]
    certain = np.maximum(np.minimum(told, window_s) - delays, 0.0) / window_s
    return np.where(np.isfinite(told), certain, expected)
