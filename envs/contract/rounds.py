"""What a coordinator orders for one round, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from .stream import Served

STOP_S = float("inf")
"""`RoundPlan.wait_s` of a coordinator that ends the training run for good."""


OWN_REFRESH = -1
"""`RoundPlan.refresh` of a coordinator that leaves it to the scenario."""

OWN_ASK_BELOW = -1.0
"""`RoundPlan.ask_below` of a coordinator that leaves it to the scenario."""

REFRESHES = ("none", "participants", "available")
"""Who is sent the new model after a round, by `RoundPlan.refresh`."""

LEFT_OPEN = {"server_step": 1.0, "upload_bits": 0, "refresh": OWN_REFRESH, "ask_below": OWN_ASK_BELOW}
"""Decisions that a plan may leave to the world, each `[E]`, and the value that says so."""

_OPTIONAL = ("weights", "probe_samples", *LEFT_OPEN)


@dataclass(frozen=True)
class RoundPlan:
    """One round's orders for E environments of N clients.

    Weights of a scheduler's own replace the aggregator's: many published methods prescribe both (McMahan et
    al. 2017, Ribero et al. 2023), and mixing them silently changes the objective. They say whose updates
    count: the world divides them by their sum over the updates that enter the model, so that neither their
    scale nor clients that do not answer change the length of the step. (Methods whose coefficients are not
    normalised, such as alpha_k / pi_k, are played self-normalised, as in importance sampling: their ratios
    are kept.) If all that enter weigh 0, the model stays. A row of nan leaves that environment to the
    aggregator.

    How far the server goes is a decision of its own, `server_step`, where the scenario's levels offer one,
    and so is in how many bits updates come back, `upload_bits`. Where clients answer requests with the model
    they last received, `refresh` says who is sent the new one after the round: its index in `REFRESHES`.
    Where they answer from an early exit, `ask_below` says up to the next decision which of them are not sure
    enough and ask the hub.
    """

    local_steps: Ints32  # [E, N] local SGD steps of each client; 0 = not invited
    transfer_samples: Ints32  # [E, N] samples sent from the hub along with the model
    quorum: Floats  # [E] in (0, 1], share of the invited updates to wait for
    wait_s: Floats  # [E] to pass while nobody trains, whatever else is said; 0 = train now, STOP_S = stop
    weights: Floats | None = None  # [E, N] the scheduler's own aggregation coefficients
    probe_samples: Ints32 | None = None  # [E, N] to tell the loss on; where nobody trains or waits
    server_step: Floats | None = None  # [E] factors on the server's learning rate; None = 1 everywhere
    upload_bits: Ints | None = None  # [E] of an update's coordinates; 0, or None, are the world's own
    refresh: Ints | None = None  # [E] who gets the new model: 0 nobody, 1 participants, 2 available; -1 own
    ask_below: Floats | None = None  # [E] confidence below which clients ask the hub; -1 own

    @property
    def is_round(self) -> Bools:
        """Bool `[E]`: where a training round is played, nobody invited included; no wait, stop or probe."""
        return (self.wait_s <= 0) & ~self.is_probe

    @property
    def is_probe(self) -> Bools:
        """Bool `[E]`: where somebody is asked for its loss."""
        return np.asarray(self.probed.any(axis=1))

    @property
    def invited(self) -> Bools:
        """Bool `[E, N]`: who is asked to train; nobody where the plan waits."""
        return (self.local_steps > 0) & (self.wait_s <= 0)[:, None]

    @property
    def probed(self) -> Bools:
        """Bool `[E, N]`: who is asked for its loss; nobody where the plan waits or trains."""
        if self.probe_samples is None:
            return np.zeros(self.local_steps.shape, dtype=bool)
        idle = (self.wait_s <= 0) & ~(self.local_steps > 0).any(axis=1)
        return (self.probe_samples > 0) & idle[:, None]

    def rows(self, at: slice) -> RoundPlan:
        """The orders for some environments."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        return RoundPlan(**{name: value[at] for name, value in values.items()})

    def validate(
        self,
        num_envs: int,
        num_clients: int,
        server_steps: Sequence[float] = (1.0,),
        upload_bits: Sequence[int] = (),
        refresh: Sequence[int] = (),
        ask_below: Sequence[float] = (),
    ) -> RoundPlan:
        """Return the plan if its shapes and ranges are right, else raise ValueError naming the field.

        Args:
            num_envs: E.
            num_clients: N.
            server_steps: the world's levels of `server_step`; whatever lies between two of them is right.
            upload_bits: of `upload_bits`, likewise; none where they are no decision.
            refresh: of `refresh`, likewise, but only these.
            ask_below: of `ask_below`, likewise; none or one where it is no decision.
        """
        shapes = {
            "local_steps": (num_envs, num_clients),
            "transfer_samples": (num_envs, num_clients),
            "quorum": (num_envs,),
            "wait_s": (num_envs,),
            "weights": (num_envs, num_clients),
            "probe_samples": (num_envs, num_clients),
            "server_step": (num_envs,),
            "upload_bits": (num_envs,),
            "refresh": (num_envs,),
            "ask_below": (num_envs,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if np.shape(value) != shape:
                raise ValueError(f"RoundPlan.{name}: shape {np.shape(value)}, expected {shape}")
            if name == "weights":
                value = value[~np.isnan(value).all(axis=1)]
            if name != "wait_s" and not np.all(np.isfinite(value)):
                raise ValueError(f"RoundPlan.{name}: not finite, expected finite numbers")
            low = value.min() if value.size else 0
            if np.isnan(low) or low < (-1 if name in ("refresh", "ask_below") else 0):
                raise ValueError(f"RoundPlan.{name}: {low}, expected no negative or undefined value")
        if self.quorum.size and (self.quorum.min() <= 0 or self.quorum.max() > 1):
            raise ValueError(f"RoundPlan.quorum: {self.quorum.tolist()}, expected shares in (0, 1]")
        _check_server_step(self.server_step, min(server_steps), max(server_steps))
        _check_upload_bits(self.upload_bits, upload_bits)
        _check_refresh(self.refresh, refresh)
        _check_ask_below(self.ask_below, ask_below)
        return self


def _check_server_step(factors: Floats | None, low: float, high: float) -> None:
    if factors is None or bool(((factors >= low) & (factors <= high)).all()):
        return
    expected = f"factors from {low:g} to {high:g}" if low < high else f"{low:g} everywhere"
    raise ValueError(
        f"RoundPlan.server_step: {factors.tolist()}, expected {expected}; the scenario's levels: server_step "
        "say what is offered"
    )


def _check_upload_bits(bits: Ints | None, levels: Sequence[int]) -> None:
    if bits is None or not bits.any():
        return
    low, high = (min(levels), max(levels)) if levels else (0, 0)
    if bits.dtype.kind in "iu" and bool(((bits == 0) | ((bits >= low) & (bits <= high))).all()):
        return
    expected = f"whole numbers from {low} to {high}" if levels else "none"
    raise ValueError(
        f"RoundPlan.upload_bits: {bits.tolist()}, expected {expected}; the scenario's levels: upload_bits "
        "say what is offered"
    )


def _check_refresh(refresh: Ints | None, levels: Sequence[int]) -> None:
    if refresh is None or not (refresh != OWN_REFRESH).any():
        return
    if refresh.dtype.kind in "iu" and bool(np.isin(refresh, [OWN_REFRESH, *levels]).all()):
        return
    expected = f"{OWN_REFRESH} (the scenario's own) or of {list(levels)}" if levels else "none"
    raise ValueError(
        f"RoundPlan.refresh: {refresh.tolist()}, expected {expected}; the scenario's serving: refresh says "
        "what is offered"
    )


def _check_ask_below(confidence: Floats | None, levels: Sequence[float]) -> None:
    if confidence is None or not (confidence != OWN_ASK_BELOW).any():
        return
    low, high = (min(levels), max(levels)) if levels else (OWN_ASK_BELOW, OWN_ASK_BELOW)
    if bool(((confidence == OWN_ASK_BELOW) | ((confidence >= low) & (confidence <= high))).all()):
        return
    expected = f"{OWN_ASK_BELOW:g} (the scenario's own) or from {low:g} to {high:g}" if levels else "none"
    raise ValueError(
        f"RoundPlan.ask_below: {confidence.tolist()}, expected {expected}; the scenario's levels: ask_below "
        "say what is offered"
    )


def choose_plans(plans: Sequence[RoundPlan], choice: Ints) -> RoundPlan:
    """One plan whose row i is row i of `plans[choice[i]]`.

    Args:
        plans: plans of the same E environments.
        choice: int `[E]`.
    """
    rows = np.arange(choice.size)
    weights: Floats | None = None
    probe_samples: Ints32 | None = None
    if any(plan.weights is not None for plan in plans):
        blank = np.full(plans[0].local_steps.shape, np.nan)
        chosen = np.stack([blank if plan.weights is None else plan.weights for plan in plans])[choice, rows]
        weights = None if np.isnan(chosen).all() else chosen
    if any(plan.probe_samples is not None for plan in plans):
        none = np.zeros_like(plans[0].local_steps)
        asked = np.stack([none if plan.probe_samples is None else plan.probe_samples for plan in plans])
        probe_samples = asked[choice, rows]
    return RoundPlan(
        local_steps=np.stack([plan.local_steps for plan in plans])[choice, rows],
        transfer_samples=np.stack([plan.transfer_samples for plan in plans])[choice, rows],
        quorum=np.stack([plan.quorum for plan in plans])[choice, rows],
        wait_s=np.stack([plan.wait_s for plan in plans])[choice, rows],
        weights=weights,
        probe_samples=probe_samples,
        **{
            name: np.stack([said_of(plan, name) for plan in plans])[choice, rows]  # type: ignore[arg-type]
            for name in LEFT_OPEN
            if any(getattr(plan, name) is not None for plan in plans)
        },
    )


def said_of(plan: RoundPlan, name: str) -> AnyArray:
    """`[E]`, what a plan says in one of the fields of `LEFT_OPEN`."""
    value: AnyArray | None = getattr(plan, name)
    return np.full(len(plan.wait_s), LEFT_OPEN[name]) if value is None else value


@dataclass(frozen=True)
class RoundOutcome:
    """What one round of E environments did and cost, per client where that has meaning.

    One record, though of more than twenty fields: each is charged, observed or written down with the others.
    """

    invited: Bools  # [E, N] who was asked and was available
    completed: Bools  # [E, N] whose update arrived and entered the model
    lost: Bools  # [E, N] whose session ended first
    cancelled: Bools  # [E, N] who was still working when the round closed
    repairs: Ints  # [E] orders that were dropped or cut: to unavailable clients, beyond a client's storage
    stop_s: Floats  # [E, N] from the start until the client stopped, however it did; 0 if not invited
    compute_s: Floats  # [E, N] really computed
    duration_s: Floats  # [E] of the round with the server's overhead, or of the wait
    down_bytes: Floats  # [E, N] that really moved towards the client
    up_bytes: Floats  # [E, N] that really moved towards the server
    sample_bytes: Floats  # [E, N] the part of `down_bytes` that was training data
    energy_j: Floats  # [E, N] of compute and network
    emissions_g: Floats  # [E, N] CO2e of that energy, by each client's zone and hour
    wasted_j: Floats  # [E, N] the part of `energy_j` spent on updates that did not enter the model
    reported_loss: Floats32  # [E, N] mean training loss that a completed client reports; nan for the others
    update_norm: Floats32  # [E, N] length of the update that arrived; nan for the others
    accuracy: Floats  # [E] on the validation set after the round, 0 to 1
    loss: Floats  # [E] on the validation set after the round
    diverged: Bools  # [E] training produced no finite number; the model was left as it was
    probed: Bools  # [E, N] who was asked for its loss and was available
    answered: Bools  # [E, N] whose answer arrived
    probed_loss: Floats32  # [E, N] the answers; nan for the others
    served: Served | None = None  # requests that were answered meanwhile; None in worlds without arrivals
