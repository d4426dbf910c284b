"""What a coordinator can know when it has to decide, in raw units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ...common.arrays import Bools, Floats, Ints, Ints32

JOULES_PER_KWH = 3.6e6
BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class Future:
    """What only a clairvoyant scheduler sees; never part of an observation.

    Attributes:
        session_left_s: `[E, N]`, true seconds until the running session ends; 0 for unavailable clients.
        next_start_s: `[E, N]`, true seconds until an unavailable client's next session; 0 for available ones.
        carbon_g_per_kwh: `[E, Z, H]`, true intensity at the leads of `Situation.carbon_leads_s`.
    """

    session_left_s: Floats
    next_start_s: Floats
    carbon_g_per_kwh: Floats


_NOT_GIVEN = np.empty(0)


def _not_given() -> Floats:
    return _NOT_GIVEN


@dataclass(frozen=True)
class Situation:
    """The observable part of E worlds with N clients in Z grid zones, just before a round.

    Attributes:
        time_s: `[E]`, seconds since the episode began.
        utc_hour: `[E]`, hour of the day in UTC, 0 to 24.
        local_hour: `[E, Z]`, hour of the day in each zone.
        round_index: int `[E]`, decisions made so far.
        rounds_left: int `[E]`, decisions left before the episode is cut off.
        available: bool `[E, N]`, who could be invited now.
        zone: int `[E, N]`, each client's grid zone.
        session_age_s: `[E, N]`, how long the running session has lasted (0 if unavailable).
        announced_left_s: `[E, N]`, seconds to the announced end of the running session; inf if not announced.
        forecast_leads_s: `[L]`, leads of `available_forecast`.
        available_forecast: `[E, N, L]`, forecast probability of being available at each lead.
        step_s: `[E, N]`, seconds per local step.
        down_bytes_per_s: `[E, N]`, bandwidth towards the client.
        up_bytes_per_s: `[E, N]`, bandwidth towards the server.
        compute_watts: `[E, N]`, power drawn while computing.
        network_j_per_byte: `[E, N]`, energy per byte moved.
        samples: int `[E, N]`, training samples the client holds now.
        samples_sent: int `[E, N]`, how many of them came from the hub.
        storage_left: int `[E, N]`, samples that may still be sent to it.
        target_weight: `[E, N]`, the client's share alpha_k in the objective; rows sum to 1.
        last_loss: `[E, N]`, training loss last reported; nan if never.
        last_norm: `[E, N]`, length of its last update; nan if never.
        rounds_since: int `[E, N]`, rounds since it last completed; `round_index + 1` if never.
        invitations: int `[E, N]`, times invited so far.
        completions: int `[E, N]`, updates that arrived so far.
        sightings: int `[E, N]`, decisions at which it was available so far, this one included.
        carbon_g_per_kwh: `[E, Z]`, intensity now.
        carbon_leads_s: `[H]`, leads of `carbon_forecast`.
        carbon_forecast: `[E, Z, H]`, forecast intensity in g/kWh.
        accuracy: `[E]`, validation accuracy now, 0 to 1.
        loss: `[E]`, validation loss now.
        recent_gain: `[E]`, accuracy gained over the last five training rounds.
        hours: `[E]`, hours spent so far.
        gigabytes: `[E]`, GB moved so far.
        kilograms: `[E]`, kg CO2e emitted so far.
        budget_left: `[E, 3]`, what is left of the hour, GB and kg budgets; inf if there is none.
        price_per_hour: `[E]`, accuracy points charged per hour.
        price_per_gb: `[E]`, accuracy points charged per GB.
        price_per_kg: `[E]`, accuracy points charged per kg CO2e.
        model_bytes: size of the model on its way to a client.
        sample_bytes: size of one training sample on the wire.
        overhead_s: the server's seconds per round.
        deadline_s: `[E]`, seconds after which a round is closed at the latest.
        future: the true future, for clairvoyant schedulers only; None otherwise.
        probed_loss: `[E, N]`, loss at the present model of the clients that answered a probe since it last
            changed; nan for the others (the default).
        upload_bytes: `[E]`, size of one update on its way back, compressed where the world compresses;
            `model_bytes` by default.
        busy: bool `[E, N]`, who still works for an earlier round and cannot be invited; nobody by default.
    """

    time_s: Floats
    utc_hour: Floats
    local_hour: Floats
    round_index: Ints
    rounds_left: Ints
    available: Bools
    zone: Ints
    session_age_s: Floats
    announced_left_s: Floats
    forecast_leads_s: Floats
    available_forecast: Floats
    step_s: Floats
    down_bytes_per_s: Floats
    up_bytes_per_s: Floats
    compute_watts: Floats
    network_j_per_byte: Floats
    samples: Ints
    samples_sent: Ints
    storage_left: Ints
    target_weight: Floats
    last_loss: Floats
    last_norm: Floats
    rounds_since: Ints
    invitations: Ints
    completions: Ints
    sightings: Ints
    carbon_g_per_kwh: Floats
    carbon_leads_s: Floats
    carbon_forecast: Floats
    accuracy: Floats
    loss: Floats
    recent_gain: Floats
    hours: Floats
    gigabytes: Floats
    kilograms: Floats
    budget_left: Floats
    price_per_hour: Floats
    price_per_gb: Floats
    price_per_kg: Floats
    model_bytes: float
    sample_bytes: float
    overhead_s: float
    deadline_s: Floats
    future: Future | None = None
    probed_loss: Floats = field(default_factory=_not_given)
    upload_bytes: Floats = field(default_factory=_not_given)
    busy: Bools = field(default_factory=lambda: cast(Bools, _NOT_GIVEN))

    def __post_init__(self) -> None:
        """Fill in the defaults that depend on the shape."""
        defaults: dict[str, tuple[tuple[int, ...], Any]] = {
            "probed_loss": (self.available.shape, np.nan),
            "upload_bytes": (self.available.shape[:1], self.model_bytes),
            "busy": (self.available.shape, False),
        }
        for name, (shape, value) in defaults.items():
            if getattr(self, name) is _NOT_GIVEN:
                object.__setattr__(self, name, np.full(shape, value))

    @property
    def num_envs(self) -> int:
        """E."""
        return int(self.available.shape[0])

    @property
    def num_clients(self) -> int:
        """N."""
        return int(self.available.shape[1])

    @property
    def client_carbon(self) -> Floats:
        """`[E, N]`, g CO2e per kWh at each client now."""
        first = np.arange(self.num_envs)[:, None] * self.carbon_g_per_kwh.shape[1]
        return np.take(self.carbon_g_per_kwh, self.zone + first)

    def round_s(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, seconds each client would need: download, local steps, upload."""
        down_bytes = self.model_bytes + np.asarray(transfer_samples) * self.sample_bytes
        return (
            down_bytes / self.down_bytes_per_s
            + np.asarray(local_steps) * self.step_s
            + self.upload_bytes[:, None] / self.up_bytes_per_s
        )

    def round_bytes(self, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, bytes an invitation moves if it is carried out."""
        model = self.model_bytes + self.upload_bytes[:, None]
        moved = model + np.asarray(transfer_samples) * self.sample_bytes
        return np.broadcast_to(moved, self.available.shape).astype(np.float64)

    def round_j(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, joules an invitation costs if it is carried out."""
        compute = np.asarray(local_steps) * self.step_s * self.compute_watts
        return compute + self.round_bytes(transfer_samples) * self.network_j_per_byte

    def round_g(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, grams CO2e an invitation costs at the present intensity."""
        return self.round_j(local_steps, transfer_samples) / JOULES_PER_KWH * self.client_carbon

    def round_points(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, accuracy points an invitation costs in bytes and emissions, at the present prices."""
        gigabytes = self.round_bytes(transfer_samples) / BYTES_PER_GB
        kilograms = self.round_g(local_steps, transfer_samples) / 1e3
        return gigabytes * self.price_per_gb[:, None] + kilograms * self.price_per_kg[:, None]
