"""The clairvoyant placement: changes that pay over the true coming steps, by the world's own assignment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import (
    NOTHING,
    Options,
    ServingFuture,
    ServingSituation,
    assign,
    assigned_points,
    hub_costs,
    slot_costs,
)
from ....envs.serving_view import (
    Ladder,
    at_content,
    coming_content,
    fill_greedily,
    ladder_of,
    load_delays,
    load_prices,
    marginals,
)
from ..base import knob
from .exact import plan_exactly, small_enough
from .policy import Placement


@dataclass(frozen=True)
class StepAhead:
    """One coming step as it will be."""

    situation: ServingSituation  # with the intensities of that step
    requests: Floats  # [E, Z, I] that arrive in it
    share: Floats  # [E, S, J] of it in which a content would serve, loaded now where it is not there
    ladder: Ladder  # of it; slots that are away now have no capacity


@dataclass(kw_only=True)
class ClairvoyantPlacement(Placement):
    """Clairvoyant: loads that pay over the true sessions, requests and carbon of the coming steps.

    Of keeping everything, filling free slots greedily and placing all anew greedily, what the world's own
    assignment finds best over the coming steps; then the change of one slot that the marginal gains praise
    most, as long as the assignment confirms that it pays, `trials` times. Loads after the present step are
    not foreseen, so it is no upper bound. Worlds so small that all plans can be compared are planned exactly
    (see `exact`).
    Paper: none.
    Needs: the future.
    Defaults: four hours of ten minutes' steps, 16 trials.
    """

    name: ClassVar[str] = "clairvoyant"
    clairvoyant: ClassVar[bool] = True
    release: ClassVar[str] = "lp-defer"
    threshold: ClassVar[str] = "calibrated"

    horizon: int = knob(24, "steps whose gain has to be worth a load's price", low=1, high=144, log=True)
    trials: int = knob(16, "changes of one slot that are tried in a step", low=0, high=500)

    def place(self, situation: ServingSituation) -> Ints:
        """The exact plan's first step where there is one, else the best placement that was tried."""
        if small_enough(situation.num_slots, situation.num_tasks * situation.num_rungs):
            return plan_exactly(situation, self.horizon)
        ahead, prices = true_steps(situation, self.horizon), load_prices(situation)
        held = coming_content(situation)

        def added(content: Ints) -> Floats:
            total = np.zeros(prices.shape)
            for step in ahead:
                total += marginals(step.ladder, content, at_content(step.share, content), step.share)
            return total

        def worth(content: Ints) -> Floats:
            return np.asarray(value_ahead(ahead, content) - at_content(prices, content).sum(axis=1))

        best, value = held, worth(held)
        for free in (situation.loadable & (held == NOTHING), situation.loadable):
            tried = fill_greedily(added, held, free, prices)
            tried = np.where(tried == NOTHING, held, tried)
            gain = worth(tried)
            best = np.where((gain > value)[:, None], tried, best)
            value = np.maximum(gain, value)
        untried = np.repeat(situation.loadable[:, :, None], prices.shape[2], axis=2)
        net = added(best) - prices
        for _ in range(self.trials):
            tried = _most_praised(net, best, untried)
            gain = worth(tried)
            best = np.where((gain > value)[:, None], tried, best)
            if (gain > value).any():
                net = added(best) - prices
            value = np.maximum(gain, value)
        return best


def _most_praised(net: Floats, content: Ints, untried: Bools) -> Ints:
    """The placement with the one untried change that brings most; it is marked as tried."""
    rows = np.arange(content.shape[0])
    change = np.where(untried, net - at_content(net, content)[:, :, None], -np.inf)
    np.put_along_axis(change, np.maximum(content, 0)[:, :, None], -np.inf, axis=2)
    slot, chosen = np.divmod(change.reshape(rows.size, -1).argmax(axis=1), net.shape[2])
    open_ = np.isfinite(change[rows, slot, chosen])
    untried[rows, slot, chosen] = False
    tried = content.copy()
    tried[rows[open_], slot[open_]] = chosen[open_]
    return tried


def the_future(situation: ServingSituation) -> ServingFuture:
    """What is coming; ValueError if the situation does not show it."""
    if situation.future is None:
        raise ValueError("clairvoyant: a situation without future, expected one; ask for clairvoyant=True")
    return situation.future


def true_steps(situation: ServingSituation, steps: int) -> list[StepAhead]:
    """The coming steps; contents are loaded now, if they are not there already, and go with the session."""
    future, step_s = the_future(situation), situation.terms.step_s
    delays, left_s = load_delays(situation), future.session_left_s[:, :, None]
    now = np.maximum(situation.zones.carbon_g_per_kwh, 1e-9)
    found = []
    for h in range(min(steps, future.requests.shape[3])):
        ratio = future.carbon_g_per_kwh[:, :, h] / now
        grams = situation.slots.grams_per_request
        grams = grams * np.take_along_axis(ratio, situation.slots.zone, axis=1)[:, :, None]
        hub_grams = situation.hub.grams_per_request * ratio[:, situation.hub.zone]
        then = replace(
            situation,
            slots=replace(situation.slots, grams_per_request=grams),
            hub=replace(situation.hub, grams_per_request=hub_grams),
        )
        begins, ends = np.maximum(delays, h * step_s), np.minimum(left_s, (h + 1) * step_s)
        requests = future.requests[..., h]
        share = np.maximum(ends - begins, 0.0) / step_s
        found.append(StepAhead(then, requests, share, ladder_of(then, requests, hub_last=True)))
    return found


def value_ahead(ahead: list[StepAhead], content: Ints) -> Floats:
    """Points of one request `[E]` that a placement brings over the steps, by the world's assignment."""
    total = np.zeros(content.shape[0])
    for step in ahead:
        s, share = step.situation, at_content(step.share, content)
        served = np.where(share > 0, content, NOTHING)
        capacity = np.where(served == NOTHING, 0.0, s.of_rung(s.slots.capacity_per_step, served) * share)
        options = Options(
            s.task_of(served), slot_costs(s, served), capacity, share, hub_costs(s), s.hub.capacity_per_step
        )
        total += assigned_points(assign(step.requests, options), options)
    return total
