"""Observations of serving: from a `ServingSituation` in raw units to a Dict of bounded float32 arrays."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats, Floats32
from ...common.units import SECONDS_PER_HOUR
from ..agent_view import ZONE_FEATURES, best_ahead, zone_table
from ..serving import NOTHING, POINTS_PER_ANSWER, ServingScenario, ServingSituation
from .features import SERVER_TABLE, slot_features, task_features
from .ladder import Ladder, coming_content
from .proposals import PROPOSAL_SLOW, PROPOSAL_STEPS, Proposals, propose

_WEEK_H = 168.0
_LOG_UNIT = 3.0
_USUAL_PRICES = np.array([1e-3, 0.01, 1.0])
"""Points per ms of a request, per GB and per kg: 0 on their log scales."""
_SMALLEST = 1e-6
_DAY_PART = 20.0
_PAYBACK_STEPS = 3.0
_GAIN_SHARE = 0.01


class ServingEncoder:
    """Turns situations into observations `{"slots", "tasks", "server", "zones"}`, see `features`.

    Args:
        scenario: fixes the shapes.
    """

    def __init__(self, scenario: ServingScenario):
        self._scenario = scenario
        shapes = {
            "server": (len(SERVER_TABLE),),
            "slots": (scenario.slots, len(slot_features(scenario))),
            "tasks": (scenario.tasks, len(task_features(scenario))),
            "zones": (scenario.zones, len(ZONE_FEATURES) + len(scenario.forecasting.carbon_leads_s)),
        }
        boxes = {name: spaces.Box(-1.0, 1.0, shape, np.float32) for name, shape in shapes.items()}
        self.space = spaces.Dict(boxes)  # type: ignore[arg-type]

    def encode(self, s: ServingSituation) -> dict[str, Floats32]:
        """Fresh observations of all environments."""
        hours = np.concatenate([s.terms.utc_hour[:, None], s.zones.local_hour], axis=1)
        angle = 2.0 * np.pi * hours / 24.0
        sine, cosine = np.sin(angle), np.cos(angle)
        ahead = best_ahead(s.zones.carbon_forecast, s.zones.carbon_g_per_kwh)
        proposals = propose(s, PROPOSAL_STEPS, PROPOSAL_SLOW)
        room, accuracy = _room(s)
        tables = {
            "server": np.concatenate(
                [_server(s, sine[:, 0], cosine[:, 0]), _hub(proposals.ladder, s, room)], 1
            ),
            "slots": np.concatenate([_slots(s, ahead), _proposed(s, proposals)], axis=2),
            "tasks": np.concatenate([_tasks(s), _covered(proposals.ladder, room, accuracy)], axis=2),
        }
        found = {name: np.clip(table, -1.0, 1.0).astype(np.float32) for name, table in tables.items()}
        found["zones"] = zone_table(s.zones.carbon_g_per_kwh, s.zones.carbon_forecast, sine, cosine)
        return found


def _slots(s: ServingSituation, ahead: Floats) -> Floats:
    """`[E, S, F]`."""
    f, terms = s.slots, s.terms
    model = np.where(f.loading != NOTHING, f.loading, f.model)
    there = (model != NOTHING)[:, :, None]
    of_task = there & (s.task_of(model)[:, :, None] == np.arange(s.num_tasks))
    of_rung = there & (s.rung_of(model)[:, :, None] == np.arange(s.num_rungs))
    per_step = np.maximum(s.tasks.mean_rate.sum(axis=(1, 2)), _SMALLEST)[:, None]
    middle = f.capacity_per_step[:, :, s.num_rungs // 2] / per_step
    grams = f.grams_per_request[:, :, -1] * terms.points_per_gram[:, None]
    left_h = f.announced_left_s / SECONDS_PER_HOUR
    columns = [
        f.available,
        np.log1p(f.session_age_s / SECONDS_PER_HOUR) / np.log1p(_WEEK_H),
        np.where(np.isinf(left_h), 1.0, _squash(np.maximum(np.where(np.isinf(left_h), 0.0, left_h), 0.0))),
        f.available_forecast[:, :, -1],
        f.loading != NOTHING,
        _squash(f.loading_left_s / 600.0),
        *np.moveaxis(of_task, 2, 0),
        *np.moveaxis(of_rung, 2, 0),
        f.busy,
        _squash(middle),
        _squash(grams),
        _squash(np.take_along_axis(s.zones.carbon_g_per_kwh, f.zone, axis=1) / 300.0),
        np.take_along_axis(ahead, f.zone, axis=1),
        _squash(f.load_s[:, :, -1] / SECONDS_PER_HOUR),
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=2)


def _tasks(s: ServingSituation) -> Floats:
    """`[E, I, F]`."""
    t = s.tasks
    usual = np.maximum(t.mean_rate.sum(axis=1), _SMALLEST)
    slow = t.rate.sum(axis=1)
    waiting = t.queue.sum(axis=1)
    asked = np.maximum(t.answered_last + t.dropped_last, _SMALLEST)
    patience = waiting.shape[2]
    steps_left = np.where(waiting > 0, np.arange(patience), patience).min(axis=2)
    columns = [
        _squash(t.requests_last.sum(axis=1) / usual),
        _squash(slow / usual),
        *np.moveaxis(t.rate / np.maximum(slow, _SMALLEST)[:, None, :], 1, 0),
        t.dropped_last / asked,
        _squash(waiting.sum(axis=2) * _DAY_PART / (usual * s.terms.steps)),
        1.0 - steps_left / patience,
        *np.broadcast_to(t.accuracy_known.T[:, None, :], (s.num_rungs, *usual.shape)),
    ]
    return np.stack(columns, axis=2)


def _proposed(s: ServingSituation, found: Proposals) -> Floats:
    """`[E, S, F]`, the columns of proposals."""
    there = (found.content != NOTHING)[:, :, None]
    of_task = there & (s.task_of(found.content)[:, :, None] == np.arange(s.num_tasks))
    of_rung = there & (s.rung_of(found.content)[:, :, None] == np.arange(s.num_rungs))
    unit = POINTS_PER_ANSWER * _GAIN_SHARE * np.maximum(s.tasks.mean_rate.sum(axis=(1, 2)), _SMALLEST)
    steps = found.price / np.maximum(found.gain, _SMALLEST)
    columns = [
        _squash(found.own / unit[:, None]),
        *np.moveaxis(of_task, 2, 0),
        *np.moveaxis(of_rung, 2, 0),
        _squash(found.gain / unit[:, None]),
        np.where(there[:, :, 0], _squash(steps / _PAYBACK_STEPS), 1.0),
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=2)


def _room(s: ServingSituation) -> tuple[Floats, Floats]:
    """Answers `[E, I]` for which slots have time with what they hold or load, and the models' accuracy."""
    content = coming_content(s)
    task = s.task_of(content)[:, :, None] == np.arange(s.num_tasks)
    room = np.where(task, s.of_rung(s.slots.capacity_per_step, content)[:, :, None], 0.0)
    known = s.tasks.accuracy_known[np.maximum(s.task_of(content), 0), s.rung_of(content)]
    total = room.sum(axis=1)
    return total, (room * known[:, :, None]).sum(axis=1) / np.maximum(total, _SMALLEST)


def _covered(ladder: Ladder, room: Floats, accuracy: Floats) -> Floats:
    """`[E, I, F]`, the columns of tasks' room."""
    return np.stack([_squash(room / np.maximum(ladder.requests, _SMALLEST)), accuracy], axis=2)


def _hub(ladder: Ladder, s: ServingSituation, room: Floats) -> Floats:
    """`[E, G]`, what is expected of the hub."""
    short = np.maximum(ladder.requests - room, 0.0).sum(axis=1)
    return _squash(short / np.maximum(s.hub.capacity_per_step, _SMALLEST))[:, None]


def _server(s: ServingSituation, sine: Floats, cosine: Floats) -> Floats:
    """`[E, G]`."""
    t = s.terms
    done = t.step / t.steps
    prices = np.stack([t.points_per_ms, t.price_per_gb, t.price_per_kg], axis=1) / _USUAL_PRICES
    columns = [
        1.0 - done,
        sine,
        cosine,
        t.net_points / (100.0 * np.maximum(done, 1.0 / t.steps)),
        t.right / np.maximum(t.answered, 1.0),
        s.slots.available.mean(axis=1),
        s.serving.mean(axis=1),
        *np.tanh(np.log(np.maximum(prices, _SMALLEST)) / _LOG_UNIT).T,
    ]
    return np.stack(columns, axis=1)


def _squash(values: Floats) -> Floats:
    """Numbers from 0 on to [0, 1): 1 becomes 0.5, and infinity 1."""
    squashed: Floats = 1.0 - 1.0 / (1.0 + values)
    return squashed
