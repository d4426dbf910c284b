"""A batch of worlds as an agent sees it: what all environments share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Ints
from ...common.registry import load_dotted
from ...common.splits import Split
from ..contract import Asked, RoundOutcome, RoundPlan, Served, Situation, StepResult
from ..episode import most_decisions
from ..mixture import MixtureWorld, make_world
from ..scenario import Levels, Scenario, ScenarioSource, load_scenario
from ..world import FederatedWorld
from .action_modes import ActionMode, MakeScheduler, Menu, make_action_mode
from .actions import ActionCodec, ActionLayout, without_early_stops
from .base_view import Info, WorldView, check_observation
from .encoder import ObservationEncoder
from .flat import Observation

# By name: schedulers live above this package, and users bring their own.
_MAKE_SCHEDULER = "frugalfl.agents.schedulers:make_scheduler"


class AgentView(WorldView[Situation, RoundPlan, RoundOutcome]):
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
    """

    scenario_type = Scenario

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
        check_observation(observation)
        self.scenario: Scenario = load_scenario(scenario, **changes)
        self.world: FederatedWorld | MixtureWorld = make_world(self.scenario, num_envs, split)
        self.encoder = ObservationEncoder(self.scenario)
        self.codec = ActionCodec(layout_of(self.scenario))
        self.use_action(action, menu)
        limit = most_decisions(self.scenario)
        super().__init__(self.world, self.encoder.space, limit, max_episode_steps, observation)

    def use_action(self, action: str, menu: Menu | None = None) -> None:
        """Exchange the action mode; takes effect with the next episode."""
        make: MakeScheduler | None = None
        if action == "discrete":
            make = load_dotted(_MAKE_SCHEDULER, "menu", own=True)
        self.action_mode: ActionMode = make_action_mode(action, self.codec.layout, menu, make)

    def encode(self, situation: Situation) -> Observation:
        """See `ObservationEncoder`."""
        return self.encoder.encode(situation)

    def encode_some(self, situation: Situation, envs: Ints) -> Observation:
        """Likewise, and no work for the others."""
        return self.encoder.encode(situation.rows(envs))

    def act(self, actions: AnyArray) -> StepResult:
        """Carry out a batch of actions, one per environment; a masked stop counts among the repairs."""
        asked = self.action_mode.read(actions, self.situation)
        plan = without_early_stops(asked, self.situation, self.codec.layout.first_stop)
        result = self.step(plan)
        if plan is asked:
            return result
        repairs = result.outcome.repairs + (plan.wait_s != asked.wait_s)
        return replace(result, outcome=replace(result.outcome, repairs=repairs))

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
            "reward_terms": np.zeros((e, len(self.scenario.reward_terms))),
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
            asked=None if stream.ask is None else Asked(np.zeros((e, n), dtype=np.int64), np.zeros(e)),
        )
        return _served(nothing)


def _served(served: Served | None) -> Info:
    """The part of an info that worlds with arrivals have; drifts and regret are for evaluators."""
    if served is None:
        return {}
    asked = {} if served.asked is None else {"asked": served.asked.count}
    return {
        **{name: count.sum(axis=1) for name, count in asked.items()},
        **{f"client_{name}": count.copy() for name, count in asked.items()},
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
        levels.ask_below,
    )
