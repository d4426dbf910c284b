"""Proposals: the change of each slot that would add most at the requests just seen, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from ..serving import NOTHING, ServingSituation
from .ladder import Ladder, at_content, coming_content, ladder_of, load_prices, marginals

PROPOSAL_STEPS = 5
"""Steps whose gain has to be worth the price of a load, in the proposals that agents are shown."""
PROPOSAL_SLOW = 0.3
"""Share of the two hours' mean in the requests that these count on."""


@dataclass(frozen=True)
class Proposals:
    """What each slot could change to, given what the others hold and were proposed before it.

    Attributes:
        content: int `[E, S]`, the model to load; NOTHING = stay as it is.
        gain: `[E, S]`, points of one request that the change adds to every step; 0 where there is none.
        price: `[E, S]`, points of one request that its load costs; 0 where there is none.
        own: `[E, S]`, points of one request that what the slot holds or loads adds to every step.
        ladder: of a step with the requests that they count on.
    """

    content: Ints
    gain: Floats
    price: Floats
    own: Floats
    ladder: Ladder


def propose(situation: ServingSituation, horizon: float, slow: float) -> Proposals:
    """Every slot's best change, steepest first, while its gain over so many steps is more than its price.

    Slots that are empty fill and slots that are full change in one order: the change that brings most is
    taken as made before the next is looked for, so that no two slots are sent for the same requests. A slot
    changes once.

    Args:
        situation: of E environments.
        horizon: steps whose gain has to be worth a load's price.
        slow: share of the two hours' mean in the expected requests; the rest is what the last step brought.
    """
    ladder = ladder_of(situation, expected_requests(situation, slow), hub_last=True)
    held = coming_content(situation)
    prices, open_ = load_prices(situation), situation.loadable.copy()
    rows, content = np.arange(situation.num_envs), held.copy()
    gain, price = np.zeros(held.shape), np.zeros(held.shape)
    added = marginals(ladder, content)
    own = at_content(added, held)
    while open_.any():
        more = added - at_content(added, content)[:, :, None]
        net = np.where(open_[:, :, None], horizon * more - prices, -np.inf).reshape(rows.size, -1)
        best = net.argmax(axis=1)
        slot, chosen = np.divmod(best, prices.shape[2])
        takes = net[rows, best] > 0.0
        if not takes.any():
            break
        e, s, j = rows[takes], slot[takes], chosen[takes]
        content[e, s], gain[e, s], price[e, s] = j, more[e, s, j], prices[e, s, j]
        open_[e, s] = False
        open_[~takes] = False
        added = marginals(ladder, content)
    return Proposals(np.where(content == held, NOTHING, content), gain, price, own, ladder)


def expected_requests(situation: ServingSituation, slow: float) -> Floats:
    """`[E, Z, I]`, requests of the next step: a blend of the last one and two hours; first their mean."""
    last = situation.tasks.requests_last
    known = last.sum(axis=(1, 2), keepdims=True) > 0
    blend = (1.0 - slow) * last + slow * situation.tasks.rate
    expected: Floats = np.where(known, blend, situation.tasks.mean_rate)
    return expected
