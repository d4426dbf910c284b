"""A policy of serving and its three parts: which model where, whose answers are checked, what may wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.contract import SchedulerKind
from ....envs.serving import KEEP, NOTHING, ServingPlan, ServingSituation
from ....envs.serving_view import coming_content
from ..base import Setting, State, check_knobs, settings_of

_STREAM = 0x5E27E
"""Keeps a policy's random streams apart from the world's and the schedulers'."""


@dataclass(kw_only=True)
class Part:
    """Base of the parts: declared hyperparameters, and state and random numbers for each environment.

    A part's row i depends on row i alone.
    """

    name: ClassVar[str] = "part"
    clairvoyant: ClassVar[bool] = False
    number: ClassVar[int] = 0  # of its random stream

    state: State = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_knobs(self)
        self._rngs: list[np.random.Generator] = []
        self._keys: list[list[int]] = []

    def begin(self, rows: Bools, seeds: Ints, situation: ServingSituation) -> None:
        """Start new episodes in some rows, at their first situation.

        Args:
            rows: bool `[E]`.
            seeds: int64 `[E]`, read where `rows` is true.
            situation: of all rows.
        """
        if len(self._rngs) != rows.size:
            self._keys = [[_STREAM, self.number, row] for row in range(rows.size)]
            self._rngs = [np.random.default_rng(key) for key in self._keys]
        for row in np.flatnonzero(rows):
            self._keys[row] = [_STREAM, self.number, int(seeds[row]) % 2**63]
            self._rngs[row] = np.random.default_rng(self._keys[row])
        fresh = self.fresh_state(situation)
        for key, initial in fresh.items():
            if key in self.state and self.state[key].shape == initial.shape:
                self.state[key][rows] = initial[rows]
            else:
                self.state[key] = initial.copy()

    def fresh_state(self, situation: ServingSituation) -> State:
        """Initial value of all state, each array with E rows. Extend the parent's dict.

        It is computed for all rows and taken for those that begin: draw with `kept_uniforms` here.
        """
        return {}

    def kept_uniforms(self, *shape: int) -> Floats:
        """Random numbers `[E, *shape]` that a row's seed alone determines, whenever they are drawn."""
        return np.stack([np.random.default_rng([*key, 1]).random(shape) for key in self._keys])

    def uniforms(self, *shape: int) -> Floats:
        """Random numbers `[E, *shape]` in [0, 1), each row from its environment's own generator."""
        return np.stack([rng.random(shape) for rng in self._rngs])


@dataclass(kw_only=True)
class Placement(Part):
    """Which model each slot should hold."""

    number: ClassVar[int] = 1
    release: ClassVar[str] = "at-once"  # part that goes with it where none is named
    threshold: ClassVar[str] = "never-ask"  # likewise

    def place(self, situation: ServingSituation) -> Ints:
        """What each slot should hold, int `[E, S]`; NOTHING leaves a slot as it is."""
        raise NotImplementedError


@dataclass(kw_only=True)
class Threshold(Part):
    """Below which confidence the answers of a task are asked of the hub."""

    number: ClassVar[int] = 2

    def thresholds(self, situation: ServingSituation) -> Floats:
        """`[E, I]` in [0, 1], among the world's levels."""
        raise NotImplementedError


@dataclass(kw_only=True)
class Release(Part):
    """How much of what can wait is answered now."""

    number: ClassVar[int] = 3

    def shares(self, situation: ServingSituation) -> Floats:
        """`[E]`, share of the queue in [0, 1]."""
        raise NotImplementedError


class ServingPolicy:
    """A placement, a threshold rule and a release rule, which decide apart from each other.

    Args:
        placement: which model where.
        threshold: whose answers are checked.
        release: what is answered now.
        name: what tables call it; None: the parts' names.
    """

    def __init__(
        self, placement: Placement, threshold: Threshold, release: Release, name: str | None = None
    ) -> None:
        self.placement, self.threshold, self.release = placement, threshold, release
        self.name = name or "+".join(part.name for part in self.parts)
        self._fresh, self._seeds = np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
        self._num_slots = 0

    @property
    def parts(self) -> tuple[Placement, Threshold, Release]:
        """Its three parts."""
        return self.placement, self.threshold, self.release

    @property
    def settings(self) -> dict[str, Setting]:
        """The present value of every hyperparameter of its parts, which have no names in common."""
        return {name: value for part in self.parts for name, value in settings_of(part).items()}

    @property
    def clairvoyant(self) -> bool:
        """Whether one of its parts wants to see the future."""
        return any(part.clairvoyant for part in self.parts)

    @property
    def kind(self) -> SchedulerKind:
        """How tables group it."""
        return "ceiling" if self.clairvoyant else "handcrafted"

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes in the rows of `envs`; see `ServingScheduler.reset`."""
        envs = np.asarray(envs, dtype=bool)
        if self._fresh.size != envs.size or self._num_slots != num_clients:
            self._fresh = np.ones(envs.size, dtype=bool)
            self._seeds, self._num_slots = np.arange(envs.size, dtype=np.int64), num_clients
        self._fresh = self._fresh | envs
        self._seeds = np.where(envs, seeds, self._seeds)

    def plan(self, situation: ServingSituation) -> ServingPlan:
        """What to load, ask and release; see `ServingScheduler.plan`."""
        if (self._fresh.size, self._num_slots) != (situation.num_envs, situation.num_slots):
            raise ValueError(
                f"{self.name}: situation of {situation.num_envs} x {situation.num_slots} slots, expected "
                f"{self._fresh.size} x {self._num_slots}: call reset() first"
            )
        if self._fresh.any():
            for part in self.parts:
                part.begin(self._fresh, self._seeds, situation)
            self._fresh = np.zeros_like(self._fresh)
        wanted = self.placement.place(situation)
        change = (wanted != NOTHING) & (wanted != coming_content(situation)) & situation.loadable
        return ServingPlan(
            load=np.where(change, 1 + wanted, KEEP),
            threshold=self.threshold.thresholds(situation),
            release=self.release.shares(situation),
        )
