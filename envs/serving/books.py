"""The books of worlds of serving: running sums, and what the last step told."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...common.arrays import Bools, Floats
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from .contract import ServingOutcome
from .ladders import Given

_RATE_MEMORY_S = 7200.0
"""Over which `TaskFacts.rate` is a mean."""


@dataclass
class Books:
    """Running sums of E episodes, and what the last step told."""

    right: Floats  # [E] so far, as all below
    answered: Floats  # [E]
    requests: Floats  # [E]
    dropped: Floats  # [E]
    hub: Floats  # [E] answered by the hub because no slot had room
    asked: Floats  # [E] asked of the hub by slots that were not sure
    retried: Floats  # [E]
    loads: Floats  # [E] begun
    lost: Floats  # [E] models and loads that went with their machines
    gigabytes: Floats  # [E]
    kilowatt_hours: Floats  # [E]
    kilograms: Floats  # [E]
    repairs: Floats  # [E]
    net_points: Floats  # [E]
    steps: Floats  # [E]
    hours: Floats  # [E]
    rate: Floats  # [E, Z, I]
    requests_last: Floats  # [E, Z, I]
    answered_last: Floats  # [E, I]
    dropped_last: Floats  # [E, I]
    busy: Floats  # [E, S]
    bins: Floats  # [3, E, I, T]

    @staticmethod
    def blank(e: int, z: int, i: int, s: int, t: int) -> Books:
        """Nothing has happened."""
        shapes = {"rate": (e, z, i), "requests_last": (e, z, i), "answered_last": (e, i)}
        shapes |= {"dropped_last": (e, i), "busy": (e, s), "bins": (3, e, i, t)}
        return Books(**{field.name: np.zeros(shapes.get(field.name, (e,))) for field in fields(Books)})

    def open(self, envs: Bools, usual: Floats) -> None:
        """Begin new episodes in the rows of `envs`, whose cells are asked so much `[E]` in a usual step."""
        for field in fields(self):
            values = getattr(self, field.name)
            if field.name == "bins":
                values[:, envs] = 0.0
            else:
                values[envs] = 0.0
        self.rate[envs] = usual[envs, None, None]

    @property
    def accuracy(self) -> Floats:
        """`[E]`, right answers over answers so far."""
        return np.divide(self.right, self.answered, out=np.zeros_like(self.right), where=self.answered > 0)

    def feedback(self, given: Given, local: Floats, capacity: Floats, active: Bools) -> None:
        """Enter what slots and hub were seen to do."""
        busy = np.divide(local, capacity, out=np.zeros_like(local), where=capacity > 0)
        self.busy = np.where(active[:, None], busy, self.busy)
        self.bins = np.where(active[None, :, None, None], given.bins, self.bins)

    def record(self, outcome: ServingOutcome, terms: Floats, active: Bools, step_s: float) -> None:
        """Enter one step; rows that are not active carry zeros and stay as they are."""
        self.right += outcome.right.sum(axis=1)
        self.answered += outcome.answered.sum(axis=1)
        self.requests += outcome.requests.sum(axis=(1, 2))
        self.dropped += outcome.dropped.sum(axis=1)
        self.hub += outcome.hub
        self.asked += outcome.asked
        self.retried += outcome.retried
        self.loads += outcome.begun
        self.lost += outcome.lost
        self.gigabytes += outcome.bytes.sum(axis=1) / BYTES_PER_GB
        self.kilowatt_hours += (outcome.energy_j.sum(axis=1) + outcome.hub_j) / JOULES_PER_KWH
        self.kilograms += (outcome.emissions_g.sum(axis=1) + outcome.hub_g) / GRAMS_PER_KG
        self.repairs += outcome.repairs
        self.net_points += terms.sum(axis=1)
        self.steps += active
        self.hours += active * step_s / SECONDS_PER_HOUR
        kept = np.where(active, np.exp(-step_s / _RATE_MEMORY_S), 1.0)[:, None, None]
        self.rate = kept * self.rate + (1.0 - kept) * outcome.requests
        for name in ("requests", "answered", "dropped"):
            new, old = getattr(outcome, name), getattr(self, f"{name}_last")
            setattr(self, f"{name}_last", np.where(active.reshape(-1, *[1] * (new.ndim - 1)), new, old))

    def totals(self) -> dict[str, Floats]:
        """The sums by name, fresh arrays `[E]`."""
        sums = {f.name: getattr(self, f.name).copy() for f in fields(self) if getattr(self, f.name).ndim == 1}
        return {**sums, "accuracy": self.accuracy}
