"""Sessions of E environments at once: who is available now, until when, and what is known of later."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.random_bits import scrambled
from ..numerics import rows_by_forecaster
from .batch_kernels import expected_share, markov_chance, markov_exponents, running_at, visible_sessions
from .episode import AvailabilityEpisode
from .forecasts import DEFAULT_FORECAST, AvailabilityForecaster, AvailabilityView, MarkovForecast


class SessionBatch:
    """The sessions of E environments with N clients each, and a clock that only moves forward.

    After `set` and `advance`, the attributes below describe the present; each is a fresh array.

    Attributes:
        available: bool `[E, N]`.
        session_start_s: `[E, N]`, start of the running session; the present time where unavailable.
        session_end_s: `[E, N]`, its true end (the world's, not the coordinator's knowledge); the present
            time where unavailable.
        announced_end_s: `[E, N]`, its end as announced, once within the notice; otherwise `+inf`.
        next_start_s: `[E, N]`, start of the next session, for oracles only; `+inf` if there is none.

    Args:
        num_envs: E.
        num_clients: N.
    """

    def __init__(self, num_envs: int, num_clients: int):
        e, n = num_envs, num_clients
        self.num_envs, self.num_clients = e, n
        self._starts = np.full((e, n, 2), np.inf)
        self._ends = np.full((e, n, 2), np.inf)
        self._announced_ends = np.full((e, n, 2), np.inf)
        self._announced = np.zeros((e, n, 2), dtype=bool)
        self._pointer = np.zeros((e, n), dtype=np.int64)
        self._climatology = np.zeros((e, n, 24), dtype=np.float64)
        self._relaxation_s = np.ones((e, n))
        self._notice_s = np.full((e, n), np.inf)
        self._start_utc_s = np.zeros(e)
        self._seed = np.zeros(e, dtype=np.uint64)
        self._forecasters: list[AvailabilityForecaster] = [DEFAULT_FORECAST] * e
        self._grouped: list[tuple[AvailabilityForecaster, Ints]] | None = None
        self._time_s = np.zeros(e)
        self._update_visible_sessions()

    @property
    def starts(self) -> Floats:
        """`[E, N, S]`, starts of all sessions, padded with `+inf`; for oracles and viewers."""
        return self._starts[:, :, :-1].copy()

    @property
    def ends(self) -> Floats:
        """`[E, N, S]`, ends of all sessions, padded with `+inf`; for oracles and viewers."""
        return self._ends[:, :, :-1].copy()

    def set(self, env: int, episode: AvailabilityEpisode, start_utc_s: float) -> None:
        """Begin a new episode in one environment, at t = 0.

        Raises:
            ValueError: if the episode has another number of clients.
        """
        sessions = episode.sessions
        if sessions.num_clients != self.num_clients:
            raise ValueError(f"episode: {sessions.num_clients} clients, expected {self.num_clients}")
        width = sessions.start_s.shape[1]
        self._widen(width + 1)
        said_s = sessions.end_s if episode.announced_end_s is None else episode.announced_end_s
        self._starts[env, :, :width], self._starts[env, :, width:] = sessions.start_s, np.inf
        self._ends[env, :, :width], self._ends[env, :, width:] = sessions.end_s, np.inf
        self._announced_ends[env, :, :width], self._announced_ends[env, :, width:] = said_s, np.inf
        self._announced[env, :, :width], self._announced[env, :, width:] = sessions.announced, False
        self._pointer[env] = (self._ends[env] <= 0.0).sum(axis=1)
        self._climatology[env] = episode.climatology
        self._relaxation_s[env] = episode.relaxation_s
        self._notice_s[env] = episode.announce_notice_s
        self._start_utc_s[env] = start_utc_s
        self._seed[env] = episode.seed
        if episode.forecast is not self._forecasters[env]:
            self._forecasters[env], self._grouped = episode.forecast, None
        self._time_s[env] = 0.0

    def advance(self, time_s: Floats) -> None:
        """Move every environment's clock to its `time_s` `[E]` and look around.

        Raises:
            ValueError: if a clock would go back.
        """
        time_s = np.asarray(time_s, dtype=np.float64)
        if (time_s < self._time_s).any():
            env = int(np.argmax(time_s < self._time_s))
            raise ValueError(
                f"time_s: {time_s[env]:g} in environment {env}, expected at least {self._time_s[env]:g}, "
                "the time it was advanced to before"
            )
        self._time_s = time_s.copy()
        self._update_visible_sessions()

    def forecast(self, time_s: Floats, leads_s: Floats) -> Floats32:
        """P(available) at `time_s + leads_s` as the coordinator would forecast it at the present.

        Each episode says how (see `forecasts`); by default with the Markov forecast around the climatology.

        Args:
            time_s: `[E]`, the present.
            leads_s: `[L]`.

        Returns:
            float32 `[E, N, L]`.
        """
        time_s, leads_s = np.asarray(time_s, dtype=np.float64), np.asarray(leads_s, dtype=np.float64)
        groups = self._groups()
        parts = [self._probability(forecaster, time_s, leads_s) for forecaster, _ in groups]
        if len(groups) == 1:
            return parts[0].astype(np.float32)
        result = np.empty(parts[0].shape, dtype=np.float32)
        for part, (_, rows) in zip(parts, groups, strict=True):
            result[rows] = part[rows]
        return result

    def ended_between(self, t0_s: Floats, t1_s: Floats) -> Bools:
        """Whether each client was away at any time in `(t0, t1]`, bool `[E, N]`.

        Args:
            t0_s: `[E]`, not after the time last advanced to.
            t1_s: `[E]`, not before it.

        Raises:
            ValueError: if the interval does not hold the time last advanced to.
        """
        t0_s, t1_s = np.asarray(t0_s, dtype=np.float64), np.asarray(t1_s, dtype=np.float64)
        if (t0_s > self._time_s).any() or (t1_s < self._time_s).any():
            raise ValueError("ended_between: expected t0 <= the time last advanced to <= t1")
        # A session over the whole interval also runs now, so only the pointed one can be it.
        stayed = (self._at(self._starts) <= t0_s[:, None]) & (self._at(self._ends) > t1_s[:, None])
        return ~stayed & (t1_s > t0_s)[:, None]

    def running_at(self, env: Ints, client: Ints, time_s: Floats) -> Bools:
        """Whether some clients' sessions run at some times, bool `[K]`.

        Args:
            env: `[K]`.
            client: `[K]`.
            time_s: `[K]`, since each episode began, before or after the present.
        """
        running: Bools = running_at(self._starts, self._ends, env, client, time_s)
        return running

    def sessions_after(self, env: int, client: int) -> Floats:
        """`[K, 2]`, start and end of one client's sessions that end after the present; for oracles."""
        begin = int(self._pointer[env, client])
        pairs: Floats = np.stack([self._starts[env, client, begin:], self._ends[env, client, begin:]], axis=1)
        return np.compress(np.isfinite(pairs[:, 0]), pairs, axis=0)

    def _update_visible_sessions(self) -> None:
        self.available: Bools
        self.session_start_s: Floats
        self.session_end_s: Floats
        self.announced_end_s: Floats
        self.next_start_s: Floats
        (
            self.available,
            self.session_start_s,
            self.session_end_s,
            self.announced_end_s,
            self.next_start_s,
        ) = visible_sessions(
            self._starts,
            self._ends,
            self._announced_ends,
            self._announced,
            self._pointer,
            self._time_s,
            self._notice_s,
        )

    def _groups(self) -> list[tuple[AvailabilityForecaster, Ints]]:
        if self._grouped is None:
            self._grouped = rows_by_forecaster(self._forecasters)
        return self._grouped

    def _probability(
        self, forecaster: AvailabilityForecaster, time_s: Floats, leads_s: Floats
    ) -> Floats | Floats32:
        """P(available) `[E, N, L]` of one forecaster for all environments."""
        if type(forecaster) is MarkovForecast:
            end_s, used = self.announced_end_s, forecaster.use_announced
            decay = np.exp(markov_exponents(time_s, leads_s, end_s, self._relaxation_s, used))
            chance: Floats32 = markov_chance(
                time_s, leads_s, self.available, end_s, used, self._climatology, self._start_utc_s, decay
            )
            return chance
        then_s = time_s[:, None, None] + leads_s[None, None, :]
        view = self._view(time_s[:, None, None], then_s)
        return np.broadcast_to(forecaster.probability(view), view.shape)

    def _view(self, now_s: Floats, then_s: Floats) -> AvailabilityView:
        return AvailabilityView(
            now_s=now_s,
            then_s=then_s,
            available=self.available[:, :, None],
            announced_end_s=self.announced_end_s[:, :, None],
            relaxation_s=self._relaxation_s[:, :, None],
            expected=self._expected,
            truth=lambda: self._available_at(then_s),
            uniforms=lambda: self._uniforms(then_s),
        )

    def _at(self, table: Floats) -> Floats:
        return np.take_along_axis(table, self._pointer[:, :, None], axis=2)[:, :, 0]

    def _available_at(self, then_s: Floats) -> Bools:
        """Who is truly available at `then_s` `[E, 1, L]`, bool `[E, N, L]`."""
        truth = np.empty((self.num_envs, self.num_clients, then_s.shape[2]), dtype=bool)
        for lead in range(then_s.shape[2]):
            when_s = then_s[:, :, lead, None]
            truth[:, :, lead] = ((self._starts <= when_s) & (self._ends > when_s)).any(axis=2)
        return truth

    def _uniforms(self, then_s: Floats) -> Floats:
        """Uniforms `[E, N, L]` that depend on the episode's seed, the client and the tenth minute only."""
        bucket = np.floor(then_s / 600.0).astype(np.int64).astype(np.uint64)
        client = np.arange(self.num_clients, dtype=np.uint64)[None, :, None]
        mixed = scrambled(scrambled(self._seed[:, None, None] ^ client) ^ bucket)
        return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53

    def _expected(self, time_s: Floats) -> Floats:
        """Climatology `[E, N, L]` at times that broadcast to it, linear between the centres of the hours."""
        time_s = np.broadcast_to(time_s, (self.num_envs, self.num_clients, time_s.shape[2]))
        shares: Floats = expected_share(self._climatology, self._start_utc_s, time_s)
        return shares

    def _widen(self, width: int) -> None:
        """Make room for `width` columns, of which the last is never a session."""
        missing = width - self._starts.shape[2]
        if missing <= 0:
            return
        pad = ((0, 0), (0, 0), (0, missing))
        self._starts = np.pad(self._starts, pad, constant_values=np.inf)
        self._ends = np.pad(self._ends, pad, constant_values=np.inf)
        self._announced_ends = np.pad(self._announced_ends, pad, constant_values=np.inf)
        self._announced = np.pad(self._announced, pad)
