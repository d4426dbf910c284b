"""A batch of worlds as an agent sees it: what all environments share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

from ...common.arrays import AnyArray, Bools, Ints
from ...common.registry import load_dotted
from ...common.splits import Split
from ..contract import REWARD_TERMS, RoundPlan, Served, Situation, StepResult, scheduler_seeds
from ..episode import most_decisions
from ..mixture import make_world
from ..scenario import Levels, Scenario, ScenarioSource, load_scenario
from .action_modes import MakeScheduler, Menu, make_action_mode
from .actions import ActionCodec, ActionLayout, without_early_stops
from .encoder import ObservationEncoder
from .flat import OBSERVATIONS, AnyObservation, flat_space, flatten

Info: TypeAlias = dict[str, Any]
"""Gymnasium's dictionaries beside an observation: `info`, and `options` of a reset."""

# By name: schedulers live above this package, and users bring their own.
_MAKE_SCHEDULER = "frugalfl.agents.schedulers:make_scheduler"


class AgentView:
    """A batch of worlds with observations, integer actions and masks around it.

    Args:
        scenario: packaged name, YAML path, mapping or Scenario.
        num_envs: E.
        split: train, val or test.
        action: "levels", "discrete" or "scores", see `action_modes`.
        menu: the menu of "discrete"; None = `action_modes.DEFAULT_MENU`.
        max_episode_steps: steps after which an episode is truncated, if the world's own limits have not ended
            it before; None or -1: no other limit.
        observation: "dict": by parts; "flat": one vector.
        **changes: fields of `Scenario` to replace, see `load_scenario`.

    Attributes:
        max_episode_steps: the most steps that an episode can have.
        observation_space: of one environment.
        episode_seeds: int64 `[E]`, of the running episodes; for evaluators and recorders, never for agents.
        episodes_begun: int64 `[E]`, how many each environment has begun.
    """

    def __init__(
        self,
        scenario: ScenarioSource,
        num_envs: int = 1,
        split: Split = "train",
        action: str = "levels",
        menu: Menu | None = None,
        max_episode_steps: int | None = None,
        observation: str = "dict",
        **changes: object,
    ):
        if observation not in OBSERVATIONS:
            raise ValueError(f"observation: {observation!r}, expected one of {', '.join(OBSERVATIONS)}")
        self.scenario: Scenario = load_scenario(scenario, **changes)
        self.world = make_world(self.scenario, num_envs, split)
        self.encoder = ObservationEncoder(self.scenario)
        self._flat = observation == "flat"
        self.observation_space: spaces.Space[Any] = (
            flat_space(self.encoder.space) if self._flat else self.encoder.space
        )
        self.codec = ActionCodec(layout_of(self.scenario))
        self.use_action(action, menu)
        self._situation: Situation | None = None
        own = most_decisions(self.scenario)
        self.max_episode_steps = min(own, _step_limit(max_episode_steps) or own)
        self._limited = self.max_episode_steps < own
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self.episode_seeds = np.zeros(num_envs, dtype=np.int64)
        self.episodes_begun = np.zeros(num_envs, dtype=np.int64)

    @property
    def situation(self) -> Situation:
        """The present situation of all environments, computed once per step."""
        if self._situation is None:
            self._situation = self.world.situation()
        return self._situation

    def use_action(self, action: str, menu: Menu | None = None) -> None:
        """Exchange the action mode; takes effect with the next episode."""
        make: MakeScheduler | None = None
        if action == "discrete":
            make = load_dotted(_MAKE_SCHEDULER, "menu", own=True)
        self.action_mode = make_action_mode(action, self.codec.layout, menu, make)

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`."""
        self.world.reset(envs, seeds)
        # The schedulers of a menu know as little of the episode as those that play alone.
        self.action_mode.reset(envs, scheduler_seeds(seeds))
        self._situation = None
        self._steps[envs] = 0
        self.episode_seeds[envs] = seeds[envs]
        self.episodes_begun[envs] += 1

    def observe(self) -> AnyObservation:
        """Fresh observations of all environments."""
        parts = self.encoder.encode(self.situation)
        return flatten(parts, (self.world.num_envs,)) if self._flat else parts

    def masks(self) -> Bools:
        """Legal choices, `[E, choices]`."""
        return self.action_mode.masks(self.situation)

    def act(self, actions: AnyArray) -> StepResult:
        """Carry out a batch of actions, one per environment; a masked stop counts among the repairs."""
        asked = self.action_mode.read(actions, self.situation)
        plan = without_early_stops(asked, self.situation, self.codec.layout.first_stop)
        result = self.step(plan)
        if plan is asked:
            return result
        repairs = result.outcome.repairs + (plan.wait_s != asked.wait_s)
        return replace(result, outcome=replace(result.outcome, repairs=repairs))

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out a plan in all environments."""
        result = self.world.step(plan)
        self._situation = None
        self._steps += result.active
        cut = result.active & (self._steps >= self.max_episode_steps)
        if not self._limited or not cut.any():
            return result
        # What is seen last is how it would go on: the limit is no end of the run.
        self._situation = self.world.situation()
        self.world.cut_short(cut)
        return replace(result, truncated=result.truncated | cut)

    def info(self, result: StepResult) -> Info:
        """What `info` holds after a step, batched; `client_*` is `[E, N]` and sums to its total.

        Where clients lie, `client_malicious` says who: for evaluators, no scheduler may look at it.
        """
        outcome = result.outcome
        per_client = {
            "bytes": outcome.down_bytes + outcome.up_bytes,
            "energy_j": outcome.energy_j,
            "emissions_g": outcome.emissions_g,
            "wasted_j": outcome.wasted_j,
            "busy_s": outcome.stop_s,
        }
        return {
            **self._liars(),
            "reward_terms": result.terms.copy(),
            "cost": result.cost.copy(),
            "accuracy": outcome.accuracy.copy(),
            "loss": outcome.loss.copy(),
            "duration_s": outcome.duration_s.copy(),
            "repairs": outcome.repairs.astype(np.int64),
            "invited": outcome.invited.sum(axis=1),
            "completed": outcome.completed.sum(axis=1),
            "lost": outcome.lost.sum(axis=1),
            "cancelled": outcome.cancelled.sum(axis=1),
            **{name: values.sum(axis=1) for name, values in per_client.items()},
            **{f"client_{name}": values for name, values in per_client.items()},
            **_served(outcome.served),
            **self._so_far(),
        }

    def first_info(self) -> Info:
        """What `info` holds before the first step: of the same shape and types, and nothing has happened."""
        e, n = self.world.num_envs, self.scenario.clients
        amounts = ("bytes", "energy_j", "emissions_g", "wasted_j", "busy_s")
        so_far = self._so_far()
        return {
            **self._liars(),
            "reward_terms": np.zeros((e, len(REWARD_TERMS))),
            "cost": np.zeros(e),
            "accuracy": so_far["episode_accuracy"].copy(),
            "loss": self.situation.run.loss.copy(),
            "duration_s": np.zeros(e),
            **{
                name: np.zeros(e, dtype=np.int64)
                for name in ("repairs", "invited", "completed", "lost", "cancelled")
            },
            **{name: np.zeros(e) for name in amounts},
            **{f"client_{name}": np.zeros((e, n)) for name in amounts},
            **self._nothing_served(),
            **so_far,
        }

    def _liars(self) -> Info:
        """Who lies, for evaluators, in worlds where somebody may."""
        return {} if self.scenario.malicious is None else {"client_malicious": self.world.malicious}

    def _nothing_served(self) -> Info:
        """What `_served` is before the first step."""
        stream = self.situation.stream
        if stream is None:
            return {}
        e, n = stream.requests.shape
        nothing = Served(
            **{name: np.zeros((e, n), dtype=np.int64) for name in ("requests", "right", "labels")},
            labels_right=np.zeros((e, n), dtype=np.int64),
            loss=np.zeros((e, n)),
            refreshed=np.zeros((e, n), dtype=bool),
            drift_events=np.zeros(e, dtype=np.int64),
            frozen_right=np.zeros(e),
            validation=self.situation.run.accuracy.copy(),
            expected=100.0 / stream.points_per_request,
        )
        return _served(nothing)

    def _so_far(self) -> Info:
        """The part of an info that says which episode it is, and what it has come to."""
        totals = {f"episode_{name}": values for name, values in self.world.totals().items()}
        return {"episode_seed": self.episode_seeds.copy(), **totals}


def _served(served: Served | None) -> Info:
    """The part of an info that worlds with arrivals have; drifts and regret are for evaluators."""
    if served is None:
        return {}
    return {
        "requests": served.requests.sum(axis=1),
        "right": served.right.sum(axis=1),
        "labels": served.labels.sum(axis=1),
        "refreshed": served.refreshed.sum(axis=1),
        "drift_events": served.drift_events.copy(),
        "regret_points": served.regret_points,
        "validation_accuracy": served.validation.copy(),
        "client_requests": served.requests.copy(),
        "client_right": served.right.copy(),
    }


def _step_limit(limit: object) -> int | None:
    """A limit of steps as Gymnasium takes it: None or -1 is none."""
    if limit is None or limit == -1:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise ValueError(
            f"max_episode_steps: {limit!r}, expected at least 1 step; None for the world's own limit"
        )
    return int(limit)


def layout_of(scenario: Scenario) -> ActionLayout:
    """The MultiDiscrete layout of a scenario; data is moved only where some lies at the hub."""
    return layout_for(scenario.clients, scenario.levels, scenario.hub.share > 0, scenario.refresh_levels)


def layout_for(clients: int, levels: Levels, moves_data: bool, refresh: tuple[int, ...] = ()) -> ActionLayout:
    """The layout of a menu for so many clients."""
    transfers = levels.transfer_samples if moves_data else (0,)
    return ActionLayout(
        clients,
        levels.wait_s,
        levels.quorum,
        levels.local_steps,
        transfers,
        levels.server_step,
        levels.upload_bits,
        levels.first_stop,
        refresh,
    )
