"""Observations: from a `Situation` in raw units to a flat Dict of bounded float32 arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats, Floats32, Ints
from ...common.spelling import suggest
from ...common.units import HOURS_PER_DAY, SECONDS_PER_HOUR
from ..contract import Situation, survival
from ..scenario import LEAKAGE, Scenario
from .client_kernels import (
    MIDDLE_POINTS,
    ROUND_RATIO,
    SHORT_POINTS,
    TRANSFER_RATIO,
    ClientColumns,
    ClientCurves,
    RoundLines,
    client_ratios,
    client_table,
)
from .features import ZONE_FEATURES, features_of
from .server_kernels import Limits, RunColumns, best_ahead, server_table, zone_table
from .squashing import SMALLEST
from .stream_columns import client_columns, server_columns

_LOG_UNIT = 3.0
"""Natural logarithms are divided by this before their hyperbolic tangent is taken."""
_USUAL_PRICES = np.array([0.3, 0.3, 100.0])
"""Of an hour, a GB and a kg CO2e: 0 on their log scales."""
_USUAL_AUC_PRICE = 1.0
"""Of a hundredth of an eavesdropper's area."""
_USUAL_STEP_S = 120.0
_USUAL_SAMPLE_BYTES = 1e6
_LEAST_POINTS = 0.02
"""A round costs at least so much where something is divided by it."""


class ObservationEncoder:
    """Turns situations into observations `{"clients": [E,N,F], "server": [E,G], "zones": [E,Z,H+3]}`.

    Every number is a fixed, smooth, bounded function of the situation, so that no running statistics have
    to travel with a trained agent and the same weights serve any number of clients.

    Args:
        scenario: fixes the shapes and the step levels that "short" and "long" rounds refer to.
        columns: names of the features that `clients` and `server` show, in their order; all where one is
            missing. A policy that was trained when there were fewer goes on seeing what it knows.

    Raises:
        ValueError: there is no feature of that name.
    """

    def __init__(self, scenario: Scenario, columns: Mapping[str, Sequence[str]] | None = None):
        steps = scenario.levels.local_steps
        self._levels = np.array([steps[1], steps[len(steps) // 2], steps[-1]])
        self._max_rounds = scenario.max_rounds
        self._budgets = np.array(scenario.budgets.largest)
        zone_columns = len(scenario.forecasting.carbon_leads_s) + len(ZONE_FEATURES)
        known = features_of(scenario)
        self._shows_leakage = LEAKAGE in scenario.reward_terms
        self.columns = {part: tuple((columns or {}).get(part, names)) for part, names in known.items()}
        self._picked = {
            part: _indices(part, self.columns[part], names)
            for part, names in known.items()
            if self.columns[part] != names
        }
        shapes = {
            "clients": (scenario.clients, len(self.columns["clients"])),
            "server": (len(self.columns["server"]),),
            "zones": (scenario.zones, zone_columns),
        }
        self.space = spaces.Dict(
            {name: spaces.Box(-1.0, 1.0, shape, np.float32) for name, shape in shapes.items()}
        )

    def encode(self, situation: Situation) -> dict[str, Floats32]:
        """Fresh arrays, one row per environment."""
        s = situation
        if not (s.zones.carbon_leads_s.size and s.clients.forecast_leads_s.size):
            raise ValueError("forecasting: no leads, expected at least one of availability and one of carbon")
        ahead = best_ahead(s.zones.carbon_forecast, s.zones.carbon_g_per_kwh)
        hours = np.concatenate([s.run.utc_hour[:, None], s.zones.local_hour], axis=1)
        angle = 2.0 * np.pi * hours / 24.0
        sine, cosine = np.sin(angle), np.cos(angle)
        tables: dict[str, Floats32] = {
            "clients": self._clients(s, ahead),
            "server": self._server(s, ahead, sine, cosine),
            "zones": zone_table(s.zones.carbon_g_per_kwh, s.zones.carbon_forecast, sine, cosine),
        }
        if s.stream is not None:
            also = {
                "clients": client_columns(s.stream),
                "server": server_columns(s.stream),
            }
            tables |= {part: np.concatenate([tables[part], more], axis=-1) for part, more in also.items()}
        if self._shows_leakage:
            price = _log_scale(s.terms.price_per_auc / _USUAL_AUC_PRICE).astype(np.float32)
            tables["server"] = np.concatenate([tables["server"], price[:, None]], axis=-1)
        return tables | {part: tables[part][..., index] for part, index in self._picked.items()}

    def _clients(self, s: Situation, ahead: Floats) -> Floats32:
        c, empty_points = s.clients, s.round_points(0)
        lines = RoundLines(s.round_s(0), c.step_s, empty_points, s.round_points(1) - empty_points)
        bends, rounds_s = client_ratios(
            lines, self._levels, c.announced_left_s, s.terms.deadline_s, s.terms.price_per_hour
        )
        np.log(bends, out=bends)
        log_samples = np.log1p(c.samples_held)
        ranked = np.stack(
            [
                -bends[ROUND_RATIO],
                -bends[MIDDLE_POINTS],
                c.last_loss,
                np.log1p(c.rounds_since),
                log_samples,
            ]
        )
        bends[: TRANSFER_RATIO + 1] *= 0.5
        bends[SHORT_POINTS:] /= _LOG_UNIT
        np.tanh(bends, out=bends)
        facts = ClientColumns(
            c.available,
            c.announced_left_s,
            c.zone,
            c.samples_held,
            c.samples_sent,
            c.storage_left,
            c.target_weight,
            c.last_loss,
            c.last_norm,
            c.rounds_since,
            c.invitations,
            c.completions,
            c.sightings,
        )
        curves = ClientCurves(
            np.log1p(c.session_age_s / SECONDS_PER_HOUR),
            log_samples,
            bends,
            ranked,
            survival(s, rounds_s),
            s.client_carbon,
            c.setup_bytes / c.down_bytes_per_s / rounds_s[1],
        )
        mean_carbon = s.zones.carbon_g_per_kwh.mean(axis=1)
        table: Floats32 = client_table(
            facts,
            curves,
            c.available_forecast,
            ahead,
            mean_carbon,
            s.run.round_index,
            s.run.looks,
            s.terms.federation_size,
        )
        return table

    def _server(self, s: Situation, ahead: Floats, sine: Floats, cosine: Floats) -> Floats32:
        run, terms = s.run, s.terms
        spent = terms.points(run.hours, run.gigabytes, run.kilograms)
        last = terms.points(run.last_hours, run.last_gigabytes, run.last_kilograms)
        columns = RunColumns(
            run.round_index,
            run.hours,
            run.accuracy,
            run.loss,
            _logs(s, spent, last),
            _bends(s, spent, last),
            run.last_invited,
            run.last_completed,
        )
        limits = Limits(
            self._max_rounds,
            self._budgets,
            terms.budget_left,
            np.stack([terms.label_skew, terms.announced_share]),
            terms.overhead_s,
            terms.price_per_gb * terms.sample_bytes / 1e6,
            terms.federation_size,
        )
        carbon = s.zones.carbon_g_per_kwh
        table: Floats32 = server_table(
            columns, limits, s.clients.available, s.clients.last_loss, carbon, ahead, sine, cosine
        )
        return table


def _logs(s: Situation, spent: Floats, last: Floats) -> Floats:
    """The entries `LOGS` of the server, `[8, E]`."""
    prices = np.stack([s.terms.price_per_hour, s.terms.price_per_gb, s.terms.price_per_kg])
    ratios = np.stack(
        [
            spent,
            last,
            *(prices / _USUAL_PRICES[:, None]),
            s.terms.budget_left[:, 0] / HOURS_PER_DAY,
            _medians(s.clients.step_s) / _USUAL_STEP_S,
            s.terms.sample_bytes / _USUAL_SAMPLE_BYTES,
        ]
    )
    return _log_scale(ratios)


def _medians(values: Floats) -> Floats:
    """Median `[E]` of each row; numpy's own takes five times as long for a hundred numbers."""
    ordered, half = np.sort(values, axis=1), values.shape[1] // 2
    if values.shape[1] % 2:
        return np.asarray(ordered[:, half])
    return np.asarray((ordered[:, half - 1] + ordered[:, half]) / 2.0)


def _log_scale(ratios: Floats) -> Floats:
    """Ratios to what is usual, on the log scale of the features."""
    found: Floats = np.tanh(np.log(np.maximum(ratios, SMALLEST)) / _LOG_UNIT)
    return found


def _bends(s: Situation, spent: Floats, last: Floats) -> Floats:
    """The entries `BENDS` of the server, `[10, E]`."""
    run = s.run
    gains = np.diff(run.past_accuracy[:, -4:], axis=1)[:, ::-1].T
    drops = -np.diff(run.past_loss[:, -4:], axis=1)[:, ::-1].T
    per_point = 100.0 * gains[0] / np.maximum(last, _LEAST_POINTS)
    found: Floats = np.tanh(
        np.stack(
            [
                10.0 * (run.best_accuracy - run.accuracy),
                10.0 * run.recent_gain,
                *(10.0 * gains),
                *(3.0 * drops),
                (100.0 * run.accuracy - spent) / 100.0,
                per_point / 5.0,
            ]
        )
    )
    return found


def _indices(part: str, wanted: Sequence[str], known: Sequence[str]) -> Ints:
    """Where the wanted features stand among the known ones; ValueError for an unknown one."""
    for name in wanted:
        if name not in known:
            raise ValueError(f"observation: {part}: {name!r} is no feature; {suggest(name, list(known))}")
    return np.array([known.index(name) for name in wanted], dtype=np.int64)
