"""What a coordinator can know when it has to decide, in raw units; E environments, N clients, Z zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np

from ...common.arrays import Floats, Ints, Ints32
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH
from .facts import PAST, ClientFacts, Future, RunFacts, Terms, ZoneFacts
from .stream import StreamFacts

Values: TypeAlias = dict[str, Any]
"""Fields of the parts of a situation by name: arrays and numbers."""


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

    def rows(self, envs: Ints) -> Situation:
        """What is known of some environments; without the future."""
        values = {name: value if name in _LEADS else value[envs] for name, value in self.flat().items()}
        return Situation.of(stream=None if self.stream is None else self.stream.rows(envs), **values)

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
        return self._joules(local_steps, self.round_bytes(transfer_samples))

    def round_g(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, grams CO2e an invitation costs at the present intensity."""
        return self._grams(local_steps, self.round_bytes(transfer_samples))

    def round_points(self, local_steps: Ints32 | int, transfer_samples: Ints32 | int = 0) -> Floats:
        """`[E, N]`, accuracy points an invitation costs in bytes and emissions, at the present prices."""
        moved = self.round_bytes(transfer_samples)
        gigabytes, kilograms = moved / BYTES_PER_GB, self._grams(local_steps, moved) / GRAMS_PER_KG
        return gigabytes * self.terms.price_per_gb[:, None] + kilograms * self.terms.price_per_kg[:, None]

    def _joules(self, local_steps: Ints32 | int, moved: Floats) -> Floats:
        compute = np.asarray(local_steps) * self.clients.step_s * self.clients.compute_watts
        return compute + moved * self.clients.network_j_per_byte

    def _grams(self, local_steps: Ints32 | int, moved: Floats) -> Floats:
        return self._joules(local_steps, moved) / JOULES_PER_KWH * self.client_carbon


_LEADS = ("forecast_leads_s", "carbon_leads_s")
"""Fields that all environments share."""

_PARTS: dict[str, type[ClientFacts] | type[ZoneFacts] | type[RunFacts] | type[Terms]] = {
    "clients": ClientFacts,
    "zones": ZoneFacts,
    "run": RunFacts,
    "terms": Terms,
}
