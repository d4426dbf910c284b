"""Parts of a decision: the top m of a score, plans, standardised scores, points spent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....common.arrays import Bools, Floats, Ints
from ....envs.contract import REFRESHES, RoundPlan, Situation
from ....envs.scenario import Scenario

IDLE_WAIT_S = 900.0
"""How long to wait when there is nobody to invite."""
OWN = "own"
"""Name of the choice that leaves it to the scenario who is sent the new model after a round."""
PAYS = -1.0
"""The threshold of asking the hub that follows from the price of a question."""


def top_m(
    scores: ArrayLike, m: int | ArrayLike, allowed: Bools, ties: NDArray[np.floating] | None = None
) -> Bools:
    """The m allowed clients with the largest scores.

    Args:
        scores: `[E, N]`; nan counts as the worst.
        m: how many, one number or `[E]`; all of them where fewer are allowed.
        allowed: bool `[E, N]`.
        ties: `[E, N]` random numbers that order equal scores (smaller first); None: lower index first.

    Returns:
        Bool `[E, N]`.
    """
    values = np.where(np.isnan(scores), -np.inf, scores)
    keys = (np.zeros(allowed.shape) if ties is None else ties, -values, ~allowed)
    order = np.lexsort(keys, axis=-1)
    rank = np.empty(allowed.shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.arange(allowed.shape[1])[None, :], axis=1)
    count = np.broadcast_to(np.asarray(m), allowed.shape[:1])[:, None]
    return (rank < count) & allowed


def plan_for(
    situation: Situation,
    chosen: Bools,
    local_steps: int | ArrayLike,
    quorum: float | ArrayLike = 1.0,
    transfer: int | ArrayLike = 0,
    wait_s: float | ArrayLike = 0.0,
    weights: Floats | None = None,
    server_step: float | ArrayLike | None = None,
) -> RoundPlan:
    """The plan that invites `chosen`, and waits where nobody is chosen.

    Updates have the bits that the situation says, see `Situation.at_bits`; clients ask the hub where it pays,
    see `with_answering`.

    Args:
        situation: what is known.
        chosen: bool `[E, N]`.
        local_steps: one number, `[E]` or `[E, N]`; at least 1 is ordered of everyone chosen.
        quorum: share of the invited updates to wait for, one number or `[E]`.
        transfer: samples to send to each one chosen, one number, `[E]` or `[E, N]`.
        wait_s: seconds to wait instead, one number or `[E]`; `IDLE_WAIT_S` where 0 and nobody is chosen.
        weights: `[E, N]`, the scheduler's own aggregation coefficients, or None.
        server_step: factor on the server's learning rate, one number or `[E]`; None: 1.
    """
    num_envs, shape = situation.num_envs, situation.clients.available.shape
    asked_s = _per_env(wait_s, num_envs)
    wait = np.where((asked_s <= 0) & ~chosen.any(axis=1), IDLE_WAIT_S, asked_s)
    invited = chosen & (wait <= 0)[:, None]
    steps = np.maximum(_per_client(local_steps, shape), 1)
    moved = np.clip(_per_client(transfer, shape), 0, situation.clients.storage_left)
    bits = situation.terms.upload_bits
    return RoundPlan(
        local_steps=np.where(invited, steps, 0).astype(np.int32),
        transfer_samples=np.where(invited, moved, 0).astype(np.int32),
        quorum=_per_env(quorum, num_envs),
        wait_s=wait,
        weights=None if weights is None else np.where(invited, weights, 0.0),
        server_step=None if server_step is None else _per_env(server_step, num_envs),
        upload_bits=bits.copy() if bits.any() else None,
        ask_below=_threshold(situation, PAYS),
    )


def with_answering(plan: RoundPlan, situation: Situation, refresh: str, ask_below: float) -> RoundPlan:
    """The plan that says who is sent the new model, and which answers the hub is asked for.

    Args:
        plan: of the situation.
        situation: what is known.
        refresh: one of `REFRESHES`, or `OWN`: as the plan says.
        ask_below: confidence below which clients ask the hub, where that is a decision; negative: as the plan
            says.
    """
    if situation.stream is None:
        return plan
    whom = plan.refresh if refresh == OWN else np.full(situation.num_envs, REFRESHES.index(refresh))
    below = plan.ask_below if ask_below < 0 else _threshold(situation, ask_below)
    return replace(plan, refresh=whom, ask_below=below)


def _threshold(situation: Situation, ask_below: float) -> Floats | None:
    """`RoundPlan.ask_below`; None where that is no decision."""
    ask = None if situation.stream is None else situation.stream.ask
    if ask is None or ask.levels.size < 2:
        return None
    wanted = np.full(situation.num_envs, ask_below) if ask_below >= 0 else ask.worth_asking_below
    return np.asarray(np.clip(wanted, ask.levels[0], ask.levels[-1]))


def offered_refresh(scenario: Scenario) -> tuple[str, ...]:
    """What `with_answering` may be told in a world of whom to send the new model to."""
    return (OWN, *(REFRESHES[level] for level in scenario.refresh_levels))


def closing_share(answers: Floats, invited: Ints) -> Floats:
    """`RoundPlan.quorum` `[E]` that closes a round at so many answers `[E]` of those invited `[E]`.

    At least one answer; a broken number is rounded up.
    """
    wanted, asked = np.maximum(np.ceil(answers - 1e-9), 1), np.maximum(invited, 1)
    # A hair less than the exact share, or rounding could ask for one answer more.
    return np.where(wanted >= asked, 1.0, wanted / asked - 1e-9)


def standardised(values: Floats, among: Bools) -> Floats:
    """Values `[E, N]` minus their mean and over their deviation among the marked clients of a row.

    Cut to -3 ... 3; unknown (nan) values and rows without spread become 0.
    """
    known = among & np.isfinite(values)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    filled = np.where(known, values, 0.0)
    centred = np.where(known, values - filled.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    size = np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
    flat = deviation <= 1e-12 * np.maximum(size, 1e-300)
    found: Floats = np.clip(centred / np.where(flat, 1.0, deviation), -3.0, 3.0) * ~flat
    return found


def progress(situation: Situation) -> Floats:
    """Share `[E]` of the decisions that are over, 0 to 1."""
    total = np.maximum(situation.run.round_index + situation.run.rounds_left, 1)
    return np.asarray(situation.run.round_index / total)


def cleanest_wait_s(
    situation: Situation, chosen: Bools, forecast: Floats, most_s: Floats, saving: float
) -> Floats:
    """Seconds `[E]` until the cleanest hour ahead for the chosen clients; 0 where it is not worth the wait.

    Args:
        situation: what is known.
        chosen: bool `[E, N]`.
        forecast: `[E, Z, H]`, g CO2e per kWh at the leads of `ZoneFacts.carbon_leads_s`.
        most_s: `[E]`, waits that are longer do not count.
        saving: share by which the chosen clients' mean intensity has to be lower then than now.
    """
    leads_s = situation.zones.carbon_leads_s
    if leads_s.size == 0:
        return np.zeros(situation.num_envs)
    ahead = np.take_along_axis(forecast, situation.clients.zone[:, :, None], axis=1)
    ahead = np.where(chosen[:, :, None], ahead, 0.0).sum(axis=1)
    now = np.where(chosen, situation.client_carbon, 0.0).sum(axis=1)
    ahead = np.where(leads_s[None, :] <= most_s[:, None], ahead, np.inf)
    return np.where(ahead.min(axis=1) < (1.0 - saving) * now, leads_s[ahead.argmin(axis=1)], 0.0)


def rounds_at_price(rounds: ArrayLike, spent: ArrayLike, price: float, power: float) -> Floats:
    """How many rounds of a reference price so many rounds count as: rounds x (their mean price / it)^power.

    Args:
        rounds: of training so far, any shape.
        spent: points charged for them, of the same shape.
        price: the reference, points per round.
        power: 0 counts rounds, 1 counts points.
    """
    count = np.asarray(rounds, dtype=np.float64)
    mean = np.maximum(np.asarray(spent, dtype=np.float64) / np.maximum(count, 1.0), 0.0)
    found: Floats = count * (mean / price) ** power
    return found


def spent_points(situation: Situation) -> Floats:
    """Accuracy points `[E]` charged so far for hours, gigabytes and kilograms."""
    run = situation.run
    return situation.terms.points(run.hours, run.gigabytes, run.kilograms)


def _per_env(value: float | ArrayLike, num_envs: int) -> Floats:
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (num_envs,)))


def _per_client(value: int | ArrayLike, shape: tuple[int, ...]) -> Ints:
    array = np.asarray(value)
    if array.ndim == 1:
        array = array[:, None]
    return np.broadcast_to(array, shape).astype(np.int64)
