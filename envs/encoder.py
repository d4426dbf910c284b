"""From a `Situation` in raw units to the agent's observation: a flat Dict of bounded float32 arrays."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .scenario import Scenario
from .situation import Situation

CLIENT_TABLE = {
    "available": "1 if the client could be invited now",
    "session_age": "how long its session has lasted, log scale to a week",
    "end_announced": "1 if the end of its session is announced",
    "announced_left": "time to the announced end, 0.5 at one hour; 1 if not announced",
    "will_finish_short": "margin of the announced end over a round of the fewest steps; 0 = just enough",
    "will_finish_long": "the same for a round of the most steps",
    "forecast_near": "forecast probability of being available at the first lead",
    "forecast_far": "the same at the last lead",
    "step_time": "seconds per step, 0 where the middle step level takes 10 minutes",
    "transfer_time": "seconds to move the model both ways, 0 at one minute",
    "round_time": "seconds of a round of the middle step level, 0 at the deadline",
    "round_points": "points such a round would cost in bytes and emissions, 0.5 at one point",
    "carbon_now": "intensity of its grid, 0.5 at 300 g/kWh",
    "carbon_rank": "the same relative to the mean of the zones, negative = cleaner",
    "carbon_ahead": "best forecast intensity relative to now, negative = cleaner hours come",
    "samples": "training samples it holds, log scale to 1000",
    "samples_sent": "share of them that came from the hub",
    "storage_left": "share of its storage that is free",
    "target_weight": "its share in the objective, 0.5 at 1/N",
    "loss_known": "1 if it has reported a loss",
    "last_loss": "the loss last reported, 0.5 at 1; 0 if none",
    "loss_relative": "the same relative to the mean of the reported ones",
    "last_norm": "length of its last update, 0.5 at 1",
    "staleness": "rounds since it last completed, 0.5 at 8",
    "invited_share": "invitations per round so far",
    "completed_share": "completed invitations; 1 if never invited",
    "seen_share": "share of the rounds at which it was available",
}
"""Columns of the observation `clients`, in order, and what they mean."""

SERVER_TABLE = {
    "rounds_done": "rounds done of the limit",
    "hours_done": "hours done, 0.5 at 24",
    "accuracy": "validation accuracy",
    "loss": "validation loss, 0.5 at 1",
    "recent_gain": "accuracy gained over the last five training rounds, tanh of 20 times",
    "recent_price": "points spent per round so far, 0.5 at one point",
    "available_share": "share of the clients that are available",
    "reported_share": "share of the clients that have reported a loss",
    "cleanest_now": "intensity of the cleanest zone, 0.5 at 300 g/kWh",
    "carbon_ahead": "best forecast intensity of any zone relative to now, negative = cleaner hours come",
    "price_per_hour": "points per hour, 0.5 at 1",
    "price_per_gb": "points per GB, 0.5 at 1",
    "price_per_kg": "points per kg CO2e, 0.5 at 1",
    "hours_left": "share of the hour budget left",
    "gigabytes_left": "share of the GB budget left; 1 if there is none",
    "kilograms_left": "share of the CO2e budget left; 1 if there is none",
    "utc_sin": "sine of the hour of the day, UTC",
    "utc_cos": "cosine of it",
}
"""Entries of the observation `server`, in order, and what they mean."""

CLIENT_FEATURES = tuple(CLIENT_TABLE)
SERVER_FEATURES = tuple(SERVER_TABLE)

_LOG_WEEK_H = np.log1p(168.0)


class ObservationEncoder:
    """Turns situations into observations `{"clients": [E,N,F], "server": [E,G], "zones": [E,Z,H+3]}`.

    Every number is a fixed, smooth, bounded function of the situation, so that no running statistics have
    to travel with a trained agent and the same weights serve any number of clients.

    Args:
        scenario: fixes the shapes and the step levels that "short" and "long" rounds refer to.
    """

    def __init__(self, scenario: Scenario):
        self._steps = scenario.levels.local_steps
        self._max_rounds = scenario.max_rounds
        limits = (scenario.budgets.hours, scenario.budgets.gigabytes, scenario.budgets.kilograms)
        self._budgets = np.array([np.inf if limit is None else limit for limit in limits])
        zone_columns = len(scenario.forecasting.carbon_leads_s) + 3
        shapes = {
            "clients": (scenario.clients, len(CLIENT_FEATURES)),
            "server": (len(SERVER_FEATURES),),
            "zones": (scenario.zones, zone_columns),
        }
        self.space = spaces.Dict(
            {name: spaces.Box(-1.0, 1.0, shape, np.float32) for name, shape in shapes.items()}
        )

    def encode(self, situation: Situation) -> dict[str, NDArray[np.float32]]:
        """Fresh arrays, one row per environment."""
        return {
            "clients": _bounded(self._clients(situation)),
            "server": _bounded(self._server(situation)),
            "zones": _bounded(self._zones(situation)),
        }

    def _clients(self, s: Situation) -> list[NDArray]:
        carbon = s.client_carbon
        zone_ahead = _ahead(s)
        short_s, long_s = s.round_s(self._steps[1]), s.round_s(self._steps[-1])
        middle = self._steps[len(self._steps) // 2]
        middle_s = s.round_s(middle)
        rounds = s.round_index[:, None] + 1.0
        known = ~np.isnan(s.last_loss)
        loss = np.where(known, s.last_loss, 0.0)
        mean_loss = loss.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        announced = np.isfinite(s.announced_left_s)
        left_s = np.where(announced, s.announced_left_s, 0.0)
        weight = s.target_weight * s.num_clients
        capacity = s.samples + s.storage_left
        return [
            s.available,
            np.log1p(s.session_age_s / 3600.0) / _LOG_WEEK_H,
            announced,
            np.where(announced, left_s / (left_s + 3600.0), 1.0),
            _will_finish(s.announced_left_s, short_s),
            _will_finish(s.announced_left_s, long_s),
            s.available_forecast[:, :, 0],
            s.available_forecast[:, :, -1],
            np.tanh(0.5 * np.log(s.step_s * middle / 600.0)),
            np.tanh(0.5 * np.log(s.round_s(0) / 60.0)),
            np.tanh(np.log(middle_s / s.deadline_s[:, None])),
            _squash(s.round_points(middle)),
            _squash(carbon / 300.0),
            _relative(carbon, s.carbon_g_per_kwh.mean(axis=1)[:, None]),
            np.take_along_axis(zone_ahead, s.zone, axis=1),
            np.log1p(s.samples) / np.log1p(1000.0),
            s.samples_sent / np.maximum(s.samples, 1),
            s.storage_left / np.maximum(capacity, 1),
            _squash(weight),
            known,
            _squash(loss),
            np.where(known, np.tanh(loss - mean_loss[:, None]), 0.0),
            _squash(np.nan_to_num(s.last_norm)),
            s.rounds_since / (s.rounds_since + 8.0),
            np.minimum(s.invitations / rounds, 1.0),
            np.where(s.invitations > 0, s.completions / np.maximum(s.invitations, 1), 1.0),
            s.sightings / rounds,
        ]

    def _server(self, s: Situation) -> list[NDArray]:
        spent_hours = s.hours * s.price_per_hour
        spent = spent_hours + s.gigabytes * s.price_per_gb + s.kilograms * s.price_per_kg
        per_round = spent / np.maximum(s.round_index, 1)
        ahead = _ahead(s).min(axis=1)
        angle = 2.0 * np.pi * s.utc_hour / 24.0
        with np.errstate(invalid="ignore"):
            left = np.where(np.isfinite(self._budgets), s.budget_left / self._budgets, 1.0)
        return [
            s.round_index / self._max_rounds,
            _squash(s.hours / 24.0),
            s.accuracy,
            _squash(s.loss),
            np.tanh(s.recent_gain * 20.0),
            _squash(per_round),
            s.available.mean(axis=1),
            (~np.isnan(s.last_loss)).mean(axis=1),
            _squash(s.carbon_g_per_kwh.min(axis=1) / 300.0),
            ahead,
            _squash(s.price_per_hour),
            _squash(s.price_per_gb),
            _squash(s.price_per_kg),
            left[:, 0],
            left[:, 1],
            left[:, 2],
            np.sin(angle),
            np.cos(angle),
        ]

    def _zones(self, s: Situation) -> list[NDArray]:
        angle = 2.0 * np.pi * s.local_hour / 24.0
        columns = [_squash(s.carbon_g_per_kwh / 300.0), np.sin(angle), np.cos(angle)]
        ratios = _relative(s.carbon_forecast, s.carbon_g_per_kwh[:, :, None])
        return columns + [ratios[:, :, lead] for lead in range(ratios.shape[2])]


def _bounded(columns: list[NDArray]) -> NDArray[np.float32]:
    stacked = np.stack(columns, axis=-1).astype(np.float32)
    return np.clip(stacked, -1.0, 1.0)


def _squash(values: NDArray) -> NDArray:
    """Non-negative numbers to [0, 1), 1 to 0.5."""
    return values / (1.0 + values)


def _relative(values: NDArray, reference: NDArray) -> NDArray:
    """(a - b) / (a + b), 0 where both vanish: symmetric and bounded."""
    total = values + reference
    return np.divide(values - reference, total, out=np.zeros(np.shape(total)), where=total > 0)


def _will_finish(left_s: NDArray, needed_s: NDArray) -> NDArray:
    """Margin of the announced end over a round: 1 plenty or unannounced, 0 just enough."""
    ratio = np.log(np.maximum(left_s, 1.0) / needed_s)
    return np.tanh(ratio)


def _ahead(s: Situation) -> NDArray:
    """`[E, Z]`, how much cleaner (negative) the best forecast hour is than now."""
    return _relative(s.carbon_forecast.min(axis=2), s.carbon_g_per_kwh)
