"""What a coordinator orders for one round, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints32

STOP_S = float("inf")
"""`RoundPlan.wait_s` of a coordinator that ends the training run for good."""


_OPTIONAL = ("weights", "probe_samples")


@dataclass(frozen=True)
class RoundPlan:
    """One round's orders for E environments of N clients.

    Attributes:
        local_steps: int32 `[E, N]`, local SGD steps of each client; 0 = not invited.
        transfer_samples: int32 `[E, N]`, samples sent from the hub along with the model.
        quorum: float64 `[E]` in (0, 1], share of the invited updates to wait for.
        wait_s: float64 `[E]`, seconds to let pass with nobody training; 0 = train now and
            `STOP_S` (infinity) = end the training run. Where it is positive the other fields are ignored.
        weights: float64 `[E, N]` or None, the scheduler's own aggregation coefficients. They replace the
            aggregator's and are used as they are: many published methods prescribe both (McMahan et al. 2017,
            Ribero et al. 2023), and mixing them silently changes the objective. A row of nan leaves that
            environment to the aggregator.
        probe_samples: int32 `[E, N]` or None, samples on which a client is asked for its loss at the present
            model. It counts only in rows that neither wait nor train: such a step is a probe, no round.
    """

    local_steps: Ints32
    transfer_samples: Ints32
    quorum: Floats
    wait_s: Floats
    weights: Floats | None = None
    probe_samples: Ints32 | None = None

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

    def validate(self, num_envs: int, num_clients: int) -> RoundPlan:
        """Return the plan if its shapes and ranges are right, else raise ValueError naming the field."""
        shapes = {
            "local_steps": (num_envs, num_clients),
            "transfer_samples": (num_envs, num_clients),
            "quorum": (num_envs,),
            "wait_s": (num_envs,),
            "weights": (num_envs, num_clients),
            "probe_samples": (num_envs, num_clients),
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
            if np.isnan(low) or low < 0:
                raise ValueError(f"RoundPlan.{name}: {low}, expected no negative or undefined value")
        if self.quorum.size and (self.quorum.min() <= 0 or self.quorum.max() > 1):
            raise ValueError(f"RoundPlan.quorum: {self.quorum.tolist()}, expected shares in (0, 1]")
        return self


def choose_plans(plans: Sequence[RoundPlan], choice: Ints) -> RoundPlan:
    """One plan whose row i is row i of `plans[choice[i]]`.

    Args:
        plans: plans of the same E environments.
        choice: int `[E]`.
    """
    rows = np.arange(choice.size)
    fields: dict[str, Any] = {
        name: np.stack([getattr(plan, name) for plan in plans])[choice, rows]
        for name in ("local_steps", "transfer_samples", "quorum", "wait_s")
    }
    if any(plan.weights is not None for plan in plans):
        blank = np.full(plans[0].local_steps.shape, np.nan)
        weights = np.stack([blank if plan.weights is None else plan.weights for plan in plans])[choice, rows]
        fields["weights"] = None if np.isnan(weights).all() else weights
    if any(plan.probe_samples is not None for plan in plans):
        none = np.zeros_like(plans[0].local_steps)
        asked = np.stack([none if plan.probe_samples is None else plan.probe_samples for plan in plans])
        fields["probe_samples"] = asked[choice, rows]
    return RoundPlan(**fields)


@dataclass(frozen=True)
class RoundOutcome:
    """What one round of E environments did and cost, per client where that has meaning.

    Attributes:
        invited: bool `[E, N]`, who was asked and was available.
        completed: bool `[E, N]`, whose update arrived and entered the model.
        lost: bool `[E, N]`, whose session ended first.
        cancelled: bool `[E, N]`, who was still working when the round closed.
        repairs: int64 `[E]`, orders that could not be carried out and were dropped or cut: invitations to
            unavailable clients, transfers beyond a client's storage.
        stop_s: float64 `[E, N]`, seconds after the round's start at which the client finished, was lost or
            was cancelled; 0 for those not invited.
        compute_s: float64 `[E, N]`, seconds really computed.
        duration_s: float64 `[E]`, the round with the server's overhead, or the wait.
        down_bytes: float64 `[E, N]`, bytes that really moved towards the client.
        up_bytes: float64 `[E, N]`, bytes that really moved towards the server.
        sample_bytes: float64 `[E, N]`, the part of `down_bytes` that was training data.
        energy_j: float64 `[E, N]`, joules of compute and network.
        emissions_g: float64 `[E, N]`, grams CO2e of that energy, by each client's zone and hour.
        wasted_j: float64 `[E, N]`, the part of `energy_j` spent on updates that did not enter the model.
        reported_loss: float32 `[E, N]`, mean training loss a completed client reports; nan for the others.
        update_norm: float32 `[E, N]`, length of the update that arrived; nan for the others.
        accuracy: float64 `[E]`, validation accuracy after the round, 0 to 1.
        loss: float64 `[E]`, validation loss after the round.
        diverged: bool `[E]`, training produced no finite number; the model was left as it was.
        probed: bool `[E, N]`, who was asked for its loss and was available.
        answered: bool `[E, N]`, whose answer arrived.
        probed_loss: float32 `[E, N]`, the answers; nan for the others.
    """

    invited: Bools
    completed: Bools
    lost: Bools
    cancelled: Bools
    repairs: Ints
    stop_s: Floats
    compute_s: Floats
    duration_s: Floats
    down_bytes: Floats
    up_bytes: Floats
    sample_bytes: Floats
    energy_j: Floats
    emissions_g: Floats
    wasted_j: Floats
    reported_loss: Floats32
    update_norm: Floats32
    accuracy: Floats
    loss: Floats
    diverged: Bools
    probed: Bools
    answered: Bools
    probed_loss: Floats32
