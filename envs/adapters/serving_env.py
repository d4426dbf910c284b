"""Worlds of serving for Gymnasium: one, or a batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...common.arrays import Ints
from ...common.units import SECONDS_PER_HOUR
from ..contract import StepResult
from ..serving import NOTHING, ServingWorld
from ..serving_view import ServingView
from .federated_env import FederatedEnv
from .vector_env import FederatedVectorEnv
from .viewer import Viewer

AWAY, EMPTY, SERVING, LOADING, LOST = range(5)


class ServingViewer(Viewer):
    """Pictures of an episode of serving: which slots serve, load, stand empty, or lost what they had."""

    elements = "slot"
    state_names = ("away", "empty", "serving", "loading", "lost")
    state_colours = ("#f2f2f2", "#c9d8e8", "#2a9d5c", "#edae49", "#d1495b")
    _world: ServingWorld  # type: ignore[assignment]  # of another class of worlds

    def _states_after(self, result: StepResult) -> Ints:
        had, now = self._before, self._states_now()
        return np.where(((had == SERVING) | (had == LOADING)) & (now == AWAY), LOST, now)

    def _hours_now(self) -> float:
        return float(self._world.time_s[self._env] / SECONDS_PER_HOUR)

    def _progress(self, totals: Mapping[str, float]) -> str:
        return f"requests {totals['requests']:.0f}"

    def _wasted(self, totals: Mapping[str, float]) -> str:
        return f"dropped {100 * totals['dropped'] / max(totals['requests'], 1.0):.1f} %"

    def _states_now(self) -> Ints:
        slots = self._world.situation().slots
        model, loading = slots.model[self._env], slots.loading[self._env]
        there = np.where(model != NOTHING, SERVING, np.where(loading != NOTHING, LOADING, EMPTY))
        return np.where(slots.available[self._env], there, AWAY)

    def _note_situation(self) -> None:
        self._before = self._states_now()
        self._carbon_now = self._world.situation().zones.carbon_g_per_kwh[self._env]


class ServingEnv(FederatedEnv):
    """Serve requests for a day on machines that leave; see `docs/serving.md`.

    ## Description
    Slots on lent machines in several zones, and a hub whose capacity is short, answer the requests of several
    tasks. Every step of ten minutes the agent orders which slot loads which model, below which confidence a
    slot's answer is asked of the hub, and which share of the requests that may wait is answered now.

    ## Observation
    `Dict(server=[10], slots=[S, F], tasks=[I, G], zones=[Z, H])`, float32 in [-1, 1]; `observation="flat"`
    (the ids `-flat-`): the same numbers as one vector.

    ## Action
    `MultiDiscrete([release] + [threshold] * I + [1 + I M] * S)`, with `action_masks()`.

    ## Reward
    Right answers over the expected requests, in points, minus the price of waiting, GB and kg CO2e; with
    `vector_reward=True` the four terms.

    Args:
        scenario: a packaged name ("serving"), a YAML file or a mapping.
        **keywords: as of `FederatedEnv`; fields of `ServingScenario` to replace. `action` is "levels".
    """

    view_type = ServingView  # type: ignore[assignment]  # of other situations, plans and outcomes
    viewer_type = ServingViewer

    def __init__(self, scenario: object = "serving", **keywords: object):
        super().__init__(scenario, **keywords)  # type: ignore[arg-type]


class ServingVectorEnv(FederatedVectorEnv):
    """The batch behind `gym.make_vec`; see `ServingEnv` and `FederatedVectorEnv`.

    Args:
        num_envs: E.
        scenario: see `ServingEnv`.
        **keywords: as of `FederatedVectorEnv`.
    """

    view_type = ServingView  # type: ignore[assignment]  # of other situations, plans and outcomes
    viewer_type = ServingViewer

    def __init__(self, num_envs: int = 1, scenario: object = "serving", **keywords: object):
        super().__init__(num_envs, scenario, **keywords)  # type: ignore[arg-type]
