"""Availability replayed from recorded traces."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.ranges import Drawable, drawn
from ...common.splits import SPLITS, Split
from ...common.units import SECONDS_PER_DAY as _DAY_S
from ..numerics import SPLIT_SHARES, place_of
from ..records import AvailabilityTrace
from .climatology import by_utc_hour
from .episode import AvailabilityEpisode, AvailabilityRequest, Sessions, announced_ends, check_size
from .forecasts import DEFAULT_FORECAST, AvailabilityForecaster
from .known_past import Population, earlier, first_part, population

# How much later than the truth a false announcement names the end, on average.
_OVERSTATED_H = 2.0


class _Pool:
    """Recordings of a split, by user, with the share of their time that belongs to it."""

    def __init__(self, trace: AvailabilityTrace, rows: Ints, low: float, high: float):
        order = np.argsort(trace.user[rows], kind="stable")
        self._rows = rows[order]
        _, self._first, self._counts = np.unique(
            trace.user[self._rows], return_index=True, return_counts=True
        )
        self.users, self.low, self.high = int(self._first.size), low, high

    def choose(self, n: int, rng: np.random.Generator) -> Ints:
        """One recording for each client: users at random, each once if they suffice, then one of theirs."""
        if self.users >= n:
            picks = rng.choice(self.users, size=n, replace=False)
        else:
            picks = rng.integers(self.users, size=n)
        return self._rows[self._first[picks] + (rng.random(n) * self._counts[picks]).astype(np.int64)]


class RecordedAvailability:
    """Clients that behave as recorded users did.

    Users are dealt to train, val and test by a hash of their name (60 / 20 / 20); if a split then has fewer
    users than the world has clients, every recording is split by time in these shares instead. A client's
    recorded local time is laid onto its zone's local time, on the same day of the week if the recording has
    it. A recording (or its part) shorter than the horizon is repeated in whole days. What the coordinator
    knows is the hour-of-day profile of the training part and the client's own share before the episode; in
    training itself, the profile of the other half of its users, so that no forecast knows its own future.

    Args:
        trace: what was recorded.
        announced_share: share of session ends announced ahead, or a range, drawn per episode.
        notice_s: how long ahead; infinite = from the session's start.
        repeat: whether a user may play several clients at once, if there are too few.
        forecast: the coordinator's forecast, carried to the episodes.
        honesty: share of announcements that are true; the others name an end two hours later on average.
    """

    def __init__(
        self,
        trace: AvailabilityTrace,
        announced_share: Drawable = 0.0,
        notice_s: float = float("inf"),
        repeat: bool = False,
        forecast: AvailabilityForecaster = DEFAULT_FORECAST,
        honesty: float = 1.0,
    ):
        self.trace = trace
        self._announced_share, self._notice_s = announced_share, notice_s
        self._repeat, self._honesty = repeat, honesty
        self._forecast = forecast
        days = np.floor((trace.end_s - trace.begin_s) / _DAY_S + 1e-9)
        self._usable = days >= 1
        self._place = np.array([place_of(name) for name in trace.users])
        self._offsets = trace.offsets
        place = self._place[trace.user]
        self._fewest = min(
            np.unique(trace.user[self._usable & (place >= a) & (place < b)]).size
            for a, b in SPLIT_SHARES.values()
        )
        self._pools: dict[tuple[Split, bool], _Pool] = {}
        self._populations: dict[tuple[bool, int], Population] = {}
        self._known_on_s, self._known_s = earlier(trace)

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Refuse a trace with fewer users than clients, or without a whole day in each split.

        Raises:
            ValueError: one line saying how many there are.
        """
        check_size(num_clients, horizon_s)
        if not self._usable.any():
            longest_h = float((self.trace.end_s - self.trace.begin_s).max()) / 3600.0
            raise ValueError(
                f"availability: {self.trace.source}: the longest recording has {longest_h:.3g} h, "
                "expected at least one whole day"
            )
        for split in SPLITS:
            users = self._pool(split, num_clients).users
            if users == 0 or (users < num_clients and not self._repeat):
                raise ValueError(self._too_few(users, num_clients, split))

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        by_user, pool = self._by_user(n), self._pool(request.split, n)
        if pool.users == 0 or (pool.users < n and not self._repeat):
            raise ValueError(self._too_few(pool.users, n, request.split))
        chosen = pool.choose(n, rng)
        begin_s, days = _whole_days(self.trace, chosen, pool.low, pool.high)
        moment_s = self._moments(chosen, begin_s, days, request, rng)
        sessions = self._cut(chosen, begin_s, days, moment_s, request.horizon_s)
        share = drawn(self._announced_share, rng)
        known = np.isfinite(sessions.start_s) & (rng.random(sessions.start_s.shape) < share)
        sessions.announced[:] = known
        on_s, seen_s = self._own_past(chosen, moment_s)
        climatology, relaxation_h = np.empty((n, 24)), np.empty(n)
        half = self._half(chosen, request.split)
        for one in np.unique(half):
            rows, known_of = half == one, self._population(by_user, int(one))
            a, b = known_of.prior
            per_look_s = 2.0 * known_of.relaxation_h * 3600.0
            mean = (a + on_s[rows] / per_look_s) / (a + b + seen_s[rows] / per_look_s)
            climatology[rows], relaxation_h[rows] = known_of.shape.with_mean(mean), known_of.relaxation_h
        return AvailabilityEpisode(
            sessions=sessions,
            climatology=by_utc_hour(climatology, self._clock_offset_h(chosen, request)),
            relaxation_s=relaxation_h * 3600.0,
            announce_notice_s=self._notice_s,
            forecast=self._forecast,
            seed=int(rng.integers(2**62)),
            announced_end_s=announced_ends(sessions, self._honesty, _OVERSTATED_H, rng),
            announced_share=share,
        )

    def _by_user(self, num_clients: int) -> bool:
        """Whether splits have users of their own, and not parts of the time."""
        return self._fewest >= num_clients or (self._repeat and self._fewest >= 5)

    def _half(self, chosen: Ints, split: Split) -> Ints:
        """`[N]`, which half of the training users each client belongs to; -1 outside training."""
        if split != "train":
            return np.full(chosen.size, -1)
        return (self._place[self.trace.user[chosen]] * 1000.0).astype(np.int64) % 2

    def _population(self, by_user: bool, half: int) -> Population:
        """What the training part tells about habits: the other half of its users, or all of it (-1)."""
        if (by_user, half) not in self._populations:
            place = self._place[self.trace.user]
            rows = self._usable & ((place < SPLIT_SHARES["train"][1]) | (not by_user))
            if half >= 0:
                rows &= (place * 1000.0).astype(np.int64) % 2 != half
            part = self.trace.only(rows)
            if not by_user and rows.any():
                part = first_part(part, SPLIT_SHARES["train"][1])
            self._populations[by_user, half] = population(part)
        return self._populations[by_user, half]

    def _pool(self, split: Split, num_clients: int) -> _Pool:
        """Recordings of the split, and the share of each recording's time that belongs to it."""
        by_user = self._by_user(num_clients)
        if (split, by_user) not in self._pools:
            low, high = SPLIT_SHARES[split]
            if by_user:
                place = self._place[self.trace.user]
                rows, low, high = np.flatnonzero(self._usable & (place >= low) & (place < high)), 0.0, 1.0
            else:
                span_s = (self.trace.end_s - self.trace.begin_s) * (high - low)
                rows = np.flatnonzero(span_s >= _DAY_S - 1e-6)
            self._pools[split, by_user] = _Pool(self.trace, rows, low, high)
        return self._pools[split, by_user]

    def _too_few(self, users: int, num_clients: int, split: Split) -> str:
        return (
            f"availability: {self.trace.source}: {users} users for {num_clients} clients in split "
            f"{split!r}; take fewer clients, a larger file, or repeat: true"
        )

    def _clock_offset_h(self, chosen: Ints, request: AvailabilityRequest) -> Floats:
        """`[N]`, hours between the clock of the trace's profile and UTC in the world."""
        if self.trace.simultaneous and self.trace.clock == "utc":
            return self.trace.utc_offset_h[chosen]
        return request.local_offset_h

    def _moments(
        self,
        chosen: Ints,
        begin_s: Floats,
        days: Ints,
        request: AvailabilityRequest,
        rng: np.random.Generator,
    ) -> Floats:
        """`[N]`, the moment of each recording at which the episode begins."""
        trace, period_s = self.trace, days * _DAY_S
        # Where users were watched together, one moment for all keeps together what happened together.
        one = trace.simultaneous
        uniform = np.full(chosen.size, rng.random()) if one else rng.random(chosen.size)
        if one:
            days, period_s = np.full_like(days, days.min()), np.full_like(period_s, period_s.min())
        if trace.clock == "none":
            room_s = np.maximum(period_s - request.horizon_s, 0.0)
            return begin_s + uniform * np.where(room_s > 0, room_s, period_s)
        recorded_s = trace.local_begin_s[chosen] + begin_s - trace.begin_s[chosen]
        wanted_s = request.local_hour_of_week * 3600.0
        if one and trace.clock == "utc":
            wanted_s = request.start_utc_s + 3 * _DAY_S + trace.utc_offset_h[chosen] * 3600.0
        elif one:
            wanted_s = np.full(chosen.size, wanted_s[0])
        ahead_s = (wanted_s - recorded_s) % (7 * _DAY_S)
        hour_s, same_day = ahead_s % _DAY_S, (ahead_s // _DAY_S).astype(np.int64)
        room = np.floor((period_s - hour_s - request.horizon_s) / _DAY_S).astype(np.int64) + 1
        any_day = np.floor(uniform * np.where(room > 0, room, days)).astype(np.int64)
        # The same day of the week, in any week that the recording still has room for.
        weeks = (np.where(room > 0, room, np.where(days % 7 == 0, days, 0)) - 1 - same_day) // 7 + 1
        week_day = same_day + 7 * np.floor(uniform * np.maximum(weeks, 1)).astype(np.int64)
        moment_s: Floats = begin_s + hour_s + np.where(weeks > 0, week_day, any_day) * _DAY_S
        return moment_s

    def _cut(self, chosen: Ints, begin_s: Floats, days: Ints, moment_s: Floats, horizon_s: float) -> Sessions:
        """Sessions from each moment on, recordings repeated with their period of whole days."""
        trace, n = self.trace, chosen.size
        counts = self._offsets[chosen + 1] - self._offsets[chosen]
        client = np.repeat(np.arange(n), counts)
        within = np.arange(client.size) - np.repeat(np.cumsum(counts) - counts, counts)
        row = self._offsets[chosen][client] + within
        period_s = (days * _DAY_S)[client]
        edge_s = begin_s[client]
        start_s = np.maximum(trace.session_start_s[row], edge_s)
        end_s = np.minimum(trace.session_end_s[row], edge_s + period_s)
        turns = int(np.ceil(((moment_s - begin_s + horizon_s) / (days * _DAY_S)).max(initial=1.0)))
        turn = np.arange(-1, turns + 1)[:, None] * period_s
        start_s = (start_s + turn - moment_s[client]).ravel()
        end_s = (end_s + turn - moment_s[client]).ravel()
        owner = np.tile(client, turns + 2)
        keep = (end_s > start_s) & (start_s <= horizon_s) & (end_s > -_DAY_S)
        joined = Sessions.from_flat(owner[keep], start_s[keep], end_s[keep], n)
        past = joined.end_s <= 0
        real = np.isfinite(joined.start_s) & ~past
        who, slot = np.nonzero(real)
        return Sessions.from_flat(who, joined.start_s[who, slot], joined.end_s[who, slot], n)

    def _own_past(self, chosen: Ints, moment_s: Floats) -> tuple[Floats, Floats]:
        """`[N]` each, seconds that each client was available and observed before the moment."""
        trace = self.trace
        counts = self._offsets[chosen + 1] - self._offsets[chosen]
        client = np.repeat(np.arange(chosen.size), counts)
        row = (
            self._offsets[chosen][client]
            + np.arange(client.size)
            - np.repeat(np.cumsum(counts) - counts, counts)
        )
        # A repeated recording has been seen once, up to its end.
        until_s = np.minimum(moment_s, trace.end_s[chosen])
        on_s = np.clip(
            np.minimum(trace.session_end_s[row], until_s[client]) - trace.session_start_s[row], 0.0, None
        )
        total_on_s = np.bincount(client, weights=on_s, minlength=chosen.size) + self._known_on_s[chosen]
        seen_s = until_s - trace.begin_s[chosen] + self._known_s[chosen]
        return total_on_s, seen_s


def _whole_days(trace: AvailabilityTrace, chosen: Ints, low: float, high: float) -> tuple[Floats, Ints]:
    """Where the split's part of each recording begins, and how many whole days it has."""
    length_s = trace.end_s[chosen] - trace.begin_s[chosen]
    days = np.maximum(np.floor(length_s * (high - low) / _DAY_S + 1e-9), 1.0).astype(np.int64)
    return trace.begin_s[chosen] + low * length_s, days
