"""Playing a scheduler through an action mode and keeping what an agent would have seen, done and earned."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from gymnasium.utils import seeding

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints
from ...envs.agent_view import AgentView, Observation
from ...envs.contract import Scheduler, StepResult, scheduler_seeds


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode of T decisions.

    A single environment that is reset with `seed` and given the actions pays the same rewards, bit for bit.
    """

    number: int  # its place in the recording
    seed: int  # what `reset(seed=...)` of the environment takes
    observations: dict[str, Floats32]  # arrays [T + 1, ...] by name, the last behind the last reward
    actions: AnyArray  # [T, ...] of the action space
    rewards: Floats  # [T] accuracy points
    terms: Floats  # [T, terms] the rewards by `Scenario.reward_terms`
    masks: Bools | None  # [T + 1, choices] what was legal; None where actions are scores
    terminated: bool  # ended by the world's rules; else truncated

    @property
    def net_points(self) -> float:
        """The sum of the rewards."""
        return float(self.rewards.sum())


@dataclass
class _Page:
    """An episode that is being played."""

    number: int
    seed: int
    observations: list[dict[str, Floats32]] = field(default_factory=list)
    masks: list[Bools] = field(default_factory=list)
    actions: list[AnyArray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terms: list[Floats] = field(default_factory=list)

    def see(self, row: int, observation: Observation, masks: Bools | None) -> None:
        self.observations.append({name: values[row].copy() for name, values in observation.items()})
        if masks is not None:
            self.masks.append(masks[row].copy())

    def earn(self, row: int, actions: AnyArray, result: StepResult) -> None:
        self.actions.append(actions[row].copy())
        self.rewards.append(float(result.reward[row]))
        self.terms.append(result.terms[row].copy())

    def closed(self, terminated: bool) -> RecordedEpisode:
        names = self.observations[0]
        return RecordedEpisode(
            self.number,
            self.seed,
            {name: np.stack([each[name] for each in self.observations]) for name in names},
            np.stack(self.actions),
            np.array(self.rewards, dtype=np.float64),
            np.stack(self.terms),
            np.stack(self.masks) if self.masks else None,
            terminated,
        )


def record_episodes(view: AgentView, scheduler: Scheduler, seeds: Ints) -> Iterator[RecordedEpisode]:
    """Play one episode per seed, as many at once as the view has rows, and yield them in order.

    The scheduler's plans are carried out as the nearest legal actions, so that the rewards belong to what is
    recorded. How many rows there are changes nothing but speed: whose episode ends begins the next one.

    Args:
        view: the worlds with their action mode.
        scheduler: who decides; it has been prepared, if it wants to be.
        seeds: int64, as an environment's `reset` takes them, at least as many as there are rows.
    """
    rows, playing = view.world.num_envs, _Playing(view, scheduler, seeds)
    done: dict[int, RecordedEpisode] = {}
    playing.begin(np.ones(rows, dtype=bool))
    due = 0
    while playing.pages:
        for episode in playing.step():
            done[episode.number] = episode
        while due in done:
            yield done.pop(due)
            due += 1


def episode_seed(seed: int) -> int:
    """The seed of the episode that an environment begins when it is reset with a seed."""
    return int(seeding.np_random(seed)[0].integers(2**31, size=1)[0])


class _Playing:
    """The rows of a view, each with the episode that it plays, and the episodes that are to come."""

    def __init__(self, view: AgentView, scheduler: Scheduler, seeds: Ints):
        self._view, self._scheduler = view, scheduler
        self._waiting = deque(enumerate(seeds.tolist()))
        self._has_masks = not _continuous(view)
        self.pages: dict[int, _Page] = {}

    def begin(self, rows: Bools) -> None:
        """Begin the next episodes in some rows, as far as there are any."""
        view, seeds, begins = self._view, np.zeros(rows.size, dtype=np.int64), np.zeros(rows.size, dtype=bool)
        for row in np.flatnonzero(rows).tolist():
            self.pages.pop(row, None)
            if self._waiting:
                number, seed = self._waiting.popleft()
                self.pages[row] = _Page(number, seed)
                seeds[row], begins[row] = episode_seed(seed), True
        if begins.any():
            view.reset(begins, seeds)
            given = seeds if self._scheduler.kind == "ceiling" else scheduler_seeds(seeds)
            self._scheduler.reset(begins, given, view.scenario.clients)
            self._see(begins)

    def step(self) -> list[RecordedEpisode]:
        """One decision everywhere; the episodes that it ended."""
        view, scheduler = self._view, self._scheduler
        known = view.world.situation(clairvoyant=True) if scheduler.clairvoyant else view.situation
        actions = view.action_mode.encode(scheduler.plan(known), view.situation)
        result = view.act(actions)
        ended = result.terminated | result.truncated
        for row, page in self.pages.items():
            page.earn(row, actions, result)
        self._see(np.ones(ended.size, dtype=bool))
        over = [row for row in self.pages if ended[row]]
        closed = [self.pages[row].closed(bool(result.terminated[row])) for row in over]
        if closed:
            self.begin(ended)
        return closed

    def _see(self, rows: Bools) -> None:
        observation = self._view.observe()
        assert isinstance(observation, dict)  # the recording made its view so
        masks = self._view.masks() if self._has_masks else None
        for row, page in self.pages.items():
            if rows[row]:
                page.see(row, observation, masks)


def _continuous(view: AgentView) -> bool:
    space = view.action_mode.space
    return space.dtype is not None and np.issubdtype(space.dtype, np.floating)
