"""Carbon intensity of E environments at once: now, forecast, and exact integrals over time."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ..numerics import autoregression, rows_by_forecaster
from .batch_kernels import enter, integrals, values_ahead
from .episode import CarbonEpisode
from .forecasts import DEFAULT_FORECAST, CarbonForecaster, CarbonView


class CarbonBatch:
    """The carbon intensity of E environments with Z zones each.

    Args:
        num_envs: E.
        num_zones: Z.
    """

    def __init__(self, num_envs: int, num_zones: int):
        e, z = num_envs, num_zones
        self.num_envs, self.num_zones = e, z
        self._g = np.zeros((e, z, 1))
        self._expected = np.zeros((e, z, 1))
        # Integral from the first sample to the beginning of each piece, (g/kWh) s.
        self._upto = np.zeros((e, z, 1))
        self._last = np.zeros(e, dtype=np.int64)
        self._step_s = np.full(e, 3600.0)
        self._first_s = np.zeros(e)
        self._phi = np.zeros((e, z))
        self._mean = np.zeros((e, z))
        self._seed = np.zeros(e, dtype=np.int64)
        self._provider: list[Floats | None] = [None] * e
        self._forecasters: list[CarbonForecaster] = [DEFAULT_FORECAST] * e
        self._grouped: list[tuple[CarbonForecaster, Ints]] | None = None
        # What is left of a deviation at the leads asked for last; computed once per episode.
        self._left_leads_s, self._left_share = np.empty(0), np.empty((e, z, 0))
        self._stale = np.ones(e, dtype=bool)

    def set(self, env: int, episode: CarbonEpisode) -> None:
        """Begin a new episode in one environment, at t = 0.

        Raises:
            ValueError: if the episode has another number of zones.
        """
        zones, length = episode.g_per_kwh.shape
        if zones != self.num_zones:
            raise ValueError(f"episode: {zones} zones, expected {self.num_zones}")
        self._lengthen(length)
        tables = self._g[env], self._expected[env], self._upto[env]
        enter(*tables, episode.g_per_kwh, episode.expected_g_per_kwh, float(episode.step_s))
        self._last[env] = length - 1
        self._step_s[env] = episode.step_s
        self._first_s[env] = episode.first_s
        self._phi[env] = episode.phi_per_h
        self._mean[env] = np.add.reduce(episode.expected_g_per_kwh, axis=1) / length
        self._seed[env] = episode.seed
        self._provider[env] = episode.provider_g_per_kwh
        if episode.forecast is not self._forecasters[env]:
            self._forecasters[env], self._grouped = episode.forecast, None
        self._stale[env] = True

    def now(self, time_s: Floats) -> Floats:
        """Intensity `[E, Z]` at `time_s` `[E]`, g/kWh."""
        return self._ahead(self._g, time_s, np.zeros(1))[:, :, 0]

    def true_ahead(self, time_s: Floats, leads_s: Floats) -> Floats:
        """The true intensity `[E, Z, H]` at `time_s + leads_s`, for oracles only."""
        return self._ahead(self._g, time_s, leads_s)

    def expected(self, time_s: Floats, leads_s: Floats) -> Floats:
        """The profile expected from the past `[E, Z, H]` at `time_s + leads_s`."""
        return self._ahead(self._expected, time_s, leads_s)

    def forecast(self, time_s: Floats, leads_s: Floats) -> Floats:
        """Forecast `[E, Z, H]` for `time_s + leads_s` as the coordinator would make it at `time_s` `[E]`.

        Each episode says how (see `forecasts`); by default the expected profile times a fading deviation.
        """
        leads_s = np.asarray(leads_s, dtype=np.float64)
        zero = np.zeros(1)
        view = CarbonView(
            lead_h=leads_s[None, None, :] / 3600.0,
            now=self._ahead(self._g, time_s, zero),
            usual_now=self.expected(time_s, zero),
            usual=self.expected(time_s, leads_s),
            usual_mean=self._mean[:, :, None],
            left=self._left(leads_s),
            truth=lambda: self.true_ahead(time_s, leads_s),
            error=lambda: self._errors(time_s, leads_s),
            provider=lambda: self._provided(time_s, leads_s),
        )
        groups = self._groups()
        if len(groups) == 1:
            return np.array(groups[0][0].intensity(view))
        result = np.empty(view.usual.shape)
        for forecaster, rows in groups:
            result[rows] = forecaster.intensity(view)[rows]
        return result

    def integral(self, zone: Ints, t0_s: Floats, t1_s: Floats) -> Floats:
        """Integral of a zone's intensity from `t0_s` to `t1_s`, exactly, in (g/kWh) s.

        Grams of a constant power are `watts / JOULES_PER_KWH * integral`.

        Args:
            zone: int `[E, N]`.
            t0_s: `[E, N]`.
            t1_s: `[E, N]`.

        Returns:
            `[E, N]`.
        """
        result: Floats = integrals(
            zone, t0_s, t1_s, self._g, self._upto, self._first_s, self._step_s, self._last
        )
        return result

    def _groups(self) -> list[tuple[CarbonForecaster, Ints]]:
        if self._grouped is None:
            self._grouped = rows_by_forecaster(self._forecasters)
        return self._grouped

    def _left(self, leads_s: Floats) -> Floats:
        """`[E, Z, H]`, `phi_per_h` to the power of the leads in hours."""
        if not np.array_equal(leads_s, self._left_leads_s):
            self._left_leads_s = leads_s.copy()
            self._left_share = np.empty((self.num_envs, self.num_zones, leads_s.size))
            self._stale[:] = True
        if self._stale.any():
            phi = self._phi[self._stale][:, :, None]
            self._left_share[self._stale] = phi ** (leads_s[None, None, :] / 3600.0)
            self._stale[:] = False
        return self._left_share

    def _errors(self, time_s: Floats, leads_s: Floats) -> Floats:
        """Standard normal errors `[E, Z, H]` of the forecast times: one path per episode, hourly AR(1)."""
        table = np.zeros_like(self._g)
        for env in range(self.num_envs):
            length = int(self._last[env]) + 1
            shocks = np.random.default_rng(int(self._seed[env])).standard_normal((self.num_zones, length))
            phi = np.full(self.num_zones, 0.9 ** (self._step_s[env] / 3600.0))
            table[env, :, :length] = autoregression(phi, shocks)
        return self._ahead(table, time_s, leads_s)

    def _provided(self, time_s: Floats, leads_s: Floats) -> Floats:
        """The providers' forecasts `[E, Z, H]`, NaN where there are none."""
        result = np.full((self.num_envs, self.num_zones, leads_s.size), np.nan)
        for env, table in enumerate(self._provider):
            if table is None:
                continue
            since_s = float(time_s[env]) - self._first_s[env]
            issued = min(max(int(since_s // self._step_s[env]), 0), table.shape[1] - 1)
            ahead = np.floor((since_s + leads_s) / self._step_s[env]).astype(np.int64) - issued
            known = (ahead >= 1) & (ahead <= table.shape[2])
            result[env][:, known] = table[:, issued, ahead[known] - 1]
            result[env][:, ahead == 0] = self._g[env, :, issued, None]
        return result

    def _ahead(self, table: Floats, time_s: Floats, leads_s: Floats) -> Floats:
        time_s, leads_s = np.asarray(time_s, dtype=np.float64), np.asarray(leads_s, dtype=np.float64)
        values: Floats = values_ahead(table, time_s, leads_s, self._first_s, self._step_s, self._last)
        return values

    def _lengthen(self, length: int) -> None:
        missing = length - self._g.shape[2]
        if missing > 0:
            pad = ((0, 0), (0, 0), (0, missing))
            self._g = np.pad(self._g, pad, mode="edge")
            self._expected = np.pad(self._expected, pad, mode="edge")
            self._upto = np.pad(self._upto, pad, mode="edge")
