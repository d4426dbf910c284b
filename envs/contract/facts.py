"""What is known of clients, grids, the run and its terms before a decision, in raw units.

E environments, N clients, Z zones.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...common.arrays import Bools, Floats, Ints

PAST = 6
"""Scores that `RunFacts.past_accuracy` holds: before each of the last five training rounds, and now."""


@dataclass(frozen=True)
class ClientFacts:
    """What is known of each client, before a decision; one record, since most schedulers read across it."""

    available: Bools  # [E, N] could be invited now
    busy: Bools  # [E, N] still works for an earlier round and cannot be invited
    zone: Ints  # [E, N] index of its grid zone
    session_age_s: Floats  # [E, N] how long the running session has lasted; 0 if unavailable
    announced_left_s: Floats  # [E, N] until the announced end of the session; inf if none was announced
    forecast_leads_s: Floats  # [L] leads of `available_forecast`
    available_forecast: Floats  # [E, N, L] forecast probability of being available at each lead
    step_s: Floats  # [E, N] per local step
    down_bytes_per_s: Floats  # [E, N] bandwidth towards the client
    up_bytes_per_s: Floats  # [E, N] bandwidth towards the server
    compute_watts: Floats  # [E, N] drawn while computing
    network_j_per_byte: Floats  # [E, N]
    setup_bytes: Floats  # [E, N] to fetch first, once per session: container image, frozen weights; 0 = warm
    samples_held: Ints  # [E, N] rows it trains on now
    samples_sent: Ints  # [E, N] how many of them came from the hub
    storage_left: Ints  # [E, N] rows that may still be sent to it
    target_weight: Floats  # [E, N] its share alpha_k in the objective; rows sum to 1
    last_loss: Floats  # [E, N] training loss last reported; nan if never
    last_norm: Floats  # [E, N] length of its last update; nan if never
    probed_loss: Floats  # [E, N] answer to a probe at the present model; nan for the others
    rounds_since: Ints  # [E, N] training rounds since it last completed; `round_index + 1` if never
    invitations: Ints  # [E, N] so far
    completions: Ints  # [E, N] updates that arrived so far
    sightings: Ints  # [E, N] looks (`RunFacts.looks`) at which it was available so far


@dataclass(frozen=True)
class ZoneFacts:
    """What is known of each grid zone."""

    local_hour: Floats  # [E, Z] hour of the day
    carbon_g_per_kwh: Floats  # [E, Z] intensity now
    carbon_leads_s: Floats  # [H] leads of `carbon_forecast`
    carbon_forecast: Floats  # [E, Z, H] forecast intensity, g/kWh


@dataclass(frozen=True)
class RunFacts:
    """How far the training run has come, and what it has used."""

    time_s: Floats  # [E] since the episode began
    utc_hour: Floats  # [E] hour of the day, 0 to 24
    round_index: Ints  # [E] training rounds so far; waits and probes are none
    rounds_left: Ints  # [E] training rounds left before the episode is cut off
    looks: Ints  # [E] times that `sightings` was counted: before each round and wait, this one included
    accuracy: Floats  # [E] on the validation set now, 0 to 1
    loss: Floats  # [E] on the validation set now
    recent_gain: Floats  # [E] accuracy gained over the last five training rounds
    best_accuracy: Floats  # [E] on the validation set so far
    past_accuracy: Floats  # [E, 6] before each of the last five training rounds, and now; oldest first
    past_loss: Floats  # [E, 6] the same of the loss
    last_hours: Floats  # [E] that the last training round took; 0 before the first, as below
    last_gigabytes: Floats  # [E] that it moved
    last_kilograms: Floats  # [E] CO2e that it emitted
    last_invited: Ints  # [E] clients invited to it
    last_completed: Ints  # [E] updates that arrived in it
    hours: Floats  # [E] so far
    gigabytes: Floats  # [E] moved so far
    kilograms: Floats  # [E] CO2e so far


@dataclass(frozen=True)
class Terms:
    """What things cost, and what may be spent."""

    price_per_hour: Floats  # [E] accuracy points
    price_per_gb: Floats  # [E] accuracy points
    price_per_kg: Floats  # [E] accuracy points, per kg CO2e
    budget_left: Floats  # [E, 3] of hours, GB, kg; inf where there is none
    model_bytes: Floats  # [E] of the model on its way to a client
    sample_bytes: Floats  # [E] of one training sample on the wire
    upload_bytes: Floats  # [E] of one update on its way back, compressed where the world compresses
    upload_bits: Ints  # [E] of its coordinates, where they are a decision; 0 = they are none
    overhead_s: Floats  # [E] the server's seconds per round
    deadline_s: Floats  # [E] after which a round is closed at the latest
    label_skew: Floats  # [E] mean distance of a client's label mix from all clients', 0 to 1; 0 = alike
    announced_share: Floats  # [E] share of session ends that are announced, as far as that is known
    price_per_auc: (
        Floats  # [E] points per hundredth of an eavesdropper's area above one half; 0 = none listens
    )
    federation_size: Ints  # [E] clients that there are; in a mixture, rows beyond them stand for nobody

    def points(self, hours: Floats, gigabytes: Floats, kilograms: Floats) -> Floats:
        """Accuracy points `[E]` that so many hours, GB and kg CO2e, each `[E]`, are charged.

        What leaks is not among them: nobody who decides knows it.
        """
        return self.price_per_hour * hours + self.price_per_gb * gigabytes + self.price_per_kg * kilograms


@dataclass(frozen=True)
class Future:
    """What only a clairvoyant scheduler sees; never part of an observation."""

    session_left_s: Floats  # [E, N] true time until the running session ends; 0 for unavailable clients
    next_start_s: Floats  # [E, N] true time until the next session; 0 for available clients
    carbon_g_per_kwh: Floats  # [E, Z, H] true intensity at the leads of `ZoneFacts.carbon_leads_s`
    drift_s: Floats | None = (
        None  # [E, D] until each drift; negative = past, inf = none; None = a still world
    )
