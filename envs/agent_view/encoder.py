"""Observations: from a `Situation` in raw units to a flat Dict of bounded float32 arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

from ...common.arrays import Floats, Floats32, Ints
from ...common.spelling import suggest
from ...common.units import SECONDS_PER_HOUR
from ..contract import Situation
from ..scenario import Scenario
from .encoder_kernels import (
    RELATIVE_LOSS,
    TRANSFER_RATIO,
    ClientColumns,
    ClientCurves,
    Limits,
    RunColumns,
    best_ahead,
    client_ratios,
    client_table,
    server_table,
    zone_table,
)

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
    "transfer_time": "seconds to move the model both ways, and its set-up, 0 at one minute",
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
    "seen_share": "share of the rounds and waits at whose beginning it was available",
    "setup": "share of a round of the middle step level that fetching its set-up would take; 0 = warm",
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
    "hours_left": "hours left as a share of the largest budget that an episode may have",
    "gigabytes_left": "the same of GB; 1 if there is no budget",
    "kilograms_left": "the same of kg CO2e; 1 if there is no budget",
    "utc_sin": "sine of the hour of the day, UTC",
    "utc_cos": "cosine of it",
    "label_skew": "mean distance of a client's label mix from all clients', 0 = alike",
    "announced_share": "share of session ends that are announced in this pool, as far as that is known",
    "overhead_time": "the server's seconds per round, 0.5 at 10 minutes",
    "sample_price": "points for the bytes of 1000 samples sent, 0.5 at one point",
}
"""Entries of the observation `server`, in order, and what they mean."""

CLIENT_FEATURES = tuple(CLIENT_TABLE)
SERVER_FEATURES = tuple(SERVER_TABLE)
FEATURES = {"clients": CLIENT_FEATURES, "server": SERVER_FEATURES}
"""Names of the columns of an observation's parts, which may be shown in part."""


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
        self._steps = scenario.levels.local_steps
        self._levels = np.array([0, self._steps[1], self._steps[len(self._steps) // 2], self._steps[-1]])
        self._levels = self._levels[:, None, None]
        self._max_rounds = scenario.max_rounds
        self._budgets = np.array(scenario.budgets.largest)
        zone_columns = len(scenario.forecasting.carbon_leads_s) + 3
        self.columns = {part: tuple((columns or {}).get(part, names)) for part, names in FEATURES.items()}
        self._picked = {
            part: _indices(part, self.columns[part], names)
            for part, names in FEATURES.items()
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
        return tables | {part: tables[part][..., index] for part, index in self._picked.items()}

    def _clients(self, s: Situation, ahead: Floats) -> Floats32:
        middle = self._steps[len(self._steps) // 2]
        known = ~np.isnan(s.clients.last_loss)
        loss = np.where(known, s.clients.last_loss, 0.0)
        mean_loss = loss.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        empty_s, short_s, middle_s, long_s = s.round_s(self._levels)
        bends = client_ratios(
            s.clients.step_s,
            empty_s,
            short_s,
            middle_s,
            long_s,
            s.clients.announced_left_s,
            s.terms.deadline_s,
            middle,
        )
        np.log(bends[:RELATIVE_LOSS], out=bends[:RELATIVE_LOSS])
        bends[: TRANSFER_RATIO + 1] *= 0.5
        np.subtract(loss, mean_loss[:, None], out=bends[RELATIVE_LOSS])
        np.tanh(bends, out=bends)
        c = s.clients
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
            np.log1p(c.samples_held),
            bends,
            s.round_points(middle),
            s.client_carbon,
            s.clients.setup_bytes / s.clients.down_bytes_per_s / middle_s,
        )
        mean_carbon = s.zones.carbon_g_per_kwh.mean(axis=1)
        table: Floats32 = client_table(
            facts, curves, c.available_forecast, ahead, mean_carbon, s.run.round_index, s.run.looks
        )
        return table

    def _server(self, s: Situation, ahead: Floats, sine: Floats, cosine: Floats) -> Floats32:
        run = RunColumns(
            s.run.round_index,
            s.run.hours,
            s.run.gigabytes,
            s.run.kilograms,
            s.run.accuracy,
            s.run.loss,
            np.tanh(s.run.recent_gain * 20.0),
        )
        prices = np.stack([s.terms.price_per_hour, s.terms.price_per_gb, s.terms.price_per_kg])
        limits = Limits(
            self._max_rounds,
            prices,
            self._budgets,
            s.terms.budget_left,
            np.stack([s.terms.label_skew, s.terms.announced_share]),
            s.terms.overhead_s,
            s.terms.sample_bytes,
        )
        carbon = s.zones.carbon_g_per_kwh
        table: Floats32 = server_table(
            run, limits, s.clients.available, s.clients.last_loss, carbon, ahead, sine, cosine
        )
        return table


def _indices(part: str, wanted: Sequence[str], known: Sequence[str]) -> Ints:
    """Where the wanted features stand among the known ones; ValueError for an unknown one."""
    for name in wanted:
        if name not in known:
            raise ValueError(f"observation: {part}: {name!r} is no feature; {suggest(name, list(known))}")
    return np.array([known.index(name) for name in wanted], dtype=np.int64)
