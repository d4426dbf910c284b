"""What a coordinator has learned of clients' habits from a finite past."""

from __future__ import annotations

import numpy as np
from numba import njit

from ...common.arrays import Floats, Floats32

# Factors on the odds over which a profile's mean is tabulated; wide enough for any share seen.
_ODDS = np.exp(np.linspace(-12.0, 12.0, 241))


def odds_shifted(profile: Floats, odds: Floats) -> Floats:
    """A profile `[P]` of shares with its odds multiplied by `odds` `[N]`, giving `[N, P]`."""
    raised = odds[:, None] * (profile / (1.0 - profile))[None, :]
    return raised / (1.0 + raised)


class ProfileShape:
    """The shape of an hour-of-day profile, to be moved to any mean.

    Args:
        profile: `[24]`, P(available) by local hour, within (0, 1).
    """

    def __init__(self, profile: Floats):
        self.profile = np.clip(np.asarray(profile, dtype=np.float64), 1e-4, 1.0 - 1e-4)
        self._means = odds_shifted(self.profile, _ODDS).mean(axis=1)

    def with_mean(self, mean: Floats) -> Floats:
        """`[N, 24]`: the shape with its odds multiplied so that each row has the mean `mean` `[N]`."""
        odds = np.exp(np.interp(mean, self._means, np.log(_ODDS)))
        return odds_shifted(self.profile, odds)


def remembered_mean(
    mean: Floats, prior: tuple[float, float], looks: float, rng: np.random.Generator
) -> Floats:
    """Each client's own mean as it is estimated from a finite past, `[N]`.

    The share seen is a Beta draw around the true one with as much information as `looks` independent
    observations; it is shrunk towards the population's Beta law, as a Bayesian would.

    Args:
        mean: `[N]`, the true shares.
        prior: Beta(a, b) of the population.
        looks: days observed x 24 h over twice the relaxation time.
        rng: the only source of chance.
    """
    a, b = prior
    safe = np.minimum(np.maximum(mean, 1e-3), 1.0 - 1e-3)
    seen = rng.beta(safe * looks, (1.0 - safe) * looks)
    return (a + looks * seen) / (a + b + looks)


def by_utc_hour(profile: Floats, offset_h: Floats) -> Floats32:
    """Rows `[N, 24]` by local hour turned into rows by UTC hour, float32 `[N, 24]`.

    Args:
        profile: `[N, 24]` by local hour.
        offset_h: `[N]`, hours local clocks are ahead of UTC; half hours are interpolated.
    """
    return _by_utc_hour(profile, np.asarray(offset_h, dtype=np.float64))


@njit(cache=True, nogil=True, error_model="numpy")
def _by_utc_hour(profile, offset_h):  # type: ignore[no-untyped-def]
    n = offset_h.size
    out = np.empty((n, 24), dtype=np.float32)
    for k in range(n):
        for hour in range(24):
            local = hour + offset_h[k]
            local -= 24.0 * np.floor(local / 24.0)
            low = int(local) % 24
            here = profile[k, low]
            out[k, hour] = here + (profile[k, (low + 1) % 24] - here) * (local - np.floor(local))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def odds_multiplied(profile, odds):  # type: ignore[no-untyped-def]
    """Profiles `[N, P]` of shares with the odds of each row multiplied by `odds` `[N]`, `[N, P]`."""
    out = np.empty(profile.shape)
    for k in range(odds.size):
        for hour in range(profile.shape[1]):
            raised = odds[k] * profile[k, hour] / (1.0 - profile[k, hour])
            out[k, hour] = raised / (1.0 + raised)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def personal_shares(push, hour_of_week, share_on, profile):  # type: ignore[no-untyped-def]
    """Each client's share now `[N]` and by local hour `[N, 24]`, its odds the square of `push` `[N]`.

    `share_on` `[168]` is the usual share by hour of the week, `profile` `[24]` by hour of the day.
    """
    n = push.size
    now, rows = np.empty(n), np.empty((n, profile.size))
    for k in range(n):
        odds = push[k] * push[k]
        usual = share_on[int(np.floor(hour_of_week[k])) % 168]
        now[k] = odds * usual / (1.0 - usual + odds * usual)
        for hour in range(profile.size):
            raised = odds * (profile[hour] / (1.0 - profile[hour]))
            rows[k, hour] = raised / (1.0 + raised)
    return now, rows
