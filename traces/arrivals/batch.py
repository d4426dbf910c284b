"""Requests of E environments at once: how many had arrived by a time, and when each of them came."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Floats32, Ints
from .batch_kernels import moments_of, requests_until
from .episode import BIN_S, ArrivalEpisode


class ArrivalBatch:
    """The requests of E environments with N sources each.

    Args:
        num_envs: E.
        num_sources: N.
    """

    def __init__(self, num_envs: int, num_sources: int) -> None:
        self.num_envs, self.num_sources = num_envs, num_sources
        self._sums = np.zeros((num_envs, num_sources, 2), dtype=np.int32)  # at the edges of the minutes
        self._expected = np.zeros((num_envs, num_sources, 1), dtype=np.float32)
        self._total = np.zeros(num_envs)

    def set(self, env: int, episode: ArrivalEpisode) -> None:
        """Begin a new episode in one environment.

        Raises:
            ValueError: if the episode has another number of sources.
        """
        sources, bins = episode.counts.shape
        if sources != self.num_sources:
            raise ValueError(f"episode: {sources} sources, expected {self.num_sources}")
        self._widen(bins)
        sums = self._sums[env]
        sums[:, 0] = 0
        np.cumsum(episode.counts, axis=1, dtype=np.int32, out=sums[:, 1 : bins + 1])
        sums[:, bins + 1 :] = sums[:, bins, None]
        self._expected[env, :, :bins], self._expected[env, :, bins:] = episode.expected, 0.0
        self._total[env] = episode.expected.sum(dtype=np.float64)

    def until(self, time_s: Floats) -> Ints:
        """Requests that arrived before `time_s`, int64 `[E, N]`.

        Within a minute they are spread evenly. Nothing arrives before the start or beyond the horizon.

        Args:
            time_s: seconds from the episodes' starts, `[E]` or `[E, N]`.
        """
        time_s = np.asarray(time_s, dtype=np.float64)
        counted: Ints = requests_until(self._sums, time_s if time_s.ndim == 2 else time_s[:, None], BIN_S)
        return counted

    def moments(self, env: Ints, source: Ints, number: Ints) -> Floats:
        """Seconds from the start at which requests arrive, `[K]`: the inverse of `until`.

        Args:
            env: `[K]`.
            source: `[K]`.
            number: `[K]`, of each request among those of its source, from 0 on.

        Returns:
            `+inf` for a request that does not come within the horizon.
        """
        env, source, number = (np.asarray(each, dtype=np.int64) for each in (env, source, number))
        seconds: Floats = moments_of(self._sums, env, source, number, BIN_S)
        return seconds

    def expected(self) -> Floats:
        """Requests of all sources over the whole horizon in expectation, `[E]`."""
        return self._total.copy()

    def expected_per_h(self, time_s: Floats) -> Floats32:
        """Requests an hour that each source may expect at `time_s` `[E]`, float32 `[E, N]`.

        They are the model's mean at this time of its day, not what was drawn.
        """
        last = self._expected.shape[2] - 1
        place = np.clip(np.asarray(time_s, dtype=np.float64) / BIN_S, 0, last).astype(np.int64)
        per_bin: Floats32 = self._expected[np.arange(self.num_envs), :, place]
        return per_bin * np.float32(3600.0 / BIN_S)

    def _widen(self, bins: int) -> None:
        """Make room for episodes of so many minutes."""
        missing = bins - self._expected.shape[2]
        if missing > 0:
            pad = ((0, 0), (0, 0), (0, missing))
            self._sums = np.pad(self._sums, pad, mode="edge")
            self._expected = np.pad(self._expected, pad)
