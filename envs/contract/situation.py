"""What a coordinator can know when it has to decide, in raw units; E environments, N clients, Z zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np

from ...common.arrays import Bools, Floats, Ints, Ints32
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH
from .stream import StreamFacts

PAST = 6
"""Scores that `RunFacts.past_accuracy` holds: before each of the last five training rounds, and now."""

Values: TypeAlias = dict[str, Any]
"""Fields of the parts of a situation by name: arrays and numbers."""


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


@dataclass(frozen=True)
class Situation:
    """The observable part of E worlds with N clients in Z grid zones, just before a decision.

    Attributes:
        clients: what is known of each client.
        zones: what is known of each grid zone.
        run: how far the run has come.
        terms: prices, budgets, sizes.
        future: the truth, for clairvoyant schedulers only; None for all others.
        stream: requests, labels and memories; None in worlds without arrivals.
    """

    clients: ClientFacts
    zones: ZoneFacts
    run: RunFacts
    terms: Terms
    future: Future | None = None
    stream: StreamFacts | None = None

    @classmethod
    def of(cls, future: Future | None = None, stream: StreamFacts | None = None, **values: Any) -> Situation:
        """A situation from the fields of all its parts; for adapters of other simulators, and for tests.

        What nobody need know may be missing: nobody is busy, nothing was probed, nobody has to be set up, an
        update is as large as the model, nobody has waited, labels are alike everywhere, no end is announced,
        the scores have always been what they are, and nothing is known of the last round.
        `model_bytes`, `sample_bytes` and `overhead_s` may be one number for all environments.

        Args:
            future: see the class.
            stream: likewise.
            **values: fields of `ClientFacts`, `ZoneFacts`, `RunFacts` and `Terms`.

        Raises:
            TypeError: a field is missing or unknown.
        """
        shape = np.shape(values.get("available", ()))
        missing: dict[str, Callable[[], Any]] = {
            "busy": lambda: np.zeros(shape, dtype=bool),
            "probed_loss": lambda: np.full(shape, np.nan),
            "setup_bytes": lambda: np.zeros(shape),
            "looks": lambda: np.asarray(values["round_index"]) + 1,
            "upload_bytes": lambda: np.array(values["model_bytes"]),
            "upload_bits": lambda: np.zeros(shape[:1], dtype=np.int64),
            "label_skew": lambda: np.zeros(shape[:1]),
            "announced_share": lambda: np.zeros(shape[:1]),
            "price_per_auc": lambda: np.zeros(shape[:1]),
            "federation_size": lambda: np.full(shape[0], shape[1], dtype=np.int64),
            "best_accuracy": lambda: np.asarray(values["accuracy"]),
            "past_accuracy": lambda: np.repeat(np.asarray(values["accuracy"])[:, None], PAST, axis=1),
            "past_loss": lambda: np.repeat(np.asarray(values["loss"])[:, None], PAST, axis=1),
            "last_hours": lambda: np.zeros(shape[:1]),
            "last_gigabytes": lambda: np.zeros(shape[:1]),
            "last_kilograms": lambda: np.zeros(shape[:1]),
            "last_invited": lambda: np.zeros(shape[:1], dtype=np.int64),
            "last_completed": lambda: np.zeros(shape[:1], dtype=np.int64),
        }
        values |= {name: np.full(shape[:1], float(values[name]))
                   for name in ("model_bytes", "sample_bytes", "overhead_s")
                   if name in values and np.ndim(values[name]) == 0}  # fmt: skip
        values |= {name: default() for name, default in missing.items() if name not in values}
        parts = {part: {f.name: values.pop(f.name) for f in fields(kind) if f.name in values}
                 for part, kind in _PARTS.items()}  # fmt: skip
        if values:
            raise TypeError(f"Situation: unknown fields {', '.join(values)}")
        return cls(
            ClientFacts(**parts["clients"]),
            ZoneFacts(**parts["zones"]),
            RunFacts(**parts["run"]),
            Terms(**parts["terms"]),
            future,
            stream,
        )

    def changed(self, **values: Any) -> Situation:
        """A copy in which some fields of the parts, `future` or `stream` are replaced.

        Raises:
            TypeError: there is no field of that name.
        """
        whole: Values = {name: values.pop(name) for name in ("future", "stream") if name in values}
        for part, kind in _PARTS.items():
            mine = {f.name: values.pop(f.name) for f in fields(kind) if f.name in values}
            if mine:
                whole[part] = replace(getattr(self, part), **mine)
        if values:
            raise TypeError(f"Situation: unknown fields {', '.join(values)}")
        return replace(self, **whole)

    def flat(self) -> Values:
        """The fields of all parts by name, as `of` takes them; without the future."""
        return {
            f.name: getattr(getattr(self, part), f.name)
            for part, kind in _PARTS.items()
            for f in fields(kind)
        }

    @property
    def num_envs(self) -> int:
        """E."""
        return int(self.clients.available.shape[0])

    @property
    def num_clients(self) -> int:
        """N."""
        return int(self.clients.available.shape[1])

    @property
    def client_carbon(self) -> Floats:
        """`[E, N]`, g CO2e per kWh at each client now."""
        first = np.arange(self.num_envs)[:, None] * self.zones.carbon_g_per_kwh.shape[1]
        carbon: Floats = np.take(self.zones.carbon_g_per_kwh, self.clients.zone + first)
        return carbon

    @property
    def warm(self) -> Situation:
        """A copy in which everybody is set up: what rounds after the first of a session cost."""
        return self.changed(setup_bytes=np.zeros(self.clients.setup_bytes.shape))

    def at_bits(self, bits: int | Ints) -> Situation:
        """A copy with updates of so many bits, for all or `[E]`, where they are a decision; 0: as it is."""
        own = self.terms.upload_bits
        if not np.any(bits) or not own.any():
            return self
        new_bits = np.where((own > 0) & (np.asarray(bits) > 0), bits, own)
        factor = new_bits / np.maximum(own, 1)
        upload_bytes = np.where(own > 0, self.terms.upload_bytes * factor, self.terms.upload_bytes)
        return self.changed(upload_bytes=upload_bytes, upload_bits=new_bits)

    def round_s(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, seconds each client would need: download, set-up included, local steps, upload."""
        clients, terms = self.clients, self.terms
        samples_bytes = np.asarray(transfer_samples) * terms.sample_bytes[:, None]
        down_bytes = clients.setup_bytes + terms.model_bytes[:, None] + samples_bytes
        return (
            down_bytes / clients.down_bytes_per_s
            + np.asarray(local_steps) * clients.step_s
            + terms.upload_bytes[:, None] / clients.up_bytes_per_s
        )

    def round_bytes(self, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, bytes an invitation moves if it is carried out."""
        terms = self.terms
        model = self.clients.setup_bytes + terms.model_bytes[:, None] + terms.upload_bytes[:, None]
        moved = model + np.asarray(transfer_samples) * terms.sample_bytes[:, None]
        return np.broadcast_to(moved, self.clients.available.shape).astype(np.float64)

    def round_j(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, joules an invitation costs if it is carried out."""
        compute = np.asarray(local_steps) * self.clients.step_s * self.clients.compute_watts
        return compute + self.round_bytes(transfer_samples) * self.clients.network_j_per_byte

    def round_g(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, grams CO2e an invitation costs at the present intensity."""
        return self.round_j(local_steps, transfer_samples) / JOULES_PER_KWH * self.client_carbon

    def round_points(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, accuracy points an invitation costs in bytes and emissions, at the present prices."""
        gigabytes = self.round_bytes(transfer_samples) / BYTES_PER_GB
        kilograms = self.round_g(local_steps, transfer_samples) / GRAMS_PER_KG
        return gigabytes * self.terms.price_per_gb[:, None] + kilograms * self.terms.price_per_kg[:, None]


_PARTS: dict[str, type[ClientFacts] | type[ZoneFacts] | type[RunFacts] | type[Terms]] = {
    "clients": ClientFacts,
    "zones": ZoneFacts,
    "run": RunFacts,
    "terms": Terms,
}
