"""Concept drift: what kind it is, and when each client's concept changes in an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ....common.arrays import Floats, Ints
from ....common.settings import Settings
from ....common.units import SECONDS_PER_HOUR

MOST_CONCEPTS = 64


class Drift(Settings):
    """How the relation of questions and answers changes while an episode lasts.

    `none` (the default): it does not. `shift`: the features of all rows are rolled by a part of their length
    (images column by column), so that a model of the old concept reads them wrongly. `swap`: some labels
    exchange their meaning, the rows stay. `mix`: the concept stays, but what a client is asked changes; at
    every drift half of its label mix is exchanged for that of another client. `staggered`: a `shift` of all
    clients through the same concepts, but each follows at a time of its own (the case of FedDrift,
    Jothimurugesan et al. 2023). In worlds of quadratics the clients' minimisers move instead: in a random
    `walk` of all together, or in `jumps` of a fixed length in random directions.

    Attributes:
        kind: one of the seven; the last two are those of quadratics, which have no others.
        mean_h: hours between two drifts, exponentially distributed.
        scope: whose drift it is: everybody's at once, or each zone's or each client's at its own times.
        concepts: how many there are; the next one is any of the others.
        spread_h: of `staggered`, hours within which everybody has followed; half of `mean_h` by default.
        step: of `walk`, root mean square of the way in an hour; 0.5 by default.
        distance: of `jumps`, their length; 2 by default.
    """

    kind: Literal["none", "shift", "swap", "mix", "staggered", "walk", "jumps"] = "none"
    mean_h: Annotated[float, Field(ge=0.1, le=1e6)] = 8.0
    scope: Literal["all", "zone", "client"] = "all"
    concepts: Annotated[int, Field(ge=2, le=MOST_CONCEPTS)] = 8
    spread_h: Annotated[float, Field(gt=0, le=1e6)] | None = None
    step: Annotated[float, Field(gt=0, le=1e6)] | None = None
    distance: Annotated[float, Field(gt=0, le=1e6)] | None = None

    @model_validator(mode="after")
    def _belongs(self) -> Drift:
        for name, kind in (("spread_h", "staggered"), ("step", "walk"), ("distance", "jumps")):
            value = getattr(self, name)
            if self.kind != kind and value is not None:
                raise ValueError(f"{name}: {value}, expected only with kind: {kind}, not {self.kind}")
        if self.kind == "staggered" and self.scope != "all":
            raise ValueError(
                f"scope: {self.scope}, expected all with kind: staggered, in which all follow one another"
            )
        if self.kind == "walk" and self.scope != "all":
            raise ValueError(f"scope: {self.scope}, expected all with kind: walk; jumps may have others")
        return self

    @property
    def of_quadratics(self) -> bool:
        """Whether minimisers move, and not concepts of data."""
        return self.kind in ("walk", "jumps")

    @property
    def copies(self) -> int:
        """Copies of the data set that the concepts take."""
        return 1 if self.kind in ("none", "mix", "walk", "jumps") else self.concepts


@dataclass(frozen=True)
class DriftEpisode:
    """When each client's concept changes in one episode, and to which."""

    times_s: Floats  # [N, D] since the episode began, ascending; inf = no more
    concept: Ints  # [N, D + 1] before the first change, after it, and so on

    @property
    def num_changes(self) -> int:
        """D."""
        return int(self.times_s.shape[1])


def draw_drift(
    settings: Drift, zone: Ints, num_zones: int, horizon_s: float, rng: np.random.Generator
) -> DriftEpisode:
    """One episode's drift.

    Args:
        settings: what kind.
        zone: int `[N]`, of each client.
        num_zones: Z.
        horizon_s: until when.
        rng: source of all chance.
    """
    n = zone.size
    if settings.kind == "none":
        return DriftEpisode(np.empty((n, 0)), np.zeros((n, 1), dtype=np.int64))
    groups = {"all": np.zeros(n, dtype=np.int64), "zone": zone, "client": np.arange(n)}[settings.scope]
    count = {"all": 1, "zone": num_zones, "client": n}[settings.scope]
    drawn = [_one_clock(settings, horizon_s, rng) for _ in range(count)]
    most = max(times.size for times, _ in drawn)
    times_s, concept = np.full((count, most), np.inf), np.zeros((count, most + 1), dtype=np.int64)
    for row, (times, concepts) in enumerate(drawn):
        times_s[row, : times.size] = times
        concept[row, : concepts.size], concept[row, concepts.size :] = concepts, concepts[-1]
    times_s, concept = times_s[groups], concept[groups]
    if settings.kind == "staggered":
        spread_h = settings.mean_h / 2.0 if settings.spread_h is None else settings.spread_h
        later = times_s + rng.random(times_s.shape) * spread_h * SECONDS_PER_HOUR
        times_s = np.maximum.accumulate(later, axis=1)  # nobody leaves a concept before it came
    return DriftEpisode(times_s, concept)


def _one_clock(settings: Drift, horizon_s: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Times `[D]` of changes before the horizon, and concepts `[D + 1]`; of `mix` they are numbered."""
    times: list[float] = []
    time_s = rng.exponential(settings.mean_h * SECONDS_PER_HOUR)
    while time_s < horizon_s:
        times.append(time_s)
        time_s += rng.exponential(settings.mean_h * SECONDS_PER_HOUR)
    if settings.kind == "mix":
        return np.array(times), np.arange(len(times) + 1)
    steps = rng.integers(1, settings.concepts, size=len(times))
    return np.array(times), np.concatenate([[0], np.cumsum(steps) % settings.concepts]).astype(np.int64)


def drifting_mixes(mix: Floats, episode: DriftEpisode, rng: np.random.Generator) -> Floats:
    """Label mixes `[N, D + 1, C]` of clients that exchange half of theirs at every change.

    Args:
        mix: `[N, C]`, before the first.
        episode: the changes.
        rng: who takes whose.
    """
    stages = [mix]
    for _ in range(episode.num_changes):
        stages.append(0.5 * stages[-1] + 0.5 * mix[rng.integers(len(mix), size=len(mix))])
    return np.stack(stages, axis=1)
